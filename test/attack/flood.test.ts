/** E9, I12, I15: a flood over one HTTP/2 connection does not keep other callers waiting, and what is too late is shed without being taken apart. */
import { afterEach, expect, test } from 'vitest';
import type { Evaluation } from '../../src/decision/evaluation.ts';
import { ownTurn, takeTurn } from '../../src/decision/loop-turns.ts';
import { createEnvoyGateway } from '../../src/gateways/envoy/gateway.ts';
import { envoyGatewayConfig } from '../../src/gateways/envoy/config.ts';
import { createPepAuthenticator } from '../../src/gateways/pep.ts';
import type { UnaryMethod } from '../../src/grpc/method.ts';
import { denied } from '../gateways/envoy/harness.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
afterEach(async () => {
  while (takeTurn(false) !== undefined) await nextTurn();
});

test('I12: a decision over another transport waits for one turn of the loop at most, however long the line is', async () => {
  const served: string[] = [];
  const line = Array.from({ length: 200 }, async (_, index) => {
    await ownTurn();
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

test('I1: of those in line one is served a turn', async () => {
  let served = 0;
  const line = Array.from({ length: 20 }, async () => {
    await ownTurn();
    served += 1;
    void takeTurn(true);
  });
  for (let turn = 1; turn <= 20; turn += 1) {
    await nextTurn();
    expect(served).toBeLessThanOrEqual(turn);
  }
  await Promise.all(line);
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
    turn: async () => { now += waitedMs; },
  });
  const check = gateway.methods[0]?.[1] as UnaryMethod;
  await check.handle(Buffer.from('not a message'), { path: '', metadata: {}, peer: { transport: 'plain', address: '127.0.0.1', certificate: undefined }, timeoutMs: undefined, over: () => false }, () => true);
  return seen;
};

test('I15: a question that waited past the deadline is denied for that, unread; one in time is read', async () => {
  expect((await ask(150))?.refused).toBe('decision.deadline');
  expect((await ask(149))?.refused).toBe('request.malformed');
});
