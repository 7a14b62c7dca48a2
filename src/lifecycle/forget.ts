/**
 * Forgets one-time tokens and proofs that were seen, once nobody could use them again: `FORGET_AFTER_MS` after the end of the token or of the
 * proof's time. Time never runs backwards (I9), so what has ended stays ended. The margin covers what could make something in time again all the same: processes whose
 * clocks differ by as much as is believed (`maxClockStepMs`, at most an hour), and a reload that gives less leeway to tokens or more age to proofs (at most 16 minutes).
 *
 * That they were used stays in the log. Grants, tasks and endings are another matter: see `compact.ts`.
 */
import type { Clock } from '../decision/ports.ts';
import type { EventType } from '../domain/event-types.ts';
import { isInstant, type Instant } from '../domain/instant.ts';
import type { Store, StoredRecord } from '../store/port.ts';
import { createRounds, type Rounds } from './rounds.ts';

export interface ForgetterDeps {
  readonly store: Pick<Store, 'list' | 'commit'>;
  readonly clock: Clock;
  readonly realms: readonly string[];
  /** Between two rounds; longer after one that took long. */
  readonly pauseMs: number;
  /** Told when a round failed; the next one begins anew. */
  readonly onError: (error: unknown) => void;
}

export interface Forgetter extends Rounds {
  /** One round through everything that was seen; resolves to how much it forgot. */
  forget(): Promise<number>;
}

export const FORGET_AFTER_MS = 2 * 3_600_000;
const PAGE = 500;
const EVENT: EventType = 'credential.forgotten';
/** A round that takes long is followed by a pause so many times as long. */
const PAUSES = 20;

/** A value that can't be understood is kept. */
const untilOf = ({ value }: StoredRecord): Instant | undefined => {
  const { version, until } = value;
  return version === 1 && isInstant(until) ? until : undefined;
};

const isOver = (record: StoredRecord, now: Instant): boolean => {
  const until = untilOf(record);
  return until !== undefined && until + FORGET_AFTER_MS <= now;
};

export const createForgetter = ({ store, clock, realms, pauseMs, onError }: ForgetterDeps): Forgetter => {
  const forgetIn = async (realm: string): Promise<number> => {
    let forgotten = 0;
    for (let after: string | undefined; ; ) {
      const page = await store.list(realm, { kind: 'once', limit: PAGE, ...(after === undefined ? {} : { after }) });
      const now = clock.now();
      if (!now.trusted) return forgotten;
      const drops = page.items.filter((record) => isOver(record, now.earliest)).map(({ key }) => key);
      if (drops.length > 0) {
        await store.commit({ realm, expect: [], puts: [], drops, events: [{ type: EVENT, about: [], ending: false, data: { count: drops.length } }] });
        forgotten += drops.length;
      }
      if (page.next === undefined) return forgotten;
      after = page.next;
    }
  };
  const forget = async (): Promise<number> => {
    let forgotten = 0;
    for (const realm of realms) forgotten += await forgetIn(realm);
    return forgotten;
  };
  return { forget, ...createRounds({ round: forget, pauseMs: (tookMs) => Math.max(pauseMs, PAUSES * tookMs), monotonicMs: clock.monotonicMs, onError }) };
};
