/**
 * Keys behind an https endpoint. One fetch at a time; unknown key ids cause at most one fetch per cooldown; failures back off
 * with jitter, up to a few seconds, so that access is back soon after the endpoint is. Each set replaces the one before it
 * whole, so a withdrawn key stops at the next refresh. Keys older than `maxKeyAgeMs` on the monotonic or the wall clock,
 * counted from before they were asked for, verify nothing: an outage beyond that denies.
 */
import type { Clock } from '../decision/ports.ts';
import type { Instant } from '../domain/instant.ts';
import type { RemoteConfig } from './config.ts';
import type { OnIdentityEvent } from './events.ts';
import { fetchKeySet } from './key-fetch.ts';
import type { KeySet, KeyUse } from './key-set.ts';
import type { KeySource } from './key-source.ts';

const BACKOFF_MS_MIN = 250;
const BACKOFF_MS_MAX = 4_000;
const REFRESH_MS_MIN = 1_000;

export const remoteKeySource = (options: {
  readonly config: RemoteConfig;
  readonly use: KeyUse;
  readonly issuer: string;
  readonly clock: Clock;
  readonly onEvent: OnIdentityEvent;
}): KeySource => {
  const { config, use, issuer, clock, onEvent } = options;
  let held: { readonly keys: KeySet; readonly askedAt: number; readonly askedAtLatest: Instant } | undefined;
  let underWay: Promise<void> | undefined;
  let failures = 0;
  let retryAt = Number.NEGATIVE_INFINITY;
  let unknownKeyAt = Number.NEGATIVE_INFINITY;
  let reported: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  const stop = new AbortController();

  const current = (latest: Instant): KeySet | undefined => {
    if (held === undefined) return undefined;
    const young = clock.monotonicMs() - held.askedAt < config.maxKeyAgeMs && latest - held.askedAtLatest < config.maxKeyAgeMs;
    return young ? held.keys : undefined;
  };

  const schedule = (delayMs: number): void => {
    clearTimeout(timer);
    if (stop.signal.aborted) return;
    timer = setTimeout(() => void fetchOnce(), delayMs);
    timer.unref();
  };

  const attempt = async (): Promise<void> => {
    const askedAt = clock.monotonicMs();
    const askedAtLatest = clock.now().latest;
    const fetched = await fetchKeySet(config, issuer, use, stop.signal).catch(() => 'could not be fetched');
    if (stop.signal.aborted) return;
    const wentBack = typeof fetched !== 'string' && fetched.sequence !== undefined && fetched.sequence < (held?.keys.sequence ?? 0);
    if (typeof fetched === 'string' || wentBack) {
      failures += 1;
      const backoffMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failures - 1, 16)) * (0.5 + Math.random() / 2);
      retryAt = clock.monotonicMs() + backoffMs;
      const detail = typeof fetched === 'string' ? fetched : 'spiffe_sequence went back; the newer bundle stays';
      if (detail !== reported) onEvent({ kind: 'keys.failed', issuer, detail });
      reported = detail;
      schedule(backoffMs);
      return;
    }
    if (fetched.digest !== held?.keys.digest || failures > 0) {
      onEvent({ kind: 'keys.loaded', issuer, detail: `${fetched.size} keys, ${fetched.ignored} left out` });
    }
    // The same keys keep their identity: what was verified with them stays verified.
    held = { keys: fetched, askedAt, askedAtLatest };
    failures = 0;
    retryAt = Number.NEGATIVE_INFINITY;
    reported = undefined;
    const refreshMs = Math.max(REFRESH_MS_MIN, Math.min(config.refreshMs, fetched.refreshHintMs ?? config.refreshMs));
    schedule(refreshMs * (0.9 + Math.random() / 10));
  };

  const fetchOnce = (): Promise<void> => {
    underWay ??= attempt().finally(() => { underWay = undefined; });
    return underWay;
  };

  void fetchOnce();
  return {
    current,
    refresh: (why) => {
      if (underWay !== undefined) return underWay;
      const now = clock.monotonicMs();
      if (now < retryAt || (why === 'none' && current(clock.now().latest) !== undefined)) return Promise.resolve();
      if (why === 'unknown key') {
        if (now - unknownKeyAt < config.cooldownMs) return Promise.resolve();
        unknownKeyAt = now;
      }
      return fetchOnce();
    },
    reload: () => fetchOnce(),
    close: () => {
      stop.abort();
      clearTimeout(timer);
    },
  };
};
