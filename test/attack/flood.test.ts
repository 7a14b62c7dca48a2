/** E9, I12, I15: a flood over one HTTP/2 connection does not keep other callers waiting, and what is too late is shed without being taken apart. */
import { afterEach, expect, test } from 'vitest';
import type { Evaluation } from '../../src/decision/evaluation.ts';
import type { DecisionSink } from '../../src/decision/ports.ts';
import { recorded } from '../../src/decision/recorded.ts';
import { BREATH_MS, ownTurn, takeTurn, type Turn } from '../../src/decision/loop-turns.ts';
import { createEnvoyGateway } from '../../src/gateways/envoy/gateway.ts';
import { envoyGatewayConfig } from '../../src/gateways/envoy/config.ts';
import { createPepAuthenticator } from '../../src/gateways/pep.ts';
import type { UnaryMethod } from '../../src/grpc/method.ts';
import { createWorld, evaluationOf } from '../decision/world.ts';
import { denied } from '../gateways/envoy/harness.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
afterEach(async () => {
  while (takeTurn(false) !== undefined) await nextTurn();
});

/** Without a clock nothing is known to fit in a breath: all stand in line, one to a turn. */
const NO_CLOCK = (): number => Number.NaN;

test('I12: a decision over another transport waits for one turn of the loop at most, however long the line is', async () => {
  const served: string[] = [];
  const line = Array.from({ length: 200 }, async (_, index) => {
    await ownTurn({}, NO_CLOCK);
    served.push(`own ${index}`);
    void takeTurn(true);
  });
  await nextTurn();
  await takeTurn(false);
  expect(served.length).toBeLessThan(5);
  await Promise.all(line);
  // In order, and none left behind.
  expect(served).toEqual(Array.from({ length: 200 }, (_, index) => `own ${index}`));
});

test('I1: of those in line one is served a turn, until it says that it is done', async () => {
  let served = 0;
  const line = Array.from({ length: 20 }, async () => {
    await ownTurn({}, NO_CLOCK);
    served += 1;
    void takeTurn(true);
  });
  for (let turn = 1; turn <= 20; turn += 1) {
    await nextTurn();
    expect(served).toBeLessThanOrEqual(turn);
  }
  await Promise.all(line);
});

/** Decisions of `tookMs` each, all on one connection, as they come in one read; gives how many were made in it, and in each turn after it. */
const served = async (count: number, tookMs: number, take = takeTurn): Promise<readonly number[]> => {
  let now = 0;
  const turns: number[] = [0];
  const connection = {};
  const all = Array.from({ length: count }, async () => {
    const given = ownTurn(connection, () => now);
    const held = given instanceof Promise ? await given : given;
    void take(held.sentWith === 'turn');
    now += tookMs;
    turns[turns.length - 1] = (turns.at(-1) ?? 0) + 1;
    await Promise.resolve();
    held.end();
  });
  while (turns.reduce((sum, made) => sum + made) < count) {
    turns.push(0);
    await nextTurn();
  }
  await Promise.all(all);
  return turns.filter((made) => made > 0);
};

test('I1: in the read of a connection decisions are made for one breath, and so in each turn after it; what began in it is ended', async () => {
  expect(await served(10, BREATH_MS * 0.4)).toEqual([3, 3, 3, 1]);
  expect(await served(4, BREATH_MS)).toEqual([1, 1, 1, 1]);
  expect(await served(20, 0)).toEqual([20]);
});

test('I1: a decision in a read waits for what another turn has written, and a long line is not passed by', async () => {
  void takeTurn(true);
  const seen: string[] = [];
  const given = ownTurn({}, () => 0);
  expect(given).toBeInstanceOf(Promise);
  void (given as Promise<Turn>).then(({ sentWith }) => seen.push(sentWith));
  await nextTurn();
  expect(seen).toEqual(['turn']);
});

test('I1: who held a turn that is over lets nobody into the next one', async () => {
  const [first, second, third] = [{}, {}, {}].map((connection) => ownTurn(connection, NO_CLOCK)) as [Promise<Turn>, Promise<Turn>, Promise<Turn>];
  const order: string[] = [];
  for (const [name, promise] of Object.entries({ second, third })) void promise.then(() => order.push(name));
  const held = await first;
  await nextTurn();
  expect(order).toEqual(['second']);
  held.end();
  await Promise.resolve();
  expect(order).toEqual(['second']);
  await third;
});

test.each<[string, boolean, 'read' | 'turn' | undefined, (world: ReturnType<typeof createWorld>) => void]>([
  ['in its read, when nothing was waited for, none', false, 'read', () => undefined],
  ['in its read, after a credential was waited for, its own', true, 'read', (world) => { world.state.authenticating = () => nextTurn(); }],
  ['otherwise its own', true, 'turn', () => undefined],
  ['over a transport that sends at once none', false, undefined, (world) => { world.state.authenticating = () => nextTurn(); }],
])('I1: a turn of the loop that is decided %s', async (_name, own, sentWith, prepare) => {
  const world = createWorld();
  world.issue();
  prepare(world);
  let taken: boolean | undefined;
  // Another decision would have to wait: the turn is somebody's.
  await world.decide(evaluationOf(sentWith === undefined ? {} : { sentWith }), () => { taken = takeTurn(false) !== undefined; });
  expect(taken).toBe(own);
});

test('I1: who had to wait for a place in the decision log decides in a turn of its own', async () => {
  let seen: Evaluation | undefined;
  const decider = { decide: async (evaluation: Evaluation) => { seen = evaluation; return denied(evaluation, 'grant.none'); }, explain: () => { throw new Error('not asked'); } };
  const sink = (place: () => Promise<boolean> | undefined): DecisionSink => ({ write: () => undefined, place });
  for (const [place, sentWith] of [[() => undefined, 'read'], [() => Promise.resolve(true), 'turn'], [() => Promise.resolve(false), 'turn']] as const) {
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
    turn: async () => { now += waitedMs; return { sentWith: 'turn', end: () => undefined }; },
  });
  const check = gateway.methods[0]?.[1] as UnaryMethod;
  await check.handle(Buffer.from('not a message'), { path: '', metadata: {}, peer: { transport: 'plain', address: '127.0.0.1', certificate: undefined }, timeoutMs: undefined, over: () => false }, () => true);
  return seen;
};

test('I15: a question that waited past the deadline is denied for that, unread; one in time is read', async () => {
  expect((await ask(150))?.refused).toBe('decision.deadline');
  expect((await ask(149))?.refused).toBe('request.malformed');
});
