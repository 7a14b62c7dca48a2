/** OPA's evaluator behind grpc-go, of the peers bench, gives the bare rule's answers, and another one is seen: `npm run test:grpcurl`, since Go builds it for minutes the first time. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGenerator, type Generator } from '../../bench/http/generator.ts';
import { BARE_DATA, bareOverGrpc } from '../../bench/peers/bare-questions.ts';
import { findOpaGrpc, startOpaGrpc, type OpaGrpcServer } from '../../bench/peers/opa-grpc-server.ts';
import { repositoryRoot } from '../parts.ts';

const QUESTIONS = 2_000;

let folder: string;
let generator: Generator | undefined;
let server: OpaGrpcServer | undefined;
beforeAll(async () => {
  mkdirSync(join(repositoryRoot, '.cache'), { recursive: true });
  folder = mkdtempSync(join(repositoryRoot, '.cache/opa-grpc-test-'));
  execFileSync(join(repositoryRoot, 'node_modules/.bin/tsc'), ['-p', join(repositoryRoot, 'tsconfig.bench.json'), '--outDir', folder], { stdio: 'ignore' });
  generator = startGenerator(join(folder, 'bench/http/load-generator.js'));
  const program = findOpaGrpc();
  if (program === undefined) throw new Error('Go could not build it');
  server = await startOpaGrpc(program, { bench: BARE_DATA }, folder);
}, 600_000);
afterAll(async () => {
  await generator?.stop();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('every question has the answer that it has of the others; planted: one that is wrong is seen', async () => {
  const { requests, allow } = bareOverGrpc(QUESTIONS);
  const run = async (expected: readonly boolean[]): Promise<number> => {
    const job = await generator!.addJob({ kind: 'grpc', port: server!.port, requests, allow: expected });
    return (await generator!.run({ job, connections: 4, durationMs: 0, atLeast: QUESTIONS, from: 0 })).answered;
  };
  expect(allow).toContain(false);
  expect(await run(allow)).toBeGreaterThanOrEqual(QUESTIONS);
  await expect(run(allow.map((yes, index) => (index === 6 ? !yes : yes)))).rejects.toThrow('wrong answers');
}, 60_000);
