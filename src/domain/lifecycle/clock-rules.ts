/** The record that an operator accepted the wall clock as it is. That it is accepted is the matter of whoever holds the clock. */
import type { RecordRef } from '../grant-refs.ts';
import { invalid, type Actor, type Rule } from './change.ts';
import { textFault } from './fields.ts';

/** What the events of the clock are about; one clock a node. */
export const CLOCK: RecordRef = { kind: 'clock', id: 'node' };

/** `behindMs`: by how much the wall lay behind time already used. */
export const resetClock = (reason: string, behindMs: number, actor: Actor): Rule => ({
  ends: true,
  needs: () => [],
  judge: () => {
    const fault = textFault(reason);
    if (fault !== undefined) return invalid([{ path: '/reason', message: fault }]);
    const data = { reason, behindMs, by: actor.id };
    return { ok: true, change: { puts: [], events: [{ type: 'clock.reset', about: [CLOCK], ending: false, data }], reply: data } };
  },
});
