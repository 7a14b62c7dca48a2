/** I5, I6: a lease and what is remembered under it, against a store that says what the test wants. */
import { afterEach, expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import { createMemoSpace } from '../../src/store/embedded/memo.ts';
import { createLease, type Lease } from '../../src/store/leased/lease.ts';
import { createRealmMemory } from '../../src/store/leased/memory.ts';
import type { Followed, Leases } from '../../src/store/leases.ts';
import type { FactsQuery, FactsRead } from '../../src/store/port.ts';
import { until } from '../support/until.ts';

const NAMES = { nameOf: ({ kind, id }: { readonly kind: string; readonly id: string }) => `${kind}/${id}`, ownerNameOf: (owner: string) => owner };
const query: FactsQuery = { realm: 'default', keys: [{ kind: 'ending', id: 'a' }] };
/** The same question in another list of keys: nothing is known of the list itself. */
const again = (): FactsQuery => ({ ...query, keys: [...query.keys] });
const readAt = (sequence: number): FactsRead => ({ position: { epoch: 'e', sequence }, endings: { sequence: 0, hash: '' }, records: new Map(), rows: [], ended: [], truncated: false });
const followedTo = (sequence: number, changes: Followed['changes'] = []): Followed => ({ sequence, endings: { sequence: 0, hash: '' }, whole: true, changes });

let lease: Lease | undefined;
afterEach(() => lease?.stop());

const start = () => {
  const at = { ms: 0, wall: 1_000, history: 0 };
  const told: string[] = [];
  const answers: ((followed: Followed) => void)[] = [];
  const leases: Leases = {
    ...NAMES, leaseMs: 1_000,
    follow: (_realm, from, count) => {
      told.push(`${count === undefined ? 'follow' : 'renew'} from ${from ?? 'nothing'}`);
      return new Promise((resolve) => { answers.push(resolve); });
    },
    acknowledge: async (_realm, { sequence }) => void told.push(`acknowledge ${sequence}`),
    release: async () => void told.push('release'),
    history: () => at.history,
    hear: () => undefined,
  };
  const memory = createRealmMemory(NAMES, createMemoSpace(100_000));
  lease = createLease({ realm: 'default', leases, memory, gatherMs: 0, acknowledgesAll: true, clock: { monotonicMs: () => at.ms, now: () => ({ earliest: at.wall as Instant, latest: at.wall as Instant, trusted: true }) } });
  lease.touch();
  return { at, told, answers, memory, lease };
};
const remembered = async () => {
  const parts = start();
  parts.answers.shift()?.(followedTo(5));
  await until('the lease', () => parts.lease.ends() !== undefined);
  parts.memory.keep(parts.memory.life, query, readAt(5));
  expect(parts.memory.answer(query)).toBeDefined();
  return parts;
};

test('the lease counts from before the renewal was sent, on either clock', async () => {
  for (const clock of ['ms', 'wall'] as const) {
    const { at, answers, lease: held } = start();
    at[clock] += 600;
    answers.shift()?.(followedTo(5));
    await until('the lease', () => held.ends() !== undefined);
    at[clock] += 399;
    expect(held.ends()).toBeDefined();
    at[clock] += 1;
    expect(held.ends()).toBeUndefined();
    await held.stop();
  }
});

test('what was read at a position that is not applied yet is not used; what was read before what is applied is not kept', async () => {
  const { memory, lease: held, answers, told } = await remembered();
  memory.keep(memory.life, query, readAt(7));
  expect(memory.answer(again())).toBeUndefined();
  held.lookSoon();
  await until('a look', () => told.includes('follow from 5'));
  // Something else changed at 6, this at 8: what was read at 7 is old.
  answers.shift()?.(followedTo(8, [{ sequence: 6, records: ['x/y'], owners: [] }, { sequence: 8, records: ['ending/a'], owners: [] }]));
  await until('its acknowledgement', () => told.includes('acknowledge 8'));
  expect(memory.answer(query)).toBeUndefined();
  memory.keep(memory.life, query, readAt(7));
  expect(memory.answer(query)).toBeUndefined();
  memory.keep(memory.life, query, readAt(8));
  expect(memory.answer(query)).toBeDefined();
});

test('it is acknowledged after it was applied, never before', async () => {
  const { memory, lease: held, answers, told } = await remembered();
  held.lookSoon();
  await until('a look', () => told.includes('follow from 5'));
  expect(told.filter((line) => line.startsWith('acknowledge'))).toEqual(['acknowledge 5']);
  answers.shift()?.(followedTo(6, [{ sequence: 6, records: ['ending/a'], owners: [] }]));
  await until('its acknowledgement', () => told.includes('acknowledge 6'));
  expect(memory.answer(query)).toBeUndefined();
});

test('a store that went on from another history: nothing that was read counts, nor an answer that was on its way', async () => {
  const { at, memory, lease: held, answers, told } = await remembered();
  at.history += 1;
  expect(held.ends()).toBeUndefined();
  expect(memory.answer(query)).toBeUndefined();

  const other = await remembered();
  other.lease.lookSoon();
  await until('a look', () => other.told.includes('follow from 5'));
  other.at.history += 1;
  other.answers.shift()?.(followedTo(5));
  await new Promise((resolve) => { setTimeout(resolve, 5); });
  expect([other.lease.ends(), other.memory.position]).toEqual([undefined, undefined]);
  await other.lease.stop();
  answers.length = 0;
  expect(told).not.toContain('release');
});

test('a gap forgets everything that was read', async () => {
  const { memory, lease: held, answers, told } = await remembered();
  held.lookSoon();
  await until('a look', () => told.includes('follow from 5'));
  answers.shift()?.({ ...followedTo(9), whole: false });
  await until('its acknowledgement', () => told.includes('acknowledge 9'));
  expect([memory.answer(query), memory.position]).toEqual([undefined, 9]);
});
