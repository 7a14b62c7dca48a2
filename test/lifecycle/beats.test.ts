/** Heartbeats in the log: each one that counts is an event, and beating without pause fills nothing. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Task } from '../../src/domain/task.ts';
import type { Executed } from '../../src/lifecycle/execute.ts';
import { CALL, createWorld, T0, terms, WORKLOAD, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
});

const done = (executed: Executed) => {
  if (!executed.ok) throw new Error(executed.failure.detail);
  return { ...executed, task: executed.reply['task'] as unknown as Task };
};
const open = async (): Promise<string> => done(await world.lifecycle.openTask(CALL, { kind: 'agent', owner: 'team:ai', heartbeatMs: 1_000 })).task.id;
const keyed = (key: string, id: string) => ({ ...CALL, idempotency: { principal: 'user:op', key, body: { id } } });

test('one a millisecond writes at most ten events a heartbeat, and the task lives as long as it is beaten', async () => {
  const id = await open();
  const before = world.events();
  for (let ms = 1; ms <= 5_000; ms += 1) {
    world.at.now = T0 + ms;
    const { task } = done(await world.lifecycle.beatTask(CALL, id));
    // What it is told is what counts, and never more than a tenth behind.
    expect(world.at.now - (task.lastBeatAt ?? 0)).toBeLessThan(100);
  }
  expect(world.events() - before).toBe(50);
});

test('a beat that changed nothing answers with the record as it stands: the last one that counts, its position', async () => {
  const id = await open();
  world.at.now = T0 + 500;
  const first = done(await world.lifecycle.beatTask(CALL, id));
  world.at.now = T0 + 599;
  const soon = done(await world.lifecycle.beatTask(CALL, id));
  expect([soon.task, soon.position]).toEqual([first.task, first.position]);
  world.at.now = T0 + 600;
  expect(done(await world.lifecycle.beatTask(CALL, id)).task.lastBeatAt).toBe(T0 + 600);
});

test('I8: an operator\'s beat with an idempotency key counts, so that its replay is known as one; a key used for another task is refused', async () => {
  const [id, other] = [await open(), await open()];
  world.at.now = T0 + 20;
  const taken = done(await world.lifecycle.beatTask(keyed('k', id), id));
  expect([taken.replayed, taken.task.lastBeatAt]).toEqual([false, T0 + 20]);
  world.at.now = T0 + 50;
  expect(done(await world.lifecycle.beatTask(keyed('k', id), id))).toMatchObject({ replayed: true, position: taken.position });
  const before = world.events();
  expect(await world.lifecycle.beatTask(keyed('k', other), other)).toMatchObject({ ok: false, failure: { code: 'key-reused' } });
  expect(world.events()).toBe(before);
});

test('a workload fills no log with keys either; a key takes effect at most once all the same', async () => {
  const id = await open();
  await world.lifecycle.issueGrant(CALL, terms({ model: 'jit', task: id, ttlMs: 60_000 }));
  const self = (key: string) => ({ realm: 'default', actor: { kind: 'workload', id: WORKLOAD } as const, idempotency: { principal: WORKLOAD, key, body: { id } } });
  const before = world.events();
  for (let ms = 1; ms <= 1_000; ms += 1) {
    world.at.now = T0 + ms;
    done(await world.lifecycle.beatTask(self(`k-${ms}`), id));
  }
  expect(world.events() - before).toBe(10);
  // One that counted is replayed; one that did not may count once.
  expect(done(await world.lifecycle.beatTask(self('k-1000'), id))).toMatchObject({ replayed: true });
  world.at.now = T0 + 1_500;
  expect(done(await world.lifecycle.beatTask(self('k-1'), id))).toMatchObject({ replayed: false, task: { lastBeatAt: T0 + 1_500 } });
  world.at.now = T0 + 1_900;
  expect(done(await world.lifecycle.beatTask(self('k-1'), id))).toMatchObject({ replayed: true, task: { lastBeatAt: T0 + 1_500 } });
});

test('demand(62): beating too soon does not save a task whose heartbeat is missed', async () => {
  const id = await open();
  world.at.now = T0 + 99;
  done(await world.lifecycle.beatTask(CALL, id));
  world.at.now = T0 + 1_000;
  expect(await world.lifecycle.beatTask(CALL, id)).toMatchObject({ ok: false, failure: { code: 'state' } });
});

test('B8: a workload with as many live grants on its task as there may be still beats and closes it', { timeout: 120_000 }, async () => {
  const id = await open();
  const self = { realm: 'default', actor: { kind: 'workload', id: WORKLOAD } as const };
  for (let from = 0; from < 1_000; from += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, index) => world.lifecycle.issueGrant(CALL, terms({ model: 'jit', task: id, ttlMs: 60_000, owner: `team:t${from + index}` }))));
  }
  world.at.now = T0 + 500;
  expect(done(await world.lifecycle.beatTask(self, id)).task.lastBeatAt).toBe(T0 + 500);
  expect(done(await world.lifecycle.closeTask(self, id)).task.state).toBe('closed');
});

test('grants that have not begun hide none that has', { timeout: 120_000 }, async () => {
  const id = await open();
  const self = { realm: 'default', actor: { kind: 'workload', id: WORKLOAD } as const };
  const later = terms({ model: 'jit', task: id, ttlMs: undefined, notBefore: T0 + 600_000, expiresAt: T0 + 900_000 });
  for (let from = 0; from < 150; from += 50) await Promise.all(Array.from({ length: 50 }, () => world.lifecycle.issueGrant(CALL, later)));
  expect(await world.lifecycle.beatTask(self, id)).toMatchObject({ ok: false, failure: { code: 'not-found' } });
  await world.lifecycle.issueGrant(CALL, terms({ model: 'jit', task: id }));
  expect((await world.lifecycle.beatTask(self, id)).ok).toBe(true);
});
