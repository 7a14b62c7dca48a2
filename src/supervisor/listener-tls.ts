/**
 * What the TLS listeners of a process show: files, or the SVID from the Workload API. Without an SVID (there is none yet, or it was taken back) a
 * listener lets nobody connect; clients are known by the authorities of one trust domain, and only while those are young.
 */
import type { Config } from '../config/schema.ts';
import type { Clock } from '../decision/ports.ts';
import type { PepAuthenticator } from '../gateways/pep.ts';
import { tlsFromFiles, type ListenerTls, type TlsSetting } from '../grpc/secure-context.ts';
import type { OnIdentityEvent } from '../identity/events.ts';
import type { OwnSvid } from '../identity/workload-api/own-svid.ts';

export interface ListenersTls {
  /** Throws when files can't be read. */
  read(tls: TlsSetting): ListenerTls;
  /** The same, of a listener of this setting: clients that its trust domain does not vouch for fit no enforcement point. */
  guarded(peps: PepAuthenticator, tls: TlsSetting | undefined): PepAuthenticator;
  /** What is missing; `undefined`: nothing. */
  fault(): string | undefined;
  close(): void;
}

/** Fits no enforcement point. */
const NOBODY = { sans: [], sha256: '' } as const;

/** `changed`: to be read again; with `cut`, connections that are open must not go on. Waits for the Workload API as long as one answer may take. */
export const openListenersTls = async (config: Config['identity'], listeners: readonly (TlsSetting | undefined)[], deps: {
  readonly clock: Clock;
  readonly onEvent: OnIdentityEvent;
  readonly changed: (cut: boolean) => void;
}): Promise<ListenersTls> => {
  const asking = listeners.filter((tls) => tls?.workloadApi === true);
  let svid: OwnSvid | undefined;
  if (asking.length > 0) {
    if (config.workloadApi === undefined) throw new Error('a listener has its certificate from the Workload API, and `identity.workloadApi` is not there');
    const { followOwnSvid } = await import('../identity/workload-api/own-svid.ts');
    svid = followOwnSvid({
      config: config.workloadApi, clock: deps.clock, onEvent: deps.onEvent, onChange: deps.changed,
      clientTrustDomains: [...new Set(asking.flatMap((tls) => tls?.clientTrustDomain ?? []))],
    });
    await svid.ready();
  }
  return {
    read: (tls) => {
      if (tls.workloadApi !== true) return tlsFromFiles(tls);
      return svid?.tls(tls.clientTrustDomain) ?? (tls.clientTrustDomain === undefined ? {} : { clientCa: [] });
    },
    guarded: (peps, tls) => {
      const trustDomain = tls?.workloadApi === true ? tls.clientTrustDomain : undefined;
      if (trustDomain === undefined) return peps;
      return (evidence) => {
        const { certificate } = evidence;
        const vouched = certificate === undefined || svid?.vouchesFor(certificate.sans.filter((name) => name.startsWith('spiffe://')), trustDomain) === true;
        return peps(vouched ? evidence : { ...evidence, certificate: NOBODY });
      };
    },
    fault: () => (asking.every((tls) => svid?.tls(tls?.clientTrustDomain) !== undefined) ? undefined : 'a listener has no SVID from the Workload API, or no authorities to know clients by'),
    close: () => svid?.close(),
  };
};
