/**
 * Curfew's own X.509-SVID, and the authorities that its listeners know clients by, from the Workload API. Guarantees: an SVID is used only if it is of the
 * configured trust domain, chains to that domain's bundle, belongs to its key and is in time; clients are known by the authorities of their own
 * trust domain only (domains are never merged), and by none when the bundles are older than `maxAgeMs` or were taken back.
 */
import { createPrivateKey, type X509Certificate } from 'node:crypto';
import type { Clock } from '../../decision/ports.ts';
import { parseSpiffeId } from '../../domain/spiffe-id.ts';
import { readX509Bundles, readX509Svids, WORKLOAD_API, type X509Svid } from '../../grpc/proto/spiffe.ts';
import { readCertificate } from '../certificate.ts';
import type { OnIdentityEvent } from '../events.ts';
import type { WorkloadApiConfig } from './config.ts';
import { certificatesIn, crlPem, pemOf } from './der.ts';
import { followWorkloadApi, isYoung, type Stamp } from './follow.ts';

/** PEM texts for a listener. */
export interface SvidTls {
  readonly cert: string;
  readonly key: string;
  readonly clientCa?: string;
  readonly crl?: readonly string[];
}

export interface OwnSvid {
  /** For a listener that knows clients of `clientTrustDomain`, if it knows any; `undefined`: nobody may be served now. */
  tls(clientTrustDomain: string | undefined): SvidTls | undefined;
  /** May a client whose certificate these authorities have signed be who it says it is? Asked at every request. */
  vouchesFor(uris: readonly string[], clientTrustDomain: string): boolean;
  /** Resolves when both streams have answered or failed once. */
  ready(): Promise<void>;
  close(): void;
}

const SVIDS_MAX = 100;
const CRLS_MAX = 100;

/** Does the chain lead to one of the authorities? Signatures only; whoever connects judges the rest. */
const chainsTo = (chain: readonly X509Certificate[], authorities: readonly X509Certificate[]): boolean =>
  chain.every((one, index) => {
    const above = chain[index + 1];
    const signers = above === undefined ? authorities : [above];
    return signers.some((signer) => one.checkIssued(signer) && one.verify(signer.publicKey));
  });

type Chosen = { readonly cert: string; readonly key: string; readonly notAfter: number };

/** The SVID to use, or why it can't be. */
const accept = (svid: X509Svid, config: WorkloadApiConfig, clock: Clock): Chosen | string => {
  const id = parseSpiffeId(svid.spiffeId);
  if (id === undefined || id.path === '' || id.trustDomain !== config.trustDomain) return 'gave an SVID of another trust domain';
  const chain = certificatesIn(svid.x509Svid);
  const authorities = certificatesIn(svid.bundle);
  if (chain === undefined || authorities === undefined) return 'gave an SVID or a bundle that can not be read';
  const [leaf] = chain as readonly [X509Certificate];
  const facts = readCertificate(leaf.toString());
  if (facts === undefined || facts.isAuthority || facts.uris.length !== 1 || facts.uris[0] !== svid.spiffeId) return 'gave a certificate that is not of the SPIFFE ID that it names';
  const now = clock.now();
  if (!(now.latest < facts.notAfter && now.latest >= facts.notBefore)) return 'gave an SVID that is not in time';
  if (!chainsTo(chain, authorities)) return 'gave an SVID that does not chain to its bundle';
  const key = createPrivateKey({ key: Buffer.from(svid.x509SvidKey), format: 'der', type: 'pkcs8' });
  if (!leaf.checkPrivateKey(key)) return 'gave a key that is not that of its SVID';
  return { cert: pemOf(chain), key: key.export({ format: 'pem', type: 'pkcs8' }) as string, notAfter: facts.notAfter };
};

export const followOwnSvid = ({ config, clientTrustDomains, clock, onEvent, onChange }: {
  readonly config: WorkloadApiConfig;
  readonly clientTrustDomains: readonly string[];
  readonly clock: Clock;
  readonly onEvent: OnIdentityEvent;
  /** `cut`: something was taken back, and connections that rest on it must not go on. */
  readonly onChange: (cut: boolean) => void;
}): OwnSvid => {
  let svid: Chosen | undefined;
  let authorities = new Map<string, ReadonlyMap<string, string>>();
  let crl: readonly string[] = [];
  let bundlesSince: Stamp | undefined;
  const issuer = `spiffe://${config.trustDomain}`;
  const fault = (what: string) => (detail: string | undefined): void => {
    if (detail !== undefined) onEvent({ kind: 'keys.failed', issuer, detail: `${what}: ${detail}` });
  };

  const svids = followWorkloadApi({
    config, clock, method: WORKLOAD_API.x509Svid,
    take: (message) => {
      const { svids: offered } = readX509Svids(message);
      if (offered.length > SVIDS_MAX) return `gave more than ${SVIDS_MAX} SVIDs`;
      const chosen = config.id === undefined ? offered[0] : offered.find(({ spiffeId }) => spiffeId === config.id);
      if (chosen === undefined) {
        // Every message says all there is: what it leaves out was taken back.
        svid = undefined;
        onChange(true);
        return 'gave no SVID to use';
      }
      const accepted = accept(chosen, config, clock);
      if (typeof accepted === 'string') return accepted;
      if (accepted.cert === svid?.cert) return undefined;
      svid = accepted;
      onEvent({ kind: 'keys.loaded', issuer, detail: `SVID ${chosen.spiffeId}, until ${new Date(accepted.notAfter).toISOString()}` });
      onChange(false);
      return undefined;
    },
    withdrawn: () => {
      svid = undefined;
      onChange(true);
    },
    onFault: fault('SVID'),
  });

  const replaceAuthorities = (next: Map<string, ReadonlyMap<string, string>>, nextCrl: readonly string[]): void => {
    const gone = [...authorities].some(([trustDomain, before]) => [...before.keys()].some((one) => next.get(trustDomain)?.has(one) !== true));
    const same = !gone && [...next].every(([trustDomain, now]) => now.size === authorities.get(trustDomain)?.size) && nextCrl.join('') === crl.join('');
    const cut = gone || (nextCrl.join('') !== crl.join(''));
    authorities = next;
    crl = nextCrl;
    if (!same) onChange(cut);
  };
  const bundles = clientTrustDomains.length === 0 ? undefined : followWorkloadApi({
    config, clock, method: WORKLOAD_API.x509Bundles,
    take: (message, since) => {
      const read = readX509Bundles(message);
      if (read.crl.length > CRLS_MAX) return `gave more than ${CRLS_MAX} revocation lists`;
      const next = new Map<string, ReadonlyMap<string, string>>();
      for (const trustDomain of clientTrustDomains) {
        const name = `spiffe://${trustDomain}`;
        const found = Object.hasOwn(read.bundles, name) ? certificatesIn(read.bundles[name] as Uint8Array) : undefined;
        if (found === undefined) onEvent({ kind: 'keys.failed', issuer: name, detail: 'the Workload API has no bundle of X.509 authorities that can be read: nobody is known by it' });
        else next.set(trustDomain, new Map(found.map((one) => [one.fingerprint256, one.toString()])));
      }
      bundlesSince = since;
      replaceAuthorities(next, read.crl.map(crlPem));
      return undefined;
    },
    withdrawn: () => {
      bundlesSince = undefined;
      replaceAuthorities(new Map(), []);
    },
    onFault: fault('X.509 bundles'),
  });

  return {
    tls: (clientTrustDomain) => {
      if (svid === undefined) return undefined;
      const { cert, key } = svid;
      if (clientTrustDomain === undefined) return { cert, key };
      const known = authorities.get(clientTrustDomain);
      if (known === undefined || known.size === 0) return undefined;
      return { cert, key, clientCa: [...known.values()].join(''), ...(crl.length === 0 ? {} : { crl }) };
    },
    vouchesFor: (uris, clientTrustDomain) =>
      uris.length === 1 && parseSpiffeId(uris[0] as string)?.trustDomain === clientTrustDomain
      && (authorities.get(clientTrustDomain)?.size ?? 0) > 0
      && isYoung(bundlesSince, config.maxAgeMs, clock, clock.now().latest),
    ready: async () => void (await Promise.all([svids.tried, bundles?.tried])),
    close: () => {
      svids.close();
      bundles?.close();
    },
  };
};
