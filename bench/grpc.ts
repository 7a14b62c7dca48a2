/**
 * npm run bench:grpc [-- --rounds 7 --seconds 2 --connections 32 --write]: our gRPC transport beside @grpc/grpc-js (ADR 0003): the same call, the same answer, interleaved rounds, asked
 * by the load generator itself and, where there is one, through a real Envoy; a minute.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findEnvoy } from '../src/demo/gateway.ts';
import { startBenchEnvoy } from './grpc/envoy.ts';
import { ratios, spreadOf } from './harness/latency.ts';
import { readOptions } from './harness/options.ts';
import { micros, millis, perSecond, times, type Findings, type Goal, type Table } from './harness/results.ts';
import { repositoryRoot, runBench, say } from './harness/run-bench.ts';
import { startGenerator } from './http/generator.ts';
import type { Ran } from './http/load-generator.ts';
import { processorMs, stopProcess } from './http/processes.ts';
import type { Kind } from './http/requests.ts';
import { latencyOf, rates, spread } from './http/run.ts';
import { bareOverGrpc } from './peers/bare-questions.ts';

const options = readOptions({ rounds: 7, seconds: 2, connections: 32, write: false }, process.argv.slice(2));

interface Lane {
  readonly name: string;
  readonly job: number;
  /** The gRPC server, with Envoy or without. */
  readonly pid: number;
  readonly closed: Ran[];
  readonly cost: number[];
}

/** Our own, then the library's. */
type Lanes = readonly Lane[];

/** Of a request through Envoy, as a browser sends it. */
const BROWSED = ['GET /orders/7 HTTP/1.1', 'host: shop.local', 'user-agent: bench/1', 'accept: */*', `authorization: Bearer ${'a'.repeat(400)}`, '', ''].join('\r\n');

const tableOf = (title: string, lanes: Lanes): Table => ({
  title,
  columns: ['transport', 'calls a second, median of rounds (spread)', 'processor time of the server a call, us', 'p50 ms', 'p99 ms'],
  rows: lanes.map((lane) => {
    const { p50, p99 } = latencyOf(lane.closed);
    return [lane.name, spread(spreadOf(rates(lane)), perSecond), spread(spreadOf(lane.cost), micros), millis(p50 / 1_000), millis(p99 / 1_000)];
  }),
});

const goalOf = (goal: string, lanes: Lanes): Goal => {
  const [own, library] = lanes as readonly [Lane, Lane];
  const faster = ratios(rates(own), rates(library));
  return { goal, measured: `${spread(faster, times)}; per processor time ${spread(ratios(library.cost, own.cost), times)}`, met: faster.median >= 1, limit: 'then the library should take its place' };
};

const measure = async (): Promise<Findings> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-'));
  const generator = startGenerator();
  const stops: (() => Promise<void>)[] = [generator.stop];
  try {
    const servers = await Promise.all([['own', 'src/grpc on node:http2'], ['library', '@grpc/grpc-js']].map(async ([which = '', name = '']) => {
      const child = fork(join(import.meta.dirname, 'grpc/server.js'), [which], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
      stops.push(() => stopProcess(child));
      const [port] = (await once(child, 'message')) as [number];
      return { which, name, pid: child.pid as number, port };
    }));
    const laneOf = async (name: string, pid: number, kind: Kind, port: number, requests: readonly string[]): Promise<Lane> => ({
      name, pid, job: await generator.addJob({ kind, port, requests, allow: requests.map(() => true) }), closed: [], cost: [],
    });
    const program = findEnvoy(repositoryRoot());
    if (program === undefined) say('no Envoy here: node scripts/get-envoy.mjs gets one');
    const [alone, behind]: [Lane[], Lane[]] = [[], []];
    for (const { which, name, pid, port } of servers) {
      alone.push(await laneOf(name, pid, 'grpc', port, bareOverGrpc(100).requests));
      if (program === undefined) continue;
      const envoy = await startBenchEnvoy(program, port, join(folder, which));
      stops.push(envoy.stop);
      behind.push(await laneOf(`${name}, behind Envoy`, pid, 'curfew', envoy.port, [BROWSED]));
    }
    const lanes = [...alone, ...behind];
    for (let round = 0; round <= options.rounds; round += 1) {
      for (let turn = 0; turn < lanes.length; turn += 1) {
        const lane = lanes[(turn + round) % lanes.length] as Lane;
        const before = processorMs(lane.pid);
        const ran = await generator.run({ job: lane.job, connections: options.connections, durationMs: options.seconds * 1_000, from: 0 });
        // The first round warms up.
        if (round === 0) continue;
        lane.closed.push(ran);
        lane.cost.push(((processorMs(lane.pid) - before) * 1_000) / ran.latencies.length);
      }
    }
    return {
      tables: [
        tableOf(`A unary call, read and answered, one process, ${options.connections} connections`, alone),
        ...(program === undefined ? [] : [tableOf(`The same asked by a real Envoy with the filter of deploy/envoy, which answers ${options.connections} connections itself`, behind)]),
      ],
      goals: [goalOf('our own transport is the faster one', alone), ...(program === undefined ? [] : [goalOf('so it is behind a real Envoy', behind)])],
    };
  } finally {
    for (const stop of stops.toReversed()) await stop();
    rmSync(folder, { recursive: true, force: true });
  }
};

await runBench('grpc', 'npm run bench:grpc', options, measure);
