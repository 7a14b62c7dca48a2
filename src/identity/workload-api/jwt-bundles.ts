/**
 * Trust bundles for JWT-SVIDs from the Workload API: one stream for all trust domains of a process. Each message replaces all that was known, so a
 * key, or a whole trust domain, that is left out counts no more. One document that can't be read takes its own trust domain away, not the others.
 */
import type { Clock } from '../../decision/ports.ts';
import { readJwtBundles, WORKLOAD_API } from '../../grpc/proto/spiffe.ts';
import type { OnIdentityEvent } from '../events.ts';
import { parseKeySet, type KeySet } from '../key-set.ts';
import type { KeySource } from '../key-source.ts';
import { JWKS_BYTES_MAX } from '../limits.ts';
import type { WorkloadApiConfig } from './config.ts';
import { followWorkloadApi, isYoung, type Stamp } from './follow.ts';

const TRUST_DOMAINS_MAX = 1_000;

export const followJwtBundles = ({ config, trustDomains, clock, onEvent }: {
  readonly config: WorkloadApiConfig;
  readonly trustDomains: readonly string[];
  readonly clock: Clock;
  readonly onEvent: OnIdentityEvent;
}): { sourceOf(trustDomain: string): KeySource; close(): void } => {
  const held = new Map<string, KeySet>();
  let since: Stamp | undefined;
  const told = new Map<string, string>();
  const tell = (kind: 'keys.loaded' | 'keys.failed', trustDomain: string, detail: string, digest = ''): void => {
    if (told.get(trustDomain) !== kind + detail + digest) onEvent({ kind, issuer: `spiffe://${trustDomain}`, detail });
    told.set(trustDomain, kind + detail + digest);
  };
  const takeOne = (trustDomain: string, document: Uint8Array | undefined): void => {
    const parsed = document === undefined ? 'is not among the bundles' : document.length > JWKS_BYTES_MAX ? 'is too long' : parseKeySet(Buffer.from(document).toString('utf8'), 'workload-api');
    if (typeof parsed === 'string') {
      held.delete(trustDomain);
      return tell('keys.failed', trustDomain, `the bundle from the Workload API ${parsed}; there are no keys`);
    }
    // The same keys keep their identity: what was verified with them stays verified.
    if (held.get(trustDomain)?.digest !== parsed.digest) held.set(trustDomain, parsed);
    tell('keys.loaded', trustDomain, `${parsed.size} keys, ${parsed.ignored} left out`, parsed.digest);
  };
  const followed = followWorkloadApi({
    config, clock,
    method: WORKLOAD_API.jwtBundles,
    take: (message, stamp) => {
      const { bundles } = readJwtBundles(message);
      const count = Object.keys(bundles).length;
      if (count === 0 || count > TRUST_DOMAINS_MAX) return count === 0 ? 'sent no bundle' : `sent more than ${TRUST_DOMAINS_MAX} bundles`;
      for (const one of trustDomains) takeOne(one, Object.hasOwn(bundles, `spiffe://${one}`) ? bundles[`spiffe://${one}`] : undefined);
      since = stamp;
      return undefined;
    },
    withdrawn: () => {
      held.clear();
      since = undefined;
    },
    onFault: (detail) => {
      if (detail !== undefined) for (const one of trustDomains) tell('keys.failed', one, detail);
    },
  });
  return {
    sourceOf: (trustDomain) => ({
      current: (latest) => (isYoung(since, config.maxAgeMs, clock, latest) ? held.get(trustDomain) : undefined),
      // Keys are pushed as they come: an unknown one is no reason to ask.
      refresh: () => followed.tried,
      reload: () => followed.again(),
      close: () => undefined,
    }),
    close: followed.close,
  };
};
