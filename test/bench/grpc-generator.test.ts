/** The load generator over gRPC: it sees a wrong answer, and goes on over another connection when a server wants that. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGenerator, type Generator } from '../../bench/http/generator.ts';
import { addressed, checkAllows, questionOf } from '../../bench/http/http2-client.ts';
import { bareOverGrpc } from '../../bench/peers/bare-questions.ts';
import { bareDenial, checkResponse, shedDenial } from '../../src/gateways/envoy/answer.ts';
import { allowed, denied, startGateway, type RunningGateway } from '../gateways/envoy/harness.ts';
import { repositoryRoot } from '../parts.ts';

let compiled: string;
let generator: Generator;
let gateway: RunningGateway;
beforeAll(async () => {
  compiled = mkdtempSync(join(tmpdir(), 'curfew-generator-'));
  try {
    execFileSync(join(repositoryRoot, 'node_modules/.bin/tsc'), ['-p', join(repositoryRoot, 'tsconfig.bench.json'), '--outDir', compiled], { stdio: 'ignore' });
  } catch {
    // `npm test` checks types in a step of its own.
  }
  generator = startGenerator(join(compiled, 'bench/http/load-generator.js'));
  gateway = await startGateway(
    (evaluation) => (evaluation.question?.resource.id.includes('/orders/') === true ? allowed(evaluation) : denied(evaluation, 'grant.none')),
    { config: { limits: { maxConnectionAgeMs: 1_000 } } },
  );
});
afterAll(async () => {
  await generator?.stop();
  await gateway?.close();
  rmSync(compiled, { recursive: true, force: true });
});

test('it asks, checks, and outlives connections that are to be opened anew', { timeout: 120_000 }, async () => {
  const wire = bareOverGrpc(50);
  const port = gateway.port as number;
  const job = await generator.addJob({ kind: 'grpc', port, ...wire });
  const { answered, wrong, unavailable } = await generator.run({ job, connections: 4, durationMs: 2_500, from: 0 });
  expect([wrong, unavailable]).toEqual([[], 0]);
  expect(answered).toBeGreaterThan(0);
  const lying = await generator.addJob({ kind: 'grpc', port, requests: wire.requests, allow: wire.allow.map((allow) => !allow) });
  await expect(generator.run({ job: lying, connections: 2, durationMs: 0, atLeast: 5, from: 0 })).rejects.toThrow('wrong answers');
});

test('a CheckResponse is an allow, a denial, or neither', () => {
  const evaluation = { id: 'd', realm: 'default' } as Parameters<typeof allowed>[0];
  const options = { fineReasons: true, ownHeaders: [], stream: false };
  expect(checkAllows(Buffer.from(checkResponse(allowed(evaluation), options)))).toBe(true);
  expect(checkAllows(Buffer.from(checkResponse(denied(evaluation, 'grant.none'), options)))).toBe(false);
  expect([bareDenial('d'), shedDenial('d')].map((bytes) => checkAllows(Buffer.from(bytes)))).toEqual([false, false]);
  expect(checkAllows(Buffer.alloc(0))).toBeUndefined();
  const question = addressed(questionOf('/a', Buffer.from('x')), 7);
  expect([question.readUInt32BE(5), question.subarray(-6)]).toEqual([7, Buffer.from([0, 0, 0, 0, 1, 120])]);
});
