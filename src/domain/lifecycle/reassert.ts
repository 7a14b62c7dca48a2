/**
 * Puts an ending back that the store lost: from what its event told, under a new position. It may be done by any node, and more than
 * once: what is there already stays as it is. Nothing here gives access; a suspension that was lifted since stands again.
 */
import type { EventType } from '../event-types.ts';
import { endingRef, taskRef, type RecordRef } from '../grant-refs.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts';
import { readEnding, readTask } from '../records.ts';
import { selectorKey, type Selector } from '../selector.ts';
import type { Change, Loaded, Rule, Ruling } from './change.ts';
import { revocationRef, suspensionRef, type RevocationRecord, type SuspensionRecord } from './ending-rules.ts';
import { graceEndNeeds, graceEndPuts } from './grace-given.ts';

interface Told {
  readonly type: string;
  readonly data: JsonObject;
}

const unchanged: Ruling = { ok: true, unchanged: { sequence: 0, reply: {} } };

const change = (type: EventType, puts: Change['puts'], data: JsonObject): Ruling => ({
  ok: true,
  change: { puts, events: [{ type, about: puts.map(({ key }) => key), ending: true, data: { ...data, reasserted: true } }], reply: {} },
});

type Standing = JsonObject & { readonly suspensions: readonly JsonValue[] };

const ofSelector = (type: EventType, own: RecordRef, selector: Selector, data: JsonObject, record: JsonObject, add: (standing: Standing) => JsonObject, mark: boolean): Rule => {
  const ending = endingRef(selector);
  return {
    ends: true,
    needs: (loaded: Loaded) => [own, ending, ...graceEndNeeds(loaded, selector)],
    judge: (loaded: Loaded) => {
      if (loaded.record(own) !== undefined) return unchanged;
      const held = loaded.record(ending)?.value;
      // One that can't be understood covers everything already.
      if (held !== undefined && readEnding(held) === undefined) return unchanged;
      const standing = (held ?? { version: 1, selector: selectorKey(selector), suspensions: [] }) as Standing;
      return change(type, [{ key: ending, value: add(standing), ...(mark ? { mark } : {}) }, { key: own, value: record }, ...graceEndPuts(loaded, selector)], data);
    },
  };
};

/** `undefined`: an event that this version does not know how to put back. */
export const reassert = ({ type, data }: Told): Rule | undefined => {
  const { revocation, suspension, task } = data;
  if (type === 'revocation.placed' && isJsonObject(revocation)) {
    const { id, selector } = revocation as unknown as RevocationRecord;
    return ofSelector(type, revocationRef(id), selector, data, revocation, (standing) => ({ ...standing, revocation: id }), true);
  }
  if (type === 'suspension.placed' && isJsonObject(suspension)) {
    const { id, selector, placedBy, reason } = suspension as unknown as SuspensionRecord;
    return ofSelector(type, suspensionRef(id), selector, data, suspension, (standing) => ({ ...standing, suspensions: [...standing.suspensions, { id, placedBy, reason }] }), false);
  }
  if ((type === 'task.paused' || type === 'task.closed') && isJsonObject(task)) {
    const ended = readTask(task);
    if (ended === undefined) return undefined;
    const key = taskRef(ended.id);
    return {
      ends: true,
      needs: () => [key],
      judge: (loaded) => {
        const held = loaded.record(key);
        const now = held === undefined ? undefined : readTask(held.value);
        // Without its record nothing hangs on it.
        if (held === undefined || now === undefined || now.state === 'closed' || now.state === ended.state) return unchanged;
        return change(type, [{ key, value: task }], data);
      },
    };
  }
  // Says that others are there again; each of them has an event of its own.
  return type === 'endings.healed' ? { ends: true, needs: () => [], judge: () => unchanged } : undefined;
};
