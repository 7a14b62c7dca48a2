/** Task kinds: the configuration says who may open, beat, pause, resume and close; a workload may at most beat and close. */
import { afterEach, expect, test } from 'vitest';
import type { Actor } from '../../src/domain/lifecycle/change.ts';
import { TASK_ACTS, taskActFault, type TaskAct } from '../../src/domain/lifecycle/task-kinds.ts';
import { lifecycleConfig } from '../../src/lifecycle/config.ts';
import type { Executed } from '../../src/lifecycle/execute.ts';
import { createSweeper } from '../../src/lifecycle/sweeper.ts';
import { CALL, createWorld, terms, WORKLOAD, type World } from './world.ts';

let world: World;
afterEach(async () => {
  await world.close();
});

const operator = (id: string, names: readonly string[] = []): Actor => ({ kind: 'operator', id, names });
const [ALICE, TEAM, BOB] = [operator('user:alice'), operator('user:tom', ['user:tom', 'team:ci', 'group:ci']), operator('user:bob', ['user:bob', 'group:other'])];
const KINDS = { 'ci-run': { open: ['group:ci', 'user:alice'], close: ['team:ci'], beat: [], subject: ['beat'] }, ticket: { pause: ['user:alice'] } };

const code = (executed: Executed): string => (executed.ok ? 'ok' : executed.failure.code);
const idOf = (executed: Executed): string => {
  if (!executed.ok) throw new Error(executed.failure.detail);
  return (executed.reply['task'] as { id: string }).id;
};
const open = (actor: Actor, kind: string): Promise<Executed> => world.lifecycle.openTask({ ...CALL, actor }, { kind, owner: 'team:x', heartbeatMs: 60_000 });
const act = (actor: Actor, id: string, what: Exclude<TaskAct, 'open'>): Promise<Executed> => world.lifecycle[`${what}Task`]({ ...CALL, actor }, id);

test('who is named, by person, team or group, may; others may not, and nothing is written', async () => {
  world = await createWorld({ config: { taskKinds: KINDS } });
  expect([code(await open(ALICE, 'ci-run')), code(await open(TEAM, 'ci-run')), code(await open(BOB, 'ci-run'))]).toEqual(['ok', 'ok', 'not-permitted']);
  const id = idOf(await open(ALICE, 'ci-run'));
  const before = world.events();
  expect([code(await act(ALICE, id, 'close')), code(await act(BOB, id, 'close')), code(await act(ALICE, id, 'beat'))]).toEqual(['not-permitted', 'not-permitted', 'not-permitted']);
  expect(world.events()).toBe(before);
  // What the kind says nothing about is every issuer's.
  expect([code(await act(BOB, id, 'pause')), code(await act(BOB, id, 'resume')), code(await act(TEAM, id, 'close'))]).toEqual(['ok', 'ok', 'ok']);
});

test('a kind that is not listed where others are: nothing new of it, what is there can only be ended; `*` speaks for the rest', async () => {
  world = await createWorld({ config: { taskKinds: KINDS } });
  expect(code(await open(ALICE, 'else'))).toBe('not-permitted');
  await world.close();
  world = await createWorld({ config: { taskKinds: { ...KINDS, '*': { open: ['user:bob'] } } } });
  expect([code(await open(ALICE, 'else')), code(await open(BOB, 'else')), code(await open(BOB, 'ci-run'))]).toEqual(['not-permitted', 'ok', 'not-permitted']);
  const kinds = new Map(Object.entries(lifecycleConfig.parse({ taskKinds: KINDS }).taskKinds));
  expect(TASK_ACTS.filter((one) => taskActFault(kinds, 'else', one, ALICE) === undefined)).toEqual(['pause', 'close']);
  // No name of an object's own members is a kind.
  for (const kind of ['__proto__', 'constructor', 'toString']) expect(taskActFault(kinds, kind, 'open', ALICE), kind).toBeDefined();
});

test('without any kind, every kind is every issuer\'s', async () => {
  world = await createWorld();
  const id = idOf(await open(BOB, 'anything'));
  for (const what of ['beat', 'pause', 'resume', 'close'] as const) expect(code(await act(ALICE, id, what)), what).toBe('ok');
});

test('F8: the workload may do to its task what the kind leaves it, at most beat and close', async () => {
  world = await createWorld({ config: { taskKinds: KINDS } });
  const self: Actor = { kind: 'workload', id: WORKLOAD };
  for (const [kind, may] of [['ci-run', ['beat']], ['ticket', ['beat', 'close']]] as const) {
    const id = idOf(await open(ALICE, kind));
    await world.lifecycle.issueGrant(CALL, terms({ model: 'jit', task: id }));
    for (const what of ['pause', 'resume', 'beat', 'close'] as const) {
      expect(code(await act(self, id, what)), `${kind} ${what}`).toBe((may as readonly string[]).includes(what) ? 'ok' : 'not-permitted');
    }
  }
});

test('housekeeping writes down that a task is over, whoever may close it', async () => {
  world = await createWorld({ config: { taskKinds: { locked: { close: [], subject: [] } } } });
  idOf(await open(ALICE, 'locked'));
  world.at.now += 60_000;
  expect(await createSweeper({ ...world, realms: ['default'], intervalMs: 5, onError: () => undefined }).sweep()).toBe(1);
});

test('the configuration of kinds is strict', async () => {
  world = await createWorld();
  const fits = (taskKinds: unknown): boolean => lifecycleConfig.safeParse({ taskKinds }).success;
  expect([fits(KINDS), fits({}), fits({ '*': {} })]).toEqual([true, true, true]);
  for (const bad of [{ 'a b': {} }, { ci: { start: [] } }, { ci: { subject: ['pause'] } }, { ci: { open: 'user:a' } }, { '': {} }]) expect(fits(bad), JSON.stringify(bad)).toBe(false);
});
