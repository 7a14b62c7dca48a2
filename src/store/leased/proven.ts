/**
 * A strict store that remembers. Each question is answered from one atomic read that was sent after it came: either the whole of its
 * facts, or, where they are remembered, what has changed since they were read, which proves the rest. Questions that come before
 * such a call is sent share it.
 *
 * - Memory is the truth at one position. The call says what happened after it; that is applied, and only then anybody is answered.
 * - What can't be told any more (a gap in the changes, another connection, another history) empties the memory; the question is read whole.
 * - A call that fails fails those who wait for it: nobody is answered from memory without one. A question that can't be answered
 *   fails alone.
 */
import { createMemoSpace } from '../embedded/memo.ts';
import type { Changes } from '../leases.ts';
import { StoreUnavailable, type FactsQuery, type FactsRead, type NodeStore } from '../port.ts';
import { createRealmMemory, type RealmMemory } from './memory.ts';
import { narrow, wide } from './width.ts';

const REALMS_MAX = 1_000;
const NOTHING: FactsQuery = { realm: '', keys: [] };
/** Of those that waited for one call so many go on in one turn of the loop: some transports send when a turn ends. */
const RELEASED_A_TURN = 8;

type Found = Pick<FactsRead, 'position' | 'endings' | 'records' | 'rows' | 'ended' | 'truncated'>;

interface Waiter {
  readonly query: FactsQuery;
  readonly go: (found: Found | undefined) => void;
  readonly fail: (error: unknown) => void;
}

/** Asks what changed, for all who came before it was sent, and answers them from memory as it is right then. */
const createProof = (realm: string, epoch: string, memory: RealmMemory, changes: Changes) => {
  let history = changes.history(realm);
  /** Those for whom the next call is made. */
  let waiting: Waiter[] = [];
  let scheduled = false;
  let underWay = 0;

  const sameHistory = (): boolean => {
    const now = changes.history(realm);
    if (now === history) return true;
    history = now;
    memory.forget();
    return false;
  };
  const answer = ({ query, go, fail }: Waiter): (() => void) => {
    try {
      const { position, endings } = memory;
      const found = position === undefined || endings === undefined ? undefined : memory.answer(query);
      if (found === undefined || position === undefined || endings === undefined) return () => go(undefined);
      const { records, rows, ended, truncated } = found;
      // Told whole each time, as in `open.ts`.
      return () => go({ position: { epoch, sequence: position }, endings, records, rows, ended, truncated });
    } catch (error) {
      return () => fail(error);
    }
  };
  const release = (answers: readonly (() => void)[], from = 0): void => {
    for (const one of answers.slice(from, from + RELEASED_A_TURN)) one();
    if (answers.length > from + RELEASED_A_TURN) setImmediate(release, answers, from + RELEASED_A_TURN);
  };
  const send = async (): Promise<void> => {
    scheduled = false;
    const waiters = waiting;
    waiting = [];
    underWay += 1;
    try {
      sameHistory();
      const { life, position } = memory;
      const followed = await changes.follow(realm, position);
      // What was emptied meanwhile is not filled by an older answer; those who waited read for themselves.
      if (sameHistory() && memory.life === life) {
        memory.apply(followed);
        release(waiters.map(answer));
      } else release(waiters.map(({ go }) => () => go(undefined)));
    } catch (error) {
      const regressed = (error as { readonly reason?: unknown }).reason === 'facts.regressed';
      // Whether that was put right is found out by a strict read.
      if (regressed) memory.forget();
      release(waiters.map(({ go, fail }) => () => (regressed ? go(undefined) : fail(error))));
    } finally {
      underWay -= 1;
    }
  };
  return {
    sameHistory,
    /** From memory, as of a moment after this call; `undefined`: it has to be read. Rejects when that moment can't be known. */
    ask: (query: FactsQuery): Promise<Found | undefined> =>
      new Promise((go, fail) => {
        waiting.push({ query, go, fail });
        if (scheduled) return;
        if (underWay === 0) return void send();
        // After what this turn of the loop has read, at once: those questions share the call.
        scheduled = true;
        setImmediate(() => void send());
      }),
  };
};

interface Realm {
  readonly memory: RealmMemory;
  readonly proof: ReturnType<typeof createProof>;
}

/** `bytesMax`: of what is remembered, about. Closing it closes `store`. */
export const openProvenStore = (store: NodeStore, { bytesMax }: { readonly bytesMax: number }): NodeStore => {
  const { changes, epoch } = store;
  if (changes === undefined) throw new TypeError('store: this store does not tell what changed');
  const space = createMemoSpace(bytesMax);
  const realms = new Map<string, Realm>();

  const realmOf = (name: string): Realm => {
    const known = realms.get(name);
    if (known !== undefined) return known;
    if (realms.size >= REALMS_MAX) throw new StoreUnavailable('too many realms');
    const memory = createRealmMemory(changes, space);
    const realm = { memory, proof: createProof(name, epoch, memory, changes) };
    realms.set(name, realm);
    return realm;
  };
  const whole = async ({ memory, proof }: Realm, query: FactsQuery): Promise<FactsRead> => {
    const asked = wide(query);
    proof.sameHistory();
    // The memory has no position to begin with; whether this call succeeds concerns nobody.
    if (memory.position === undefined) void proof.ask(NOTHING).catch(() => undefined);
    const { life } = memory;
    const read = await store.facts(asked);
    if (proof.sameHistory()) memory.keep(life, asked, read);
    return narrow(read, query);
  };

  return {
    ...store,
    // Bad questions are the asker's mistake, and reach nobody else's call.
    facts: async (query) => {
      const realm = realmOf(query.realm);
      const found = query.index?.places !== true && realm.memory.mayAnswer(query) ? await realm.proof.ask(query) : undefined;
      return found ?? whole(realm, query);
    },
  };
};
