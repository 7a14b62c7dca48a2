/** Mints development identities from the key file of a development start, as `curfew dev-token` does. */
import { mintDevelopmentToken, readDevelopmentKey } from '../identity/development.ts';
import { createClock } from '../time/clock.ts';

export type Mint = (workload: string) => Promise<string>;

const TTL_MS = 300_000;

export const developmentIdentity = (directory: string): Mint => {
  const key = readDevelopmentKey(directory);
  const clock = createClock({ maxClockStepMs: TTL_MS });
  return (workload) => mintDevelopmentToken({ key, workload, ttlMs: TTL_MS, now: clock.now().latest });
};
