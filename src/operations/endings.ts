/**
 * After a restore: an operator says what has ended since the backup, or accepts that it is not known. What is imported takes effect under
 * new positions, as if it were ended now; only then grants from before the restore count again. Where the loss is accepted nothing that was
 * issued before counts, ever. Both are written into the log with the operator's name.
 */
import type { Config } from '../config/schema.ts';
import { raise, withAlerts } from '../domain/alert.ts';
import type { EndingRecord } from '../domain/ending.ts';
import type { EventType } from '../domain/event-types.ts';
import { endingRef, usesRef } from '../domain/grant-refs.ts';
import type { Instant } from '../domain/instant.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { revocationRef, suspensionRef, type RevocationRecord } from '../domain/lifecycle/ending-rules.ts';
import { readEnding } from '../domain/records.ts';
import { selectorKey, type Selector } from '../domain/selector.ts';
import { newId } from '../lifecycle/new-id.ts';
import { followEndings, type Entry } from '../store/copy/entries.ts';
import { recordKeyText, StoreUnavailable, type Commit, type NodeStore, type Put, type RecordKey } from '../store/port.ts';
import type { Restored } from '../store/provenance.ts';
import { createClock } from '../time/clock.ts';
import { openCopyFile, type CopyFile } from './copy-file.ts';
import { openRestored, withLoss, withProvenance } from './stores.ts';
import type { Loss } from '../store/redis/declare-lost.ts';

export interface Statement {
  /** Who says so. */
  readonly by: string;
  readonly reason: string;
  /** As whom and where the command ran: what the machine knows of that. */
  readonly ranAs: string;
}

type EventLine = Extract<Entry, { what: 'event' }>;
const YEAR_MS = 366 * 86_400_000;

const restoredOf = async (config: Config): Promise<{ readonly restored: Restored; readonly epoch: string }> => {
  const { epoch, provenance: { restored } } = await withProvenance(config);
  if (restored === undefined) throw new StoreUnavailable('the store was not restored, or what ended since was said already; and as far as this node knows its server lost nothing');
  return { restored, epoch };
};

/** Records as the import has made them so far. */
const createDesk = (store: NodeStore, realm: string) => {
  const held = new Map<string, JsonObject | undefined>();
  const read = async (key: RecordKey): Promise<JsonObject | undefined> => {
    const name = recordKeyText(key);
    if (!held.has(name)) held.set(name, (await store.read(realm, [key]))[0]?.value);
    return held.get(name);
  };
  return {
    read,
    ending: async (selector: string): Promise<EndingRecord> => {
      const value = await read({ kind: 'ending', id: selector });
      const ending = value === undefined ? { version: 1 as const, selector, suspensions: [] } : readEnding(value);
      if (ending === undefined) throw new StoreUnavailable('a record of an ending is not of a known form: use the version that wrote it');
      return ending;
    },
    put: (key: RecordKey, value: object, mark = false): Put => {
      held.set(recordKeyText(key), value as JsonObject);
      return { key, value: value as JsonObject, mark };
    },
  };
};
type Desk = ReturnType<typeof createDesk>;

/** What one event took away, as changes of records; `undefined` when it took nothing away. Throws for an ending that is not understood. */
const changesOf = async (desk: Desk, { event, about }: EventLine): Promise<Pick<Commit, 'puts' | 'increments'> | undefined> => {
  const { type, data } = event;
  const { revocation, suspension, task, grant } = data;
  const selectorOf = (value: JsonObject): string => selectorKey(value['selector'] as unknown as Selector);
  if (type === 'grant.used' && typeof grant === 'string') return { puts: [], increments: [{ key: usesRef(grant), max: Number.MAX_SAFE_INTEGER }] };
  // Until when it would have counted is not in the log: far longer than any credential lives.
  if (type === 'credential.used') return { puts: about.filter(({ kind }) => kind === 'once').map((key) => desk.put(key, { version: 1, until: event.at + YEAR_MS })) };
  if (event.endingSequence === undefined) return undefined;
  if (type === 'revocation.placed' && isJsonObject(revocation)) {
    const ending = await desk.ending(selectorOf(revocation));
    const { id } = revocation as unknown as RevocationRecord;
    return { puts: [desk.put({ kind: 'ending', id: ending.selector }, { ...ending, revocation: id }, true), desk.put(revocationRef(id), revocation)] };
  }
  if (type === 'suspension.placed' && isJsonObject(suspension)) {
    const ending = await desk.ending(selectorOf(suspension));
    const { id, placedBy, reason } = suspension as unknown as RevocationRecord;
    return { puts: [desk.put({ kind: 'ending', id: ending.selector }, { ...ending, suspensions: [...ending.suspensions, { id, placedBy, reason }] }), desk.put(suspensionRef(id), suspension)] };
  }
  if ((type === 'task.closed' || type === 'task.paused') && isJsonObject(task) && typeof task['id'] === 'string') return { puts: [desk.put({ kind: 'task', id: task['id'] }, task)] };
  // Says that others are there again; each of them has an event of its own.
  if (type === 'endings.healed') return undefined;
  throw new StoreUnavailable(`event ${event.sequence} ended something in a way that can not be imported (${type}). Accept the loss instead: nothing issued before the restore counts then`);
};

/** Events of all files after the backup, in order, without a gap. */
const eventsSince = async function* (files: readonly CopyFile[], realm: string, chain: ReturnType<typeof followEndings>): AsyncGenerator<readonly EventLine[]> {
  for (const file of files) {
    for await (const batch of file.entries(realm)) {
      const fresh = batch.filter((entry): entry is EventLine => entry.what === 'event' && entry.event.sequence > chain.reached().sequence);
      chain.add(fresh);
      if (fresh.length > 0) yield fresh;
    }
  }
};

const honoursOf = async (store: NodeStore, realm: string): Promise<readonly string[]> => (await createDesk(store, realm).ending(endingRef({ kind: 'realm', value: realm }).id)).honours ?? [];

const committed = async (store: NodeStore, commit: Commit): Promise<void> => {
  const { outcome } = await store.commit(commit);
  if (outcome !== 'committed') throw new StoreUnavailable(`the store did not take what was imported (${outcome}): run the same command again`);
};

interface Imported { readonly endings: number; readonly sequence: number; readonly at: Instant | undefined; readonly taken: number }

const importRealm = async (store: NodeStore, realm: string, files: readonly CopyFile[], restored: Restored, statement: Statement): Promise<Imported> => {
  const from = restored.realms[realm];
  if (from === undefined) throw new StoreUnavailable(`the backup did not hold the realm ${realm}`);
  const chain = followEndings(from);
  const desk = createDesk(store, realm);
  const done = (await honoursOf(store, realm)).includes(restored.epoch);
  let taken = 0;
  let at: Instant | undefined;
  for await (const batch of eventsSince(files, realm, chain)) {
    for (const line of batch) {
      at = line.event.at;
      const changes = await changesOf(desk, line);
      if (changes === undefined || done) continue;
      const { type, data, endingSequence, sequence } = line.event;
      await committed(store, { realm, expect: [], ...changes, events: [{ type, about: line.about, ending: endingSequence !== undefined, data: { ...data, imported: { epoch: restored.epoch, sequence } } }] });
      taken += 1;
    }
  }
  const { sequence, endings } = chain.reached();
  if (!done) {
    const ref = endingRef({ kind: 'realm', value: realm });
    const standing = await desk.ending(ref.id);
    await committed(store, {
      realm, expect: [], puts: [desk.put(ref, { ...standing, honours: [...(standing.honours ?? []), restored.epoch] })],
      events: [{ type: 'store.restored' satisfies EventType, about: [ref], ending: false, data: { ...statement, from: { epoch: restored.epoch, sequence: from.sequence }, upTo: { sequence, at: at ?? from.at }, imported: taken } }],
    });
  }
  return { endings: endings.sequence, sequence, at, taken };
};

/** Commits the acceptance of a loss, and that somebody hears of it. */
const accepted = (store: NodeStore, restored: Restored, statement: Statement, keepsGrants: boolean, commit: Commit): Promise<void> => {
  const { latest } = createClock({ maxClockStepMs: 1 }).now();
  return committed(store, withAlerts(commit, [raise('loss.accepted', `${commit.realm}:${restored.epoch}`, latest, { realm: commit.realm, epoch: restored.epoch, keepsGrants, ...statement })]));
};

/** What was issued before goes on counting, whatever had ended of it. */
const keepIn = async (store: NodeStore, realm: string, restored: Restored, statement: Statement): Promise<void> => {
  const ref = endingRef({ kind: 'realm', value: realm });
  const standing = await createDesk(store, realm).ending(ref.id);
  await accepted(store, restored, statement, true, {
    realm, expect: [], puts: [{ key: ref, value: { ...standing, honours: [...new Set([...(standing.honours ?? []), restored.epoch])] } as unknown as JsonObject }],
    events: [{ type: 'store.restored' satisfies EventType, about: [ref], ending: false, data: { ...statement, from: { epoch: restored.epoch, sequence: restored.realms[realm]?.sequence ?? 0 }, accepted: true, keepsGrants: true } }],
  });
};

const acceptIn = async (store: NodeStore, realm: string, restored: Restored, statement: Statement, id: string): Promise<void> => {
  const selector: Selector = { kind: 'realm', value: realm };
  const ref = endingRef(selector);
  const standing = await createDesk(store, realm).ending(ref.id);
  const record: RevocationRecord = { version: 1, id, selector, reason: statement.reason, placedBy: statement.by, settleMs: 0, notes: ['the store was restored from a backup; nothing issued before counts'] };
  const value = record as unknown as JsonObject;
  await accepted(store, restored, statement, false, {
    realm, expect: [],
    puts: [{ key: ref, value: { ...standing, revocation: id } as unknown as JsonObject, mark: true }, { key: revocationRef(id), value }],
    events: [
      { type: 'revocation.placed' satisfies EventType, about: [revocationRef(id), ref], ending: true, data: { revocation: value, by: statement.by } },
      { type: 'store.restored' satisfies EventType, about: [ref], ending: false, data: { ...statement, from: { epoch: restored.epoch, sequence: restored.realms[realm]?.sequence ?? 0 }, accepted: true } },
    ],
  });
};

/** From now on the store answers. */
const settle = (config: Config, restored: Restored, known: Readonly<Record<string, number | null>>): Promise<unknown> =>
  withProvenance(config, ({ restored: _restored, ...rest }) => ({ ...rest, succeeds: { ...rest.succeeds, [restored.epoch]: known } }));

const inStore = async <T>(config: Config, work: (store: NodeStore) => Promise<T>): Promise<T> => {
  const store = await openRestored(config);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
};

/** `paths`: files of `exportEndings` that follow the backup without a gap. Resolves to what is known now, by realm. */
export const importEndings = async (config: Config, paths: readonly string[], key: string | undefined, statement: Statement): Promise<ReadonlyMap<string, Imported>> => {
  const { restored } = await restoredOf(config);
  const files = await Promise.all(paths.map((path) => openCopyFile(path, 'endings', key)));
  for (const { head } of files) if (head.epoch !== restored.epoch) throw new StoreUnavailable('the endings are of another store than the backup');
  const realms = Object.keys(restored.realms);
  const imported = await inStore(config, async (store) => {
    // Everything is looked at before anything is done.
    for (const realm of realms) {
      const desk = createDesk(store, realm);
      const from = restored.realms[realm];
      for await (const batch of eventsSince(files, realm, followEndings(from))) for (const line of batch) await changesOf(desk, line);
    }
    const all = new Map<string, Imported>();
    for (const realm of realms) all.set(realm, await importRealm(store, realm, files, restored, statement));
    return all;
  });
  await settle(config, restored, Object.fromEntries([...imported].map(([realm, { endings }]) => [realm, endings])));
  return imported;
};

export interface Acceptance {
  /** Name of what a Redis server lost, of a store that was not restored. */
  readonly loss?: string | undefined;
  /** Grants that were issued before count all the same. */
  readonly keepsGrants?: boolean;
}

/** The loss has another name than the one given, or none was given: nothing was changed. */
export class LossNotNamed extends Error {
  readonly loss: Loss;
  constructor(loss: Loss) {
    super('the loss must be accepted by its name');
    this.loss = loss;
  }
}

/** Unless grants are kept nothing that was issued before counts from now on; what is issued from now on does. */
export const acceptLoss = async (config: Config, statement: Statement, { loss: named, keepsGrants = false }: Acceptance = {}): Promise<void> => {
  if ((await withProvenance(config).catch(() => undefined))?.provenance.restored === undefined) {
    const loss = await withLoss(config, named);
    if (loss !== undefined && loss.name !== named) throw new LossNotNamed(loss);
  }
  const { restored } = await restoredOf(config);
  const realms = Object.keys(restored.realms);
  await inStore(config, async (store) => {
    for (const realm of realms) await (keepsGrants ? keepIn(store, realm, restored, statement) : acceptIn(store, realm, restored, statement, newId(createClock({ maxClockStepMs: 1 }).now().latest)));
  });
  await settle(config, restored, Object.fromEntries(realms.map((realm) => [realm, null])));
};
