/** I2: facts of a store that is far away count for `maxFactsAgeMs` from before they were asked for, and no longer. */
import { expect, test } from 'vitest';
import type { DecideDeps } from '../../src/decision/decide.ts';
import { createWorld, evaluationOf } from './world.ts';

const MAX_MS = 50;

/** The world with its store behind a wire: what is read is the truth when it is asked for, and arrives `wireMs()` later. */
const farWorld = (wireMs: () => number, slept = (): number => 0) => {
  const near = createWorld();
  const { state } = near;
  let reads = 0;
  const store: DecideDeps['store'] = {
    ...near.store,
    confirmsBy: 'age',
    facts: async (request) => {
      reads += 1;
      const answer = await near.store.facts(request);
      await Promise.resolve();
      const ms = wireMs();
      state.monotonic += ms;
      state.now += ms + slept();
      return answer;
    },
    endings: () => {
      throw new Error('not asked');
    },
  };
  const far = createWorld({
    store,
    clock: { now: () => ({ earliest: state.now as never, latest: state.now as never, trusted: true }), monotonicMs: () => state.monotonic },
  });
  return { near, far, reads: () => reads };
};

test('facts that are young enough at the last check are used, with one read', async () => {
  const { near, far, reads } = farWorld(() => MAX_MS - 1);
  near.issue();
  expect([await far.reasonOf(), reads()]).toEqual(['allow', 1]);
});

test('older ones are read once more, and what is then found counts', async () => {
  const wire = [MAX_MS, 3];
  const { near, far, reads } = farWorld(() => wire.shift() ?? 3);
  const grant = near.issue();
  // The revocation is confirmed while the answer travels: whoever revoked has waited until the facts were too old.
  far.state.duringPolicy = () => {
    if (reads() === 1) near.revoke({ kind: 'grant', value: grant.id });
  };
  expect([await far.reasonOf(), reads()]).toEqual(['grant.revoked', 2]);
});

test('E5: a store that says that it lost endings denies by that name', async () => {
  const lost = createWorld({ store: { ...createWorld().store, facts: () => Promise.reject(Object.assign(new Error('lost'), { reason: 'facts.regressed' })) } });
  expect(await lost.reasonOf()).toBe('facts.regressed');
  const away = createWorld({ store: { ...createWorld().store, facts: () => Promise.reject(new Error('away')) } });
  expect(await away.reasonOf()).toBe('facts.unavailable');
});

test('I15: a store that is always slow denies, in the end', async () => {
  const { near, far } = farWorld(() => MAX_MS);
  near.issue();
  expect(await far.reasonOf(evaluationOf())).toMatch(/^(?:facts\.stale|decision\.deadline)$/);
});

test('time that the machine slept counts too, which the monotonic clock does not see', async () => {
  const sleeps = [60_000];
  const { near, far, reads } = farWorld(() => 1, () => sleeps.shift() ?? 0);
  near.issue({ expiresAt: (near.state.now + 600_000) as never });
  await far.decide(evaluationOf());
  expect(reads()).toBe(2);
});

test('a slow evaluation of the policy makes facts old as well', async () => {
  const { near, far, reads } = farWorld(() => 1);
  near.issue();
  const slow = [MAX_MS];
  far.state.duringPolicy = () => { near.state.monotonic += slow.shift() ?? 0; };
  expect([await far.reasonOf(), reads()]).toEqual(['allow', 2]);
});
