/** Decisions of one turn of the loop are made together, stage by stage; each answer is still written in the breath of its re-check. */
import { describe, expect, test } from 'vitest';
import { together } from '../../src/decision/loop-turns.ts';
import { createWorld, DEADLINE_MS, evaluationOf, T0 } from './world.ts';

/** A world that notes what each decision does, in order. */
const watched = (line: () => Promise<void> = together) => {
  const world = createWorld({ together: line });
  world.issue();
  const steps: string[] = [];
  const { facts, endings } = world.store;
  world.store.facts = (request) => {
    steps.push('facts');
    return facts(request);
  };
  world.store.endings = (realm) => {
    steps.push('re-check');
    return endings(realm);
  };
  world.state.duringPolicy = () => void steps.push('policy');
  return { world, steps };
};

describe('decisions that come in one turn', () => {
  test('are made stage by stage, and no other work lies between the re-check of one and its answer', async () => {
    const { world, steps } = watched();
    const decisions = await Promise.all(Array.from({ length: 4 }, (_, index) => world.decide(evaluationOf({ id: `d${index}` }), () => void steps.push('answer'))));
    expect(decisions.every(({ allow }) => allow)).toBe(true);
    expect(steps).toEqual([...Array.from({ length: 4 }, () => 'facts'), ...Array.from({ length: 4 }, () => ['policy', 're-check', 'answer']).flat()]);
  });

  test('begin at the end of it: what comes until then is decided by what is true then', async () => {
    const { world, steps } = watched();
    const decisions = ['d1', 'd2'].map((id) => world.decide(evaluationOf({ id })));
    expect(steps).toEqual([]);
    world.suspend({ kind: 'realm', value: 'default' });
    expect((await Promise.all(decisions)).map(({ allow }) => allow)).toEqual([false, false]);
  });

  test('I1, I15: waiting counts: an end and a deadline that pass meanwhile hold', async () => {
    const ended = watched(async () => { ended.world.state.now = T0 + 60_000; });
    ended.world.state.now = T0 + 59_999;
    expect(await ended.world.decide(evaluationOf())).toMatchObject({ allow: false, reason: 'grant.expired' });
    const late = watched(async () => { late.world.state.monotonic += DEADLINE_MS; });
    expect(await late.world.decide(evaluationOf())).toMatchObject({ allow: false, reason: 'decision.deadline' });
    expect(late.steps).toEqual([]);
  });

  test('I2: an ending that comes with the evaluation of the first one denies all of them', async () => {
    const { world } = watched();
    let count = 0;
    world.state.duringPolicy = () => {
      if ((count += 1) === 1) world.suspend({ kind: 'grant', value: 'g1' });
    };
    const decisions = await Promise.all(Array.from({ length: 4 }, (_, index) => world.decide(evaluationOf({ id: `d${index}` }))));
    expect(decisions.map(({ allow }) => allow)).toEqual([false, false, false, false]);
  });

  test('explain waits for nobody', async () => {
    const { world } = watched(() => new Promise(() => undefined));
    expect((await world.explain(evaluationOf(), { at: { earliest: T0, latest: T0 } })).decision.allow).toBe(true);
  });
});
