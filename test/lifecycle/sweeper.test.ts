/** Housekeeping: history says what time has ended; access does not depend on it (demand 38, demand 66). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSweeper, type Sweeper } from '../../src/lifecycle/sweeper.ts';
import { until } from '../support/until.ts';
import { CALL, createWorld, terms, type World } from './world.ts';

let world: World;
let sweeper: Sweeper;
const failures: unknown[] = [];
beforeEach(async () => {
  world = await createWorld();
  failures.length = 0;
  sweeper = createSweeper({ ...world, realms: ['default', 'other'], intervalMs: 5, onError: (error) => failures.push(error) });
});
afterEach(async () => {
  await sweeper.stop();
  await world.close();
});

const open = async (over: object, realm = 'default'): Promise<string> => {
  const opened = await world.lifecycle.openTask({ ...CALL, realm }, { kind: 'ci', owner: 'team:x', ...over });
  return opened.ok ? (opened.reply['task'] as { id: string }).id : '';
};
const view = async (id: string, realm = 'default') => world.inspect.task(realm, id);

test('overdue tasks are closed with their cause, others are left alone', async () => {
  const missed = await open({ heartbeatMs: 1_000 });
  const beaten = await open({ heartbeatMs: 1_000 });
  const late = await open({ deadline: world.at.now + 1_500 }, 'other');
  const paused = await open({ heartbeatMs: 1_000 });
  await world.lifecycle.pauseTask(CALL, paused);
  expect(await sweeper.sweep()).toBe(0);
  world.at.now += 900;
  await world.lifecycle.beatTask(CALL, beaten);
  world.at.now += 100;
  expect(await sweeper.sweep()).toBe(1);
  world.at.now += 500;
  expect(await sweeper.sweep()).toBe(1);
  expect(await sweeper.sweep()).toBe(0);
  expect(await view(missed)).toMatchObject({ state: 'closed', closedBy: 'system:sweeper' });
  expect(await view(late, 'other')).toMatchObject({ state: 'closed' });
  expect(await view(beaten)).toMatchObject({ state: 'open' });
  expect(await view(paused)).toMatchObject({ state: 'paused' });
  const events = await world.store.events('default', { after: 0, limit: 10, about: { kind: 'task', id: missed } });
  expect(events.at(-1)).toMatchObject({ type: 'task.closed', endingSequence: expect.any(Number), data: { cause: 'task.heartbeat', by: 'system:sweeper' } });
});

test('a task resumed, opened or beaten after the first round is followed by its events', async () => {
  await sweeper.sweep();
  const id = await open({ heartbeatMs: 1_000 });
  await world.lifecycle.pauseTask(CALL, id);
  await sweeper.sweep();
  await world.lifecycle.resumeTask(CALL, id);
  world.at.now += 1_000;
  expect(await sweeper.sweep()).toBe(1);
});

test('why access ended is told the same before and after: a missed heartbeat stays one', async () => {
  const task = await open({ heartbeatMs: 1_000 });
  const late = await open({ deadline: world.at.now + 1_000 });
  const issued = await world.lifecycle.issueGrant(CALL, terms({ model: 'jit', task }));
  const id = issued.ok ? (issued.reply['grant'] as { id: string }).id : '';
  world.at.now += 1_000;
  const told = async () => [(await world.inspect.grant('default', id))?.['endedBecause'], (await view(task))?.['endedBecause'], (await view(late))?.['endedBecause']];
  const before = await told();
  expect(before).toEqual(['task.heartbeat', 'task.heartbeat', 'task.deadline']);
  expect(await sweeper.sweep()).toBe(2);
  expect(await told()).toEqual(before);
  // Closed by somebody while it held, it is closed.
  const closed = await open({ heartbeatMs: 1_000 });
  await world.lifecycle.closeTask(CALL, closed);
  world.at.now += 60_000;
  expect((await view(closed))?.['endedBecause']).toBe('task.closed');
});

test('demand(38): the state shown does not wait for it', async () => {
  const task = await open({ heartbeatMs: 1_000 });
  const issued = await world.lifecycle.issueGrant(CALL, terms({ model: 'jit', task }));
  world.at.now += 1_000;
  const id = issued.ok ? (issued.reply['grant'] as { id: string }).id : '';
  expect(await world.inspect.grant('default', id)).toMatchObject({ state: 'ended', endedBecause: 'task.heartbeat' });
});

test('it runs by itself, survives failures, does nothing while the clock is not trusted, and stops', async () => {
  const id = await open({ heartbeatMs: 1_000 });
  world.at.now += 1_000;
  world.at.trusted = false;
  expect(await sweeper.sweep()).toBe(0);
  world.at.trusted = true;
  let broken = true;
  const limping = createSweeper({
    ...world, realms: ['default'], intervalMs: 5, onError: (error) => failures.push(error),
    store: { ...world.store, facts: (query) => { if (broken) throw new Error('broken'); return world.store.facts(query); } },
  });
  limping.start();
  limping.start();
  await until('a failure', () => failures.length > 2);
  broken = false;
  await until('the task closed', async () => (await view(id))?.['state'] === 'closed');
  await limping.stop();
  const later = await open({ heartbeatMs: 1 });
  world.at.now += 1_000;
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(await view(later)).toMatchObject({ state: 'open' });
});
