/** I2: pausing and closing a task end access like a revocation does, so they answer when no allow can be written or used any more. */
import { afterEach, expect, test } from 'vitest';
import { createSelfService } from '../../src/lifecycle/self-service.ts';
import { identityOf } from '../decision/world.ts';
import { CALL, createWorld, terms, WORKLOAD, type World } from '../lifecycle/world.ts';

const ENFORCEMENT_MS = 250;
let world: World | undefined;
afterEach(() => world?.close());

const idOf = (executed: { readonly ok: boolean }): string => ((executed as unknown as { reply: { task: { id: string } } }).reply.task.id);

test('pause and close wait until they are enforced; other commands and refused ones do not', async () => {
  world = await createWorld();
  const { lifecycle, settled } = world;
  const id = idOf(await lifecycle.openTask(CALL, { kind: 'ci', owner: 'team:shop', heartbeatMs: 60_000 }));
  await lifecycle.beatTask(CALL, id);
  expect(settled).toEqual([]);
  expect((await lifecycle.pauseTask(CALL, id)).ok).toBe(true);
  expect(settled).toEqual([ENFORCEMENT_MS]);
  expect((await lifecycle.pauseTask(CALL, id)).ok).toBe(false);
  await lifecycle.resumeTask(CALL, id);
  expect(settled).toEqual([ENFORCEMENT_MS]);
  expect((await lifecycle.closeTask(CALL, id)).ok).toBe(true);
  expect(settled).toEqual([ENFORCEMENT_MS, ENFORCEMENT_MS]);
});

test('who does not want to wait says so; housekeeping, which ends nothing, never waits', async () => {
  world = await createWorld();
  const { lifecycle, settled, at } = world;
  const open = async (): Promise<string> => idOf(await lifecycle.openTask(CALL, { kind: 'ci', owner: 'team:shop', heartbeatMs: 1_000 }));
  expect((await lifecycle.closeTask(CALL, await open(), true)).ok).toBe(true);
  const overdue = await open();
  at.now += 1_000;
  expect((await lifecycle.closeTask({ ...CALL, actor: { kind: 'system', id: 'system:sweeper' } }, overdue)).ok).toBe(true);
  expect(settled).toEqual([]);
});

test("a workload's own close waits too", async () => {
  world = await createWorld();
  const id = idOf(await world.lifecycle.openTask(CALL, { kind: 'ci', owner: 'team:shop' }));
  expect((await world.lifecycle.issueGrant(CALL, terms({ task: id }))).ok).toBe(true);
  const answer = await createSelfService(world.lifecycle, world.inspect, world).closeTask({ identity: identityOf({ workload: WORKLOAD }), realm: 'default' }, id);
  expect(answer.ok).toBe(true);
  expect(world.settled).toEqual([ENFORCEMENT_MS]);
});
