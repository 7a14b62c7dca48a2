/** What a store is, in the plainest words: maps and arrays in memory, for comparing real stores with. */
import { canonicalJson } from '../../src/domain/json.ts';
import type { Instant } from '../../src/domain/instant.ts';
import { checkCommit, eventsOf } from '../../src/store/commit-checks.ts';
import { eventBytes, nextEndings, NO_ENDINGS } from '../../src/store/event.ts';
import { recordKeyText, type Commit, type CommitOutcome, type EndingsMark, type FactsQuery, type RecordKey, type StoredRecord } from '../../src/store/port.ts';

interface Held {
  readonly record: StoredRecord;
  readonly refs: readonly RecordKey[];
  readonly index?: { readonly owner: string; readonly end: Instant };
}

const text = recordKeyText;

export const createModelStore = (epoch: string, now: () => Instant) => {
  let records = new Map<string, Held>();
  const events: { readonly about: readonly string[]; readonly bytes: string }[] = [];
  const replays = new Map<string, { readonly digest: string; readonly until: number; readonly outcome: CommitOutcome }>();
  let at = 0 as Instant;
  let endings: EndingsMark = NO_ENDINGS;

  const commit = (asked: Commit): CommitOutcome => {
    checkCommit(asked);
    const { idempotency } = asked;
    const name = idempotency && JSON.stringify([idempotency.scope, idempotency.key]);
    const kept = name === undefined ? undefined : replays.get(name);
    if (kept !== undefined && now() < kept.until) return kept.digest === idempotency?.digest ? kept.outcome : { outcome: 'key-reused' };
    if (asked.before !== undefined && now() >= asked.before) return { outcome: 'late' };
    for (const { key, version } of asked.expect) if ((records.get(text(key))?.record.modified.sequence ?? 0) !== version) return { outcome: 'conflict', key };
    const drafts = eventsOf(asked);
    const stamp = { sequence: events.length + drafts.length, at: Math.max(now(), at) as Instant };
    const next = new Map(records);
    for (const { key, value, index, refs, mark } of asked.puts) {
      const before = next.get(text(key));
      if (index !== undefined && before !== undefined && canonicalJson(before.index ?? null) !== canonicalJson(index)) throw new TypeError('owner and end');
      const marked = mark === true ? stamp : before?.record.marked;
      const place = before?.index ?? index;
      next.set(text(key), {
        record: { key, created: before?.record.created ?? stamp, modified: stamp, value, ...(marked === undefined ? {} : { marked }) },
        refs: refs ?? before?.refs ?? [], ...(place === undefined ? {} : { index: place }),
      });
    }
    for (const { key, max } of asked.increments ?? []) {
      const before = next.get(text(key));
      const count = ((before?.record.value['count'] as number | undefined) ?? 0) + 1;
      if (count > max) return { outcome: 'exhausted', key };
      next.set(text(key), { ...before, refs: before?.refs ?? [], record: { ...before?.record, key, created: before?.record.created ?? stamp, modified: stamp, value: { ...before?.record.value, count } } });
    }
    for (const key of asked.drops ?? []) next.delete(text(key));
    records = next;
    at = stamp.at;
    for (const draft of drafts) {
      const bytes = eventBytes(draft, { sequence: events.length + 1, at, ...(draft.ending ? { endingSequence: endings.sequence + 1 } : {}) });
      if (draft.ending) endings = nextEndings(endings, bytes);
      events.push({ about: draft.about.map(text), bytes: bytes.toString('utf8') });
    }
    const position = { epoch, sequence: events.length };
    if (idempotency !== undefined && name !== undefined) {
      replays.set(name, { digest: idempotency.digest, until: now() + idempotency.keepMs, outcome: { outcome: 'replayed', position, at, reply: idempotency.reply } });
    }
    return { outcome: 'committed', position, at };
  };

  /** Rows by key, because the order of equal ends is nobody's business. */
  const facts = (query: FactsQuery) => {
    const found = new Map<string, StoredRecord>();
    const bring = (key: RecordKey): void => {
      const held = records.get(text(key));
      if (held !== undefined) found.set(text(key), held.record);
    };
    query.keys.forEach(bring);
    const { owner, endsAfter } = query.index ?? { owner: undefined, endsAfter: 0 };
    const rows = [...records.values()].filter(({ index }) => index !== undefined && index.owner === owner && index.end > endsAfter);
    for (const { refs } of rows) refs.forEach(bring);
    return { position: { epoch, sequence: events.length }, endings, records: found, rows: new Map(rows.map(({ record }) => [text(record.key), record])) };
  };

  return {
    commit, facts,
    list: (kind: string, owner?: string): readonly string[] =>
      [...records.values()].filter(({ record, index }) => record.key.kind === kind && (owner === undefined || index?.owner === owner)).map(({ record }) => text(record.key)).sort(),
    events: (after: number, about?: RecordKey): readonly string[] =>
      events.filter((event, index) => index >= after && (about === undefined || event.about.includes(text(about)))).map(({ bytes }) => bytes),
  };
};

export type ModelStore = ReturnType<typeof createModelStore>;
