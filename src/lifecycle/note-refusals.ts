/**
 * Refusals that somebody should be able to look up: who asked for access, or approved it, and was not allowed to. A note is an event of its own; a
 * refusal stays what it is when it can't be noted, and one actor fills no log.
 */
import type { Clock } from '../decision/ports.ts';
import type { RecordRef } from '../domain/grant-refs.ts';
import type { Store } from '../store/port.ts';
import type { Executed, FailureCode } from './execute.ts';
import type { Call } from './lifecycle.ts';

export interface Refused {
  readonly command: string;
  readonly about?: readonly RecordRef[];
}

/** Hands on what it is given. */
export type NoteRefusal = (call: Call, refused: Refused, executed: Executed) => Promise<Executed>;

const MINUTE_MS = 60_000;
/** Of one actor in a minute; further ones are counted and told with the next. */
export const NOTES_A_MINUTE = 30;
const ACTORS_MAX = 10_000;
const DETAIL_CHARS_MAX = 500;

/** Whose command could not be read at all, or could not be carried out for a reason that lies with us, is not refused access. */
const NOTED: readonly FailureCode[] = ['invalid', 'not-permitted', 'not-found', 'state', 'suspended', 'limit'];

export const createNoteRefusal = ({ store, clock }: { readonly store: Pick<Store, 'commit'>; readonly clock: Pick<Clock, 'monotonicMs'> }): NoteRefusal => {
  const actors = new Map<string, { sinceMs: number; count: number; skipped: number }>();

  /** How many were left out before this one; `undefined`: so is this one. */
  const admitted = (actor: string): number | undefined => {
    const nowMs = clock.monotonicMs();
    const known = actors.get(actor);
    if (known === undefined || !(nowMs - known.sinceMs < MINUTE_MS)) {
      if (known === undefined && actors.size >= ACTORS_MAX) actors.delete(actors.keys().next().value ?? '');
      actors.set(actor, { sinceMs: nowMs, count: 1, skipped: 0 });
      return known?.skipped ?? 0;
    }
    if (known.count >= NOTES_A_MINUTE) {
      known.skipped += 1;
      return undefined;
    }
    known.count += 1;
    return 0;
  };

  return async (call, { command, about = [] }, executed) => {
    if (executed.ok || !NOTED.includes(executed.failure.code)) return executed;
    const skipped = admitted(`${call.realm}/${call.actor.id}`);
    if (skipped === undefined) return executed;
    const { code, detail } = executed.failure;
    const data = { command, by: call.actor.id, code, detail: detail.slice(0, DETAIL_CHARS_MAX), ...(skipped === 0 ? {} : { skipped }), ...(call.traceparent === undefined ? {} : { traceparent: call.traceparent }) };
    try {
      await store.commit({ realm: call.realm, expect: [], puts: [], events: [{ type: 'command.refused', about, ending: false, data }] });
    } catch {
      // The store is away: nothing was given, and that is what counts.
    }
    return executed;
  };
};
