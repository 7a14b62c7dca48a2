/**
 * How long ago the servers last said that the active bundle is the one they have, and what follows from it. With `whenTooOld:
 * deny` every process knows an instant at which the bundle stops deciding: it need not be told when the time has come, only
 * when it was put off.
 */
import { plus, type Instant } from '../domain/instant.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../decision/ports.ts';
import type { Confirmed } from '../policy/source/bundle-source.ts';
import type { BundleSources } from '../policy/source/open-sources.ts';
import type { Log } from '../telemetry/log.ts';
import type { BundleMetrics } from '../telemetry/metrics.ts';

const EVERY_MS = 500;

export interface BundleAge {
  /** The bundle decides before this instant; `undefined`: without end. */
  until(): Instant | undefined;
  /** May the active bundle be asked? */
  mayDecide(): boolean;
  /** What readiness says: that the bundle is too old. */
  notices(): readonly string[];
  /** Sets the gauges to what they are now. */
  measure(): void;
  stop(): void;
}

export interface BundleAgeDeps {
  readonly config: () => Config;
  readonly sources: () => Pick<BundleSources, 'confirmed' | 'confirmations'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: BundleMetrics;
  /** `until` became another one. */
  readonly tell: (until: Instant | undefined) => void;
}

export const watchBundleAge = ({ config, sources, clock, log, metrics, tell }: BundleAgeDeps): BundleAge => {
  /** By the clock that counted more. */
  const ageOf = ({ at, monotonicMs }: Confirmed): number => Math.max(0, clock.now().latest - at, clock.monotonicMs() - monotonicMs);

  const until = (): Instant | undefined => {
    const { maxBundleAgeMs, whenTooOld } = config().policy;
    const confirmed = sources().confirmed();
    return maxBundleAgeMs === undefined || whenTooOld === 'serve' || confirmed === undefined ? undefined : plus(confirmed.at, maxBundleAgeMs);
  };
  /** Milliseconds, when it is too much. */
  const tooOld = (): number | undefined => {
    const { maxBundleAgeMs } = config().policy;
    const confirmed = sources().confirmed();
    if (maxBundleAgeMs === undefined || confirmed === undefined) return undefined;
    const age = ageOf(confirmed);
    return age < maxBundleAgeMs ? undefined : age;
  };
  const denies = (): boolean => config().policy.whenTooOld === 'deny';

  let told = until();
  let wasTooOld = false;
  const look = (): void => {
    const end = until();
    if (end !== told) tell((told = end));
    const age = tooOld();
    if ((age !== undefined) === wasTooOld) return;
    wasTooOld = age !== undefined;
    if (age === undefined) log.info('the policy bundle is confirmed again');
    else log.error(`the policy bundle was not confirmed for too long; ${denies() ? 'everything is denied' : 'it goes on deciding'}`, { ageMs: Math.round(age) });
  };
  const timer = setInterval(look, EVERY_MS);
  timer.unref();

  return {
    until,
    mayDecide: () => !denies() || tooOld() === undefined,
    notices: () => {
      const age = tooOld();
      return age === undefined ? [] : [`the policy bundle was last confirmed ${Math.floor(age / 1_000)} s ago, which is too long (policy.maxBundleAgeMs); ${denies() ? 'everything is denied' : 'it goes on deciding'}`];
    },
    measure: () => {
      metrics.age.reset();
      metrics.lastSuccess.reset();
      for (const [bundle, confirmed] of sources().confirmations()) {
        metrics.age.set({ bundle }, ageOf(confirmed) / 1_000);
        metrics.lastSuccess.set({ bundle }, confirmed.at / 1_000);
      }
    },
    stop: () => clearInterval(timer),
  };
};
