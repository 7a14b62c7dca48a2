/** npm run bench:grpc [-- --rounds 7 --seconds 2 --connections 32 --write]: our gRPC transport beside @grpc/grpc-js (ADR 0003): the same call, the same answer, interleaved rounds; half a minute. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ratios, spreadOf } from './harness/latency.ts';
import { readOptions } from './harness/options.ts';
import { micros, millis, perSecond, times, type Findings } from './harness/results.ts';
import { runBench } from './harness/run-bench.ts';
import { startGenerator } from './http/generator.ts';
import type { Ran } from './http/load-generator.ts';
import { processorMs, stopProcess } from './http/processes.ts';
import { latencyOf, rates, spread } from './http/run.ts';
import { bareOverGrpc } from './peers/bare-questions.ts';

const options = readOptions({ rounds: 7, seconds: 2, connections: 32, write: false }, process.argv.slice(2));

const measure = async (): Promise<Findings> => {
  const generator = startGenerator();
  const lanes = await Promise.all([['own', 'src/grpc on node:http2'], ['library', '@grpc/grpc-js']].map(async ([which = '', name = '']) => {
    const child = fork(join(import.meta.dirname, 'grpc/server.js'), [which], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const [port] = (await once(child, 'message')) as [number];
    return { name, child, port, closed: [] as Ran[], cost: [] as number[] };
  }));
  try {
    const { requests } = bareOverGrpc(100);
    const allow = requests.map(() => true);
    const jobs: number[] = [];
    for (const { port } of lanes) jobs.push(await generator.addJob({ kind: 'grpc', port, requests, allow }));
    for (let round = 0; round <= options.rounds; round += 1) {
      for (let turn = 0; turn < lanes.length; turn += 1) {
        const index = (turn + round) % lanes.length;
        const lane = lanes[index] as (typeof lanes)[number];
        const before = processorMs(lane.child.pid as number);
        const ran = await generator.run({ job: jobs[index] as number, connections: options.connections, durationMs: options.seconds * 1_000, from: 0 });
        // The first round warms up.
        if (round === 0) continue;
        lane.closed.push(ran);
        lane.cost.push(((processorMs(lane.child.pid as number) - before) * 1_000) / ran.latencies.length);
      }
    }
    const [own, library] = lanes as [(typeof lanes)[number], (typeof lanes)[number]];
    const faster = ratios(rates(own), rates(library));
    return {
      tables: [{
        title: `A unary call, read and answered, one process, ${options.connections} connections`,
        columns: ['transport', 'calls a second, median of rounds (spread)', 'processor time a call, us', 'p50 ms', 'p99 ms'],
        rows: lanes.map((lane) => {
          const { p50, p99 } = latencyOf(lane.closed);
          return [lane.name, spread(spreadOf(rates(lane)), perSecond), spread(spreadOf(lane.cost), micros), millis(p50 / 1_000), millis(p99 / 1_000)];
        }),
      }],
      goals: [{ goal: 'our own transport is the faster one', measured: `${spread(faster, times)}; per processor time ${spread(ratios(library.cost, own.cost), times)}`, met: faster.median >= 1, limit: 'then the library should take its place' }],
    };
  } finally {
    await generator.stop();
    for (const { child } of lanes) await stopProcess(child);
  }
};

await runBench('grpc', 'npm run bench:grpc', options, measure);
