/** Tasks: what is final stays final, and a workload can do little to its own. */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Actor } from '../../src/domain/lifecycle/change.ts';
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

const code = (executed: Executed): string => (executed.ok ? 'ok' : executed.failure.code);
const taskOf = (executed: Executed): Task => {
  if (!executed.ok) throw new Error(executed.failure.detail);
  return executed.reply['task'] as unknown as Task;
};
const open = async (over: object = {}): Promise<string> => taskOf(await world.lifecycle.openTask(CALL, { kind: 'agent', owner: 'team:ai', ...over })).id;
const self = (workload = WORKLOAD) => ({ realm: 'default', actor: { kind: 'workload', id: workload } as const satisfies Actor });

test('a task has a deadline, its own or the cap, and its fields are checked', async () => {
  const faults = async (over: object): Promise<unknown> => {
    const executed = await world.lifecycle.openTask(CALL, { kind: 'agent', owner: 'team:ai', ...over });
    return executed.ok ? 'ok' : executed.failure.faults?.map(({ path }) => path);
  };
  expect(taskOf(await world.lifecycle.openTask(CALL, { kind: 'agent', owner: 'team:ai' })).deadline).toBe(T0 + 86_400_000);
  for (const deadline of [T0, T0 - 1, T0 + 86_400_001, Number.NaN, T0 + 0.5]) expect(await faults({ deadline }), String(deadline)).toEqual(['/deadline']);
  for (const heartbeatMs of [0, -1, 1.5, Number.NaN, 1e308, 86_400_001]) expect(await faults({ heartbeatMs }), String(heartbeatMs)).toEqual(['/heartbeatMs']);
  expect(await faults({ kind: 'a b', owner: 'x', reference: '\u001b[2J' })).toEqual(['/kind', '/owner', '/reference']);
});

test('demand(62): a missed heartbeat is final, at the very millisecond', async () => {
  const id = await open({ heartbeatMs: 1_000 });
  world.at.now = T0 + 999;
  expect(code(await world.lifecycle.beatTask(CALL, id))).toBe('ok');
  world.at.now = T0 + 1_999;
  for (const command of ['beatTask', 'pauseTask', 'resumeTask'] as const) expect(code(await world.lifecycle[command](CALL, id)), command).toBe('state');
  expect(code(await world.lifecycle.closeTask(CALL, id))).toBe('ok');
});

test('F4: a closed task never reopens', async () => {
  const id = await open({ heartbeatMs: 1_000 });
  expect(code(await world.lifecycle.closeTask(CALL, id))).toBe('ok');
  for (const command of ['beatTask', 'pauseTask', 'resumeTask', 'closeTask'] as const) expect(code(await world.lifecycle[command](CALL, id)), command).toBe('state');
});

test('demand(57): a pause stops the heartbeat clock and not the deadline', async () => {
  const id = await open({ heartbeatMs: 1_000, deadline: T0 + 60_000 });
  await world.lifecycle.pauseTask(CALL, id);
  world.at.now = T0 + 30_000;
  expect(code(await world.lifecycle.beatTask(CALL, id))).toBe('state');
  expect(taskOf(await world.lifecycle.resumeTask(CALL, id)).lastBeatAt).toBe(T0 + 30_000);
  world.at.now = T0 + 30_999;
  expect(code(await world.lifecycle.beatTask(CALL, id))).toBe('ok');
  await world.lifecycle.pauseTask(CALL, id);
  world.at.now = T0 + 60_000;
  expect(code(await world.lifecycle.resumeTask(CALL, id))).toBe('state');
});

test('F8: a workload can at most beat and close a task that a live grant of its own hangs on', async () => {
  const mine = await open({ heartbeatMs: 60_000 });
  const other = await open({ heartbeatMs: 60_000 });
  await world.lifecycle.issueGrant(CALL, terms({ model: 'jit', task: mine, ttlMs: 10_000 }));
  await world.lifecycle.issueGrant(CALL, terms({ workload: 'spiffe://dev.local/else', model: 'jit', task: other }));
  for (const command of ['pauseTask', 'resumeTask'] as const) expect(code(await world.lifecycle[command](self(), mine)), command).toBe('not-permitted');
  expect(code(await world.lifecycle.beatTask(self(), mine))).toBe('ok');
  for (const command of ['beatTask', 'closeTask'] as const) {
    expect(await world.lifecycle[command](self(), other), command).toEqual(await world.lifecycle[command](self(), 'no-such-task'));
    expect(code(await world.lifecycle[command](self(), other))).toBe('not-found');
  }
  world.at.now += 10_000;
  expect(code(await world.lifecycle.beatTask(self(), mine))).toBe('not-found');
  await world.lifecycle.issueGrant(CALL, terms({ model: 'jit', task: mine }));
  expect(code(await world.lifecycle.closeTask(self(), mine))).toBe('ok');
});

test('F8: a grant that has not begun, or has ended, gives no say over its task', async () => {
  const id = await open({ heartbeatMs: 60_000 });
  await world.lifecycle.issueGrant(CALL, terms({ model: 'jit', task: id, ttlMs: undefined, notBefore: T0 + 5_000, expiresAt: T0 + 9_000 }));
  const may = async (ms: number): Promise<string> => {
    world.at.now = T0 + ms;
    return code(await world.lifecycle.beatTask(self(), id));
  };
  expect([await may(4_999), await may(5_000), await may(8_999), await may(9_000)]).toEqual(['not-found', 'ok', 'ok', 'not-found']);
});

test.each(['grant', 'workload', 'owner', 'realm', 'task'] as const)('a workload whose access was ended by %s does not keep its task alive', async (kind) => {
  const id = await open({ heartbeatMs: 60_000 });
  const issued = await world.lifecycle.issueGrant(CALL, terms({ model: 'jit', task: id }));
  const grant = issued.ok ? (issued.reply['grant'] as { id: string }).id : '';
  expect(code(await world.lifecycle.beatTask(self(), id))).toBe('ok');
  const value = { grant, workload: WORKLOAD, owner: 'team:shop', realm: 'default', task: id }[kind];
  expect(code(await world.lifecycle.revoke(CALL, { selector: { kind, value }, reason: 'leak' }, true))).toBe('ok');
  expect(code(await world.lifecycle.beatTask(self(), id))).toBe('not-found');
});

test('whatever order commands and time come in, a task does what a naive model of it does', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom('beatTask', 'pauseTask', 'resumeTask', 'closeTask') }),
    fc.record({ kind: fc.constant('wait'), ms: fc.integer({ min: 1, max: 700 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const deadline = world.at.now + 5_000;
      const id = await open({ heartbeatMs: 1_000, deadline });
      const model = { state: 'open', beat: world.at.now };
      for (const one of steps) {
        if (one.kind === 'wait') {
          world.at.now += (one as { ms: number }).ms;
          continue;
        }
        const { now } = world.at;
        const over = model.state === 'closed' || now >= deadline || (model.state === 'open' && now >= model.beat + 1_000);
        let wanted = false;
        if (one.kind === 'closeTask') wanted = model.state !== 'closed';
        else if (one.kind === 'resumeTask') wanted = !over && model.state === 'paused';
        else wanted = !over && model.state === 'open';
        expect((await world.lifecycle[one.kind as 'beatTask'](CALL, id)).ok).toBe(wanted);
        if (!wanted) continue;
        if (one.kind === 'closeTask') model.state = 'closed';
        if (one.kind === 'pauseTask') model.state = 'paused';
        // A beat within a tenth of the heartbeat after the last one changes nothing.
        if (one.kind === 'beatTask' && now - model.beat < 100) continue;
        if (one.kind === 'beatTask' || one.kind === 'resumeTask') Object.assign(model, { state: 'open', beat: now });
      }
    }),
    { numRuns: 60 },
  );
});
