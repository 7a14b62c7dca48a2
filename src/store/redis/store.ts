/**
 * The Redis store: one primary (or one a slot) shared by the processes of a fleet.
 *
 * - A read, or a look at what changed, is one script call on the primary, sent when it is asked for: it sees every commit that any
 *   process was told of before.
 * - A commit's promise resolves after the server confirmed it, as durably as configured. A rejected one is `StoreUnavailable`: the
 *   outcome is unknown, and nothing is sent a second time.
 * - A server that knows less than it once told this process is refused, and so is one that was emptied or replaced.
 * - Nothing waits for a server that is away: reads and commits fail within their times.
 *
 * Not guaranteed: that someone who may write to the server hasn't undone something (`docs/guides/redis.md`).
 */
import { isInstant, type Instant } from '../../domain/instant.ts';
import type { Clock } from '../../decision/ports.ts';
import { createEnforced } from '../leased/enforce.ts';
import type { Longest } from '../longest.ts';
import { recordKeyText, StoreUnavailable, type Commit, type EndingsMark, type FactsQuery, type FactsRead, type NodeStore } from '../port.ts';
import { createChanges } from './changes.ts';
import { commitArguments, commitOutcome, seenByCommit } from './commit.ts';
import { createConfirm } from './confirm.ts';
import { scriptOf, type Connection } from './connection.ts';
import { factsArguments, factsRead, seenByFacts } from './facts.ts';
import type { Fences } from './fence.ts';
import { realmKeys, recordField } from './keys.ts';
import { createLeases, createRows } from './leases.ts';
import { createOpenLimits, limitsRow } from './limits.ts';
import { createOnRealm } from './on-realm.ts';
import { eventsAfter, fieldsOfKind, rowsOfOwner } from './pages.ts';
import type { Seal } from './seal.ts';
import { commitLua } from './scripts/commit.ts';
import { factsLua } from './scripts/facts.ts';
import { readClockMark, writeClockMark } from './clock-mark.ts';
import { takeTurn } from './turn.ts';
import type { Watch } from './watch.ts';
import { StoreRegressed, type Seen, type Witness } from './witness.ts';
import { healedRef } from './regress.ts';

const FACTS = scriptOf(factsLua);
const COMMIT = scriptOf(commitLua);

export interface RedisStoreParts {
  /** For reads, and for commits. */
  readonly reads: Connection;
  readonly writes: Connection;
  readonly epoch: string;
  readonly seal: Seal;
  /** `Meta.short` */
  readonly short: boolean;
  readonly watch: Watch;
  readonly witness: Witness;
  /** Where there are replicas. */
  readonly fence?: Fences;
  readonly readTimeoutMs: number;
  readonly commitTimeoutMs: number;
  /** Replicas that must have a commit before it counts as confirmed; 0: none. */
  readonly replicas: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly leaseMs: number;
  /** This process may answer from memory; how it connects once more, to hear of commits. */
  readonly leasesOver?: Parameters<typeof createLeases>[2];
  /** How long leases of this server's earlier lives may last, where it forgets them. */
  readonly settleMs?: () => number;
  /** By which this process decides. Absent: it does not. */
  readonly limits?: Longest;
  /** Rejects while nothing of the store may be believed; `undefined`: it may. */
  readonly check?: () => Promise<void> | undefined;
  /** In place of the server's time; for tests. */
  readonly instant?: () => Instant;
}

export interface RedisStore extends NodeStore {
  /** What the server has, whatever was known of it; `hashThen`: its hash after so many endings, '' where there are not so many. */
  asked(realm: string, endings: number): Promise<{ readonly seen: Seen; readonly hashThen: string }>;
}

export const createRedisStore = (parts: RedisStoreParts): RedisStore => {
  const { reads, writes, epoch, seal, short, watch, witness, fence, readTimeoutMs, commitTimeoutMs, replicas } = parts;
  const confirmed = createConfirm(replicas);
  let closed = false;
  /** Realms whose last answer contradicted what is known. */
  const regressed = new Set<string>();

  const open = (): void => {
    if (closed) throw new StoreUnavailable('the store is closed');
  };
  /** Fails while the store may not be asked; `undefined`: it may, and what is asked for goes out in this turn of the loop. */
  const ready = (): Promise<void> | undefined => {
    open();
    watch.check();
    return parts.check?.();
  };

  const onRealm = createOnRealm(epoch, replicas, parts.limits && createOpenLimits({ connection: writes, epoch, replicas, timeoutMs: commitTimeoutMs }, parts.limits));
  const limits = parts.limits === undefined ? '' : limitsRow(parts.limits);

  /** The server as it is, whatever was known of it. */
  const askAsItIs = (query: FactsQuery, endingsKnown: number): Promise<readonly unknown[]> => {
    const keys = realmKeys(query.realm);
    return onRealm(reads, readTimeoutMs, FACTS, query.realm, [keys.state, keys.records, keys.index, keys.endings], [epoch, endingsKnown, '', ...factsArguments(query)]);
  };
  /** Has somebody put back everything that the server lost since `known`? */
  const isHealed = async (realm: string, known: Seen): Promise<boolean> => {
    const key = healedRef(known.endings);
    const query = { realm, keys: [key] };
    return factsRead(query, await askAsItIs(query, 0), { epoch, seal }).records.get(recordKeyText(key))?.value['version'] === 1;
  };
  const ask = async (query: FactsQuery, args: readonly (string | number)[]): Promise<FactsRead> => {
    const { realm } = query;
    const known = witness.known(realm);
    try {
      const read = await askOnce(query, args);
      regressed.delete(realm);
      return read;
    } catch (error) {
      if (!(error instanceof StoreRegressed) || known === undefined) throw error;
      if (await isHealed(realm, known)) witness.forget(realm);
      // Nobody was told that the rest was confirmed: what a failover may lose. Whoever keeps it puts it back.
      else if (!witness.revert(realm)) {
        regressed.add(realm);
        throw error;
      }
      return askOnce(query, args);
    }
  };

  /** `args`: what follows epoch, known endings and limits. */
  const askOnce = async (query: FactsQuery, args: readonly (string | number)[]): Promise<FactsRead> => {
    const looking = ready();
    if (looking !== undefined) await looking;
    const { realm } = query;
    const fenced = fence?.of(realm);
    const lease = fenced?.held();
    const { state, records, index, endings } = realmKeys(realm);
    const known = witness.known(realm);
    const keys = [state, records, index, endings, ...(fenced === undefined ? [] : [fenced.key])];
    const answer = await onRealm(reads, readTimeoutMs, FACTS, realm, keys, [epoch, known?.endings.sequence ?? 0, limits, ...args]);
    if (lease !== undefined) fenced?.check(lease, String(answer[9]));
    const read = factsRead(query, answer, { epoch, seal });
    watch.reached(Number(answer[7]) as Instant);
    witness.see(realm, known, { sequence: read.position.sequence, endings: read.endings }, String(answer[8]));
    return read;
  };
  // Bad questions are the asker's mistake, whatever the server is like.
  const facts = async (query: FactsQuery): Promise<FactsRead> => ask(query, factsArguments(query));

  const commit = async (asked: Commit): Promise<ReturnType<typeof commitOutcome>> => {
    const now = parts.instant?.();
    const context = { epoch, seal, short, ...(now === undefined ? {} : { now }) };
    const args = commitArguments(asked, context);
    const looking = ready();
    if (looking !== undefined) await looking;
    const there = writes.at(realmKeys(asked.realm).state);
    // One that was never asked is not connected to yet.
    if (replicas > 0 && Number.isNaN(there.generation())) await there.command(commitTimeoutMs, 'TIME');
    const generation = there.generation();
    const known = witness.known(asked.realm);
    const answer = await onRealm(writes, commitTimeoutMs, COMMIT, asked.realm, Object.values(realmKeys(asked.realm)), [epoch, known?.endings.sequence ?? 0, ...args]);
    const outcome = commitOutcome(asked, answer, context);
    if (outcome.outcome !== 'committed' && outcome.outcome !== 'replayed') return outcome;
    if (replicas > 0) await confirmed(there, generation, commitTimeoutMs);
    const { seen, hashThen } = seenByCommit(answer);
    witness.committed(asked.realm, known, seen, hashThen);
    return outcome;
  };

  /** Records by field, in the order asked for. */
  const byFields = async (realm: string, fields: readonly string[]): Promise<FactsRead['records']> => {
    const read = await ask({ realm, keys: [] }, [fields.length, ...fields]);
    return new Map([...read.records.values()].map((record) => [recordField(record.key), record]));
  };

  const leaseParts = { connection: replicas > 0 ? writes : reads, epoch, replicas, timeoutMs: Math.min(readTimeoutMs, parts.leaseMs), watch, witness, onRealm, ready, limits };
  const rows = createRows(leaseParts);
  const leases = parts.leasesOver === undefined ? undefined : createLeases(leaseParts, parts.leaseMs, parts.leasesOver);

  return {
    epoch,
    confirmsBy: 'age',
    fenceMs: () => (fence?.settleMs() ?? 0) + (parts.settleMs?.() ?? 0),
    changes: createChanges({ connection: reads, epoch, timeoutMs: readTimeoutMs, watch, witness, ...(fence === undefined ? {} : { fence }), onRealm, ready, limits }),
    ...(leases === undefined ? {} : { leases }),
    holders: (realm) => rows.read(realm),
    enforced: createEnforced({ holders: rows.read, clock: parts.clock, leaseMs: parts.leaseMs }),
    facts,
    endings: async (realm): Promise<EndingsMark> => (await facts({ realm, keys: [] })).endings,
    commit,
    read: async (realm, keys) => {
      open();
      const fields = keys.map(recordField);
      const found = await byFields(realm, fields);
      return fields.map((field) => found.get(field));
    },
    list: async (realm, { kind, owner, after, limit }) => {
      open();
      const listing = { connection: reads, timeoutMs: readTimeoutMs, realm, kind, after, limit };
      const { fields, next } = await (owner === undefined ? fieldsOfKind(listing) : rowsOfOwner({ ...listing, owner }));
      const found = await byFields(realm, fields);
      // One that was dropped in between is listed no more.
      return { items: fields.flatMap((field) => found.get(field) ?? []), ...(next === undefined ? {} : { next }) };
    },
    events: async (realm, options) => {
      open();
      return eventsAfter({ connection: reads, timeoutMs: readTimeoutMs, realm, epoch, ...options });
    },
    health: async () => {
      if (closed) return { readable: false, writable: false, detail: 'the store is closed' };
      try {
        await watch.look();
        if (parts.check !== undefined) await parts.check();
        // Asked again: who is not ready is asked nothing else.
        for (const realm of regressed) await facts({ realm, keys: [] });
      } catch (error) {
        return { readable: false, writable: false, detail: (error as Error).message };
      }
      // What the last commit said may be long ago: one that decides may never commit.
      return writes.command(readTimeoutMs, 'TIME').then(() => ({ readable: true, writable: true }), (error: Error) => ({ readable: true, writable: false, detail: error.message }));
    },
    close: async () => {
      if (closed) return;
      closed = true;
      watch.stop();
      fence?.stop();
      leases?.close();
      // What was asked for before is still answered.
      const until = commitTimeoutMs / 5;
      for (let waited = 0; reads.waiting() + writes.waiting() > 0 && waited < until; waited += 1) await new Promise((resolve) => { setTimeout(resolve, 5); });
      reads.close();
      writes.close();
    },
    readClockMark: () => readClockMark(reads, readTimeoutMs),
    writeClockMark: async (instant) => {
      if (!isInstant(instant)) throw new TypeError('store: a clock mark that is not an instant');
      open();
      await writeClockMark(writes, commitTimeoutMs, instant);
    },
    authority: () => watch.offset(),
    asked: async (realm, count) => seenByFacts(await askAsItIs({ realm, keys: [] }, count)),
    takeTurn: (name, holder, ms) => takeTurn(reads, readTimeoutMs, name, holder, ms),
  };
};

