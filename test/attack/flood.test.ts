/** E9, I12, I15: a flood over one HTTP/2 connection does not keep other callers waiting, and what is too late is shed without being taken apart. */
import { afterEach, expect, test } from 'vitest';
import type { Evaluation } from '../../src/decision/evaluation.ts';
import type { DecisionSink } from '../../src/decision/ports.ts';
import { recorded } from '../../src/decision/recorded.ts';
import { anotherTurn, answersInTurn, BREATH_MS, breathIsOver, IN_A_TURN_MAX, ownTurn, together, TOGETHER_MAX } from '../../src/decision/loop-turns.ts';
import { createEnvoyGateway } from '../../src/gateways/envoy/gateway.ts';
import { envoyGatewayConfig } from '../../src/gateways/envoy/config.ts';
import { createPepAuthenticator } from '../../src/gateways/pep.ts';
import type { UnaryMethod } from '../../src/grpc/method.ts';
import { createWorld, evaluationOf } from '../decision/world.ts';
import { denied } from '../gateways/envoy/harness.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** What came before is forgotten: two turns in which nobody asked. */
const quiet = async (): Promise<void> => {
  await together();
  await together();
  await nextTurn();
};
afterEach(quiet);

/** Turns of the loop that end while `work` is under way. */
const turnsDuring = async (work: (turns: () => number) => Promise<unknown>): Promise<void> => {
  let [turns, over] = [0, false];
  const count = (): void => {
    turns += 1;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  await work(() => turns);
  over = true;
  await nextTurn();
};

test('I12: a decision over another transport waits for one turn of the loop at most, however long the line is', async () => {
  const served: string[] = [];
  const line = Array.from({ length: 200 }, async (_, index) => {
    await ownTurn();
    served.push(`own ${index}`);
  });
  await together();
  expect(served.length).toBeLessThan(5);
  await Promise.all(line);
  // In order, and none left behind.
  expect(served).toEqual(Array.from({ length: 200 }, (_, index) => `own ${index}`));
});

test('I1, I12: of those in line a few are served a turn, and of those that send at once a few more', async () => {
  await turnsDuring(async (turns) => {
    const [own, sent]: [number[], number[]] = [[], []];
    await Promise.all([
      ...Array.from({ length: 100 }, () => Promise.resolve(ownTurn()).then(() => own.push(turns()))),
      ...Array.from({ length: 100 }, () => together().then(() => sent.push(turns()))),
    ]);
    const most = (served: readonly number[]): number => Math.max(...served.map((turn) => served.filter((other) => other === turn).length));
    expect(most(own)).toBe(IN_A_TURN_MAX);
    expect(most(sent)).toBe(TOGETHER_MAX);
    expect(own.toSorted((a, b) => a - b)).toEqual(own);
  });
});

test('I1: while questions come one by one each is decided in its read; when several come in one turn the others wait, and in the next turn the first one, too', async () => {
  for (let round = 0; round < 3; round += 1) {
    expect(ownTurn()).toBe('read');
    await nextTurn();
  }
  const several = [ownTurn(), ownTurn(), ownTurn()];
  expect(several.map((given) => given instanceof Promise)).toEqual([false, true, true]);
  await Promise.all(several.map((given) => Promise.resolve(given)));
  const next = ownTurn();
  expect(next).toBeInstanceOf(Promise);
  expect(await next).toBe('turn');
  expect(ownTurn()).toBe('read');
});

test('I1: a decision in a read waits for what was written and has not left, and who has begun goes before who has not', async () => {
  answersInTurn(0);
  const order: string[] = [];
  const given = ownTurn();
  expect(given).toBeInstanceOf(Promise);
  void Promise.resolve(given).then((turn) => order.push(turn));
  void anotherTurn().then(() => order.push('begun'));
  await nextTurn();
  await nextTurn();
  expect(order).toEqual(['begun', 'turn']);
});

/** Decisions that take `tookMs` each to be judged, as they come in one read; gives how many began to be in each turn. */
const served = async (count: number, tookMs: number): Promise<readonly number[]> => {
  let now = 0;
  const began: number[] = [];
  await turnsDuring((turns) => Promise.all(Array.from({ length: count }, async () => {
    await ownTurn();
    while (breathIsOver(now)) await anotherTurn();
    began[turns()] = (began[turns()] ?? 0) + 1;
    now += tookMs;
    answersInTurn(now);
  })));
  return began.filter((made) => made > 0);
};

test('I1: none begins to be judged once the first answer has waited for a breath; what began is ended', async () => {
  expect(await served(10, BREATH_MS * 0.4)).toEqual([1, 4, 4, 1]);
  await quiet();
  expect(await served(4, BREATH_MS * 2)).toEqual([1, 2, 1]);
  await quiet();
  expect(await served(1 + IN_A_TURN_MAX, 0)).toEqual([1, IN_A_TURN_MAX]);
});

test.each<[string, number, 'read' | 'turn' | 'another' | undefined, (world: ReturnType<typeof createWorld>) => void]>([
  ['in its read, when nothing was waited for, none', 0, 'read', () => undefined],
  ['in its read, after a credential was waited for, another', 2, 'read', (world) => { world.state.authenticating = () => nextTurn(); }],
  ['in its turn none', 0, 'turn', () => undefined],
  ['when it has none yet, another', 1, 'another', () => undefined],
  ['over a transport that sends at once none', 1, undefined, (world) => { world.state.authenticating = () => nextTurn(); }],
])('I1: a turn of the loop that is decided %s', async (_name, expected, sentWith, prepare) => {
  const world = createWorld();
  world.issue();
  prepare(world);
  let taken: number | undefined;
  await turnsDuring((turns) => world.decide(evaluationOf(sentWith === undefined ? {} : { sentWith }), () => { taken = turns(); }));
  expect(taken).toBe(expected);
});

test('I1: an allow that leaves with a turn makes the next ones wait once it has waited for a breath, a denial does not', async () => {
  const world = createWorld();
  const over = (): boolean => breathIsOver(world.state.monotonic + BREATH_MS);
  await world.decide(evaluationOf({ sentWith: 'turn' }));
  expect(over()).toBe(false);
  world.issue();
  await world.decide(evaluationOf());
  expect(over()).toBe(false);
  await world.decide(evaluationOf({ sentWith: 'turn' }));
  expect(over()).toBe(true);
});

test('I1: who had to wait for a place in the decision log decides in a turn of its own', async () => {
  let seen: Evaluation | undefined;
  const decider = { decide: async (evaluation: Evaluation) => { seen = evaluation; return denied(evaluation, 'grant.none'); }, explain: () => { throw new Error('not asked'); } };
  const sink = (place: () => Promise<boolean> | undefined): DecisionSink => ({ write: () => undefined, place });
  for (const [place, sentWith] of [[() => undefined, 'read'], [() => Promise.resolve(true), 'another'], [() => Promise.resolve(false), 'another']] as const) {
    await recorded(sink(place), { monotonicMs: () => 0 }, decider).decide(evaluationOf({ sentWith: 'read' }));
    expect(seen?.sentWith).toBe(sentWith);
  }
});

const ask = async (waitedMs: number): Promise<Evaluation | undefined> => {
  let now = 0;
  let seen: Evaluation | undefined;
  const gateway = createEnvoyGateway({
    decide: async (evaluation) => {
      seen = evaluation;
      return denied(evaluation, evaluation.refused ?? 'grant.none');
    },
    config: envoyGatewayConfig.parse({}), fineReasons: true,
    pep: createPepAuthenticator([], { readFile: () => '', env: () => undefined }),
    rulesFor: () => ({ routes: [], hosts: 'any' }),
    patience: { monotonicMs: () => now, deadlineMs: 150 },
    turn: async () => { now += waitedMs; return 'turn' as const; },
  });
  const check = gateway.methods[0]?.[1] as UnaryMethod;
  await check.handle(Buffer.from('not a message'), { path: '', metadata: {}, peer: { transport: 'plain', address: '127.0.0.1', certificate: undefined }, timeoutMs: undefined, over: () => false }, () => true);
  return seen;
};

test('I15: a question that waited past the deadline is denied for that, unread; one in time is read', async () => {
  expect((await ask(150))?.refused).toBe('decision.deadline');
  expect((await ask(149))?.refused).toBe('request.malformed');
});
