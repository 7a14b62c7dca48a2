/** F8, ADR 0005: a missed heartbeat is final, also when the beat was judged in time and its commit came too late (a full queue, a stopped process). */
import { afterEach, describe, expect, test } from 'vitest';
import type { EmbeddedStore } from '../../src/store/embedded/open.ts';
import { CALL, createWorld, T0, terms, WORKLOAD, type World } from '../lifecycle/world.ts';

const HEARTBEAT_MS = 1_000;
let world: World | undefined;
afterEach(() => world?.close());

/** Between the judgement of a command and its commit, `delayMs` pass. */
const slowWorld = async (): Promise<{ readonly world: World; readonly delay: { ms: number } }> => {
  const delay = { ms: 0 };
  const made: World = await createWorld({
    wrap: (store: EmbeddedStore): EmbeddedStore => ({
      ...store,
      commit: (commit) => {
        made.at.now += delay.ms;
        delay.ms = 0;
        return store.commit(commit);
      },
    }),
  });
  world = made;
  return { world: made, delay };
};

const openTask = async ({ lifecycle }: World): Promise<string> => {
  const opened = await lifecycle.openTask(CALL, { kind: 'ci', owner: 'team:shop', heartbeatMs: HEARTBEAT_MS });
  const id = opened.ok ? (opened.reply['task'] as { id: string }).id : '';
  expect((await lifecycle.issueGrant(CALL, terms({ task: id }))).ok).toBe(true);
  return id;
};

describe.each([['an operator', CALL], ['the workload', { ...CALL, actor: { kind: 'workload', id: WORKLOAD } as const }]])('a beat of %s', (_who, call) => {
  test('that would be committed at its due instant or later is refused, and the task stays over', async () => {
    for (const late of [0, 1, 500]) {
      const { world: at, delay } = await slowWorld();
      const id = await openTask(at);
      at.at.now = T0 + HEARTBEAT_MS - 10;
      delay.ms = 10 + late;
      expect(await at.lifecycle.beatTask(call, id)).toMatchObject({ ok: false, failure: { code: call === CALL ? 'state' : expect.any(String) } });
      expect((await at.inspect.task('default', id))?.['endedBecause']).toBe('task.heartbeat');
      await at.close();
      world = undefined;
    }
  });

  test('that is committed in time counts', async () => {
    const { world: at, delay } = await slowWorld();
    const id = await openTask(at);
    at.at.now = T0 + HEARTBEAT_MS - 10;
    delay.ms = 9;
    expect((await at.lifecycle.beatTask(call, id)).ok).toBe(true);
    expect((await at.inspect.task('default', id))?.['endedBecause']).toBeUndefined();
  });
});

test('nor does a pause that comes too late save the task', async () => {
  const { world: at, delay } = await slowWorld();
  const id = await openTask(at);
  at.at.now = T0 + HEARTBEAT_MS - 10;
  delay.ms = 50;
  expect(await at.lifecycle.pauseTask(CALL, id)).toMatchObject({ ok: false, failure: { code: 'state' } });
  expect((await at.lifecycle.resumeTask(CALL, id)).ok).toBe(false);
  expect((await at.inspect.task('default', id))?.['endedBecause']).toBe('task.heartbeat');
});
