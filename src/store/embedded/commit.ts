/**
 * Applies one commit inside the current write transaction: every check comes before the first write, and the caller runs it in
 * a nested transaction, so that a commit happens whole or not at all.
 */
import type { Instant } from '../../domain/instant.ts';
import type { JsonObject } from '../../domain/json.ts';
import { eventsOf } from '../commit-checks.ts';
import { eventBytes, nextEndings } from '../event.ts';
import {
  recordKeyText,
  type Commit,
  type CommitOutcome,
  type EndingsMark,
  type EventDraft,
  type RecordKey,
  type Stamp,
  type StoredRecord,
} from '../port.ts';
import { bytesAt, type Environment } from './environment.ts';
import { dropRecords, rowsAfter } from './drop.ts';
import { heldAt } from './held-at.ts';
import { readIdempotent, writeIdempotent } from './idempotency.ts';
import { putIndexRow } from './index-row.ts';
import { historyPrefix, keyBytes, kindPrefix, realmPrefix, ROWS_KIND, sequenceKeyBytes } from './keys.ts';
import { ownerRowsKey, ownerRowsValue, parseOwnerRows, shapeKey, withRows, type IndexRow, type Packing } from './owner-rows.ts';
import { encodeRecord, versionOf, type HeldRecord } from './record.ts';
import { encodeState, readState, slotOf, stateKeyBytes } from './realm-state.ts';

/** Far beyond any record that the domain's own limits let through. */
const RECORD_BYTES_MAX = 1_000_000;
const PRESENT = Buffer.from([1]);

const countOf = (record: StoredRecord | undefined): number => {
  const count = record?.value['count'];
  return typeof count === 'number' ? count : 0;
};

export const applyCommit = (environment: Environment, epoch: string, commit: Commit, now: Instant): CommitOutcome => {
  const { realm } = commit;
  const remembered = commit.idempotency === undefined ? undefined : readIdempotent(environment, realm, commit.idempotency, epoch, now);
  if (remembered !== undefined) return remembered;
  if (commit.before !== undefined && !(now < commit.before)) return { outcome: 'late' };

  for (const { key, version } of commit.expect) {
    const bytes = bytesAt(environment.records, { prefix: kindPrefix(realm, key.kind), id: key.id });
    if ((bytes === undefined ? 0 : versionOf(bytes)) !== version) return { outcome: 'conflict', key };
  }

  const stateKey = stateKeyBytes(realm);
  const state = readState(environment, stateKey);
  const events = eventsOf(commit);
  const at = now > state.at ? now : state.at;
  const stamp: Stamp = { sequence: state.sequence + events.length, at };

  const changed = new Map<string, HeldRecord>();
  /** Owners whose lists have to be made anew, with the rows that are new. */
  const listed = new Map<string, IndexRow[]>();
  const current = (key: RecordKey): HeldRecord | undefined => changed.get(recordKeyText(key)) ?? heldAt(environment, realm, key);
  const change = (key: RecordKey, value: JsonObject, before: HeldRecord | undefined, more: Partial<Pick<Commit['puts'][number], 'index' | 'refs' | 'mark'>>): void => {
    const index = before?.index ?? more.index;
    if (more.index !== undefined && index !== undefined && (index.owner !== more.index.owner || index.end !== more.index.end || (before !== undefined && before.index === undefined))) {
      throw new TypeError(`store: owner and end of ${key.kind} records never change`);
    }
    if (index !== undefined) listed.set(index.owner, [...(listed.get(index.owner) ?? []), ...(before === undefined ? [{ end: index.end, key }] : [])]);
    const marked = more.mark === true ? stamp : before?.record.marked;
    changed.set(recordKeyText(key), {
      record: { key, created: before?.record.created ?? stamp, modified: stamp, value, ...(marked === undefined ? {} : { marked }) },
      refs: more.refs ?? before?.refs ?? [],
      ...(index === undefined ? {} : { index }),
    });
  };
  const packing: Packing = {
    recordOf: current,
    keep: ({ name, text }) => {
      const key = shapeKey(name);
      if (current(key) === undefined) change(key, { text }, undefined, {});
    },
  };
  for (const put of commit.puts) change(put.key, put.value, current(put.key), put);
  for (const { key, max } of commit.increments ?? []) {
    const before = current(key);
    const count = countOf(before?.record) + 1;
    if (!(count <= max)) return { outcome: 'exhausted', key };
    change(key, { ...before?.record.value, count }, before, {});
  }

  for (const [owner, rows] of listed) {
    const key = ownerRowsKey(owner);
    const before = current(key);
    change(key, ownerRowsValue(withRows(before?.record.value, rows, at), packing), before, {});
    for (const row of rows) putIndexRow(environment, realm, owner, row);
  }
  const drops = commit.drops ?? [];
  for (const [owner, end] of dropRecords(environment, realm, drops)) {
    const key = ownerRowsKey(owner);
    const before = current(key);
    const from = before === undefined ? at : parseOwnerRows(before.record.value).from;
    // Rows that had ended are in no list.
    if (end > from) change(key, ownerRowsValue({ from, rows: rowsAfter(environment, realm, owner, from) }, packing), before, {});
  }

  const slots = Float64Array.from(state.slots);
  for (const { kind } of drops) slots[slotOf(kind)] = stamp.sequence;
  for (const held of changed.values()) {
    const { kind, id } = held.record.key;
    const prefix = kindPrefix(realm, kind);
    const bytes = encodeRecord(prefix, held);
    if (bytes.length > RECORD_BYTES_MAX && kind !== ROWS_KIND) throw new TypeError(`store: a ${kind} record of ${bytes.length} bytes`);
    environment.records.putSync(keyBytes({ prefix, id }), bytes);
    slots[slotOf(kind)] = stamp.sequence;
  }
  const endings = writeEvents(environment, realm, events, { sequence: state.sequence, at, endings: state.endings });
  environment.state.putSync(stateKey, encodeState({ sequence: stamp.sequence, at, endings, slots }));
  if (commit.idempotency !== undefined) writeIdempotent(environment, realm, commit.idempotency, stamp, now);
  return { outcome: 'committed', position: { epoch, sequence: stamp.sequence }, at };
};

const writeEvents = (
  environment: Environment,
  realm: string,
  drafts: readonly EventDraft[],
  from: { readonly sequence: number; readonly at: Instant; readonly endings: EndingsMark },
): EndingsMark => {
  let { sequence, endings } = from;
  const prefix = realmPrefix(realm);
  for (const draft of drafts) {
    sequence += 1;
    const bytes = eventBytes(draft, { sequence, at: from.at, ...(draft.ending ? { endingSequence: endings.sequence + 1 } : {}) });
    environment.events.putSync(sequenceKeyBytes(prefix, sequence), bytes);
    for (const about of draft.about) environment.history.putSync(sequenceKeyBytes(historyPrefix(realm, about), sequence), PRESENT);
    if (!draft.ending) continue;
    endings = nextEndings(endings, bytes);
    const ending = Buffer.alloc(40);
    ending.writeDoubleLE(sequence, 0);
    ending.write(endings.hash, 8, 'hex');
    environment.endings.putSync(sequenceKeyBytes(prefix, endings.sequence), ending);
  }
  return endings;
};
