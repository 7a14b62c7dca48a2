/** What the decision log costs over HTTP: one server a way of logging and one without a log, each in a process of its own, asked in interleaved rounds; every answer is checked. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ratios, spreadOf } from '../harness/latency.ts';
import { count, micros, millis, perSecond, times, type Goal, type Table } from '../harness/results.ts';
import { startGenerator } from '../http/generator.ts';
import type { Ran } from '../http/load-generator.ts';
import { processorMs, stopProcess } from '../http/processes.ts';
import { drawRequests, wireOf } from '../http/requests.ts';
import { latencyOf, rates, spread } from '../http/run.ts';
import { benchBundle } from '../support/bench-bundle.ts';
import type { FilledStore } from '../support/filled-store.ts';
import { AUDIENCE, TRUST_DOMAIN, type BenchIssuer } from '../support/workload-tokens.ts';

/** Compiled modules, for processes of their own. */
export interface Modules {
  readonly generator: string;
  readonly server: string;
}

export interface OverHttpOptions {
  readonly httpRounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly requests: number;
  readonly seed: number;
}

const SHARE_GOAL = 0.85;
const READY_MS = 60_000;
const WRITTEN_MS = 10_000;
const LANES = [['off', undefined], ['file, block', 'block'], ['file, drop-counted', 'drop-counted']] as const;

const startServer = async (module: string, options: { readonly store: FilledStore; readonly folder: string; readonly jwks: string; readonly bundle: string; readonly pressure: 'block' | 'drop-counted' | undefined }) => {
  const { folder, pressure } = options;
  const name = pressure ?? 'off';
  const path = join(folder, `store-${name}`);
  cpSync(options.store.path, path, { recursive: true });
  const file = join(folder, `${name}.jsonl`);
  writeFileSync(file, '', { mode: 0o600 });
  const config = {
    http: { port: 0 }, grpc: { port: 0 }, store: { path },
    policy: { bundle: { file: options.bundle }, signing: { required: false } },
    identity: { issuers: [{ kind: 'spiffe', trustDomain: TRUST_DOMAIN, bundle: { file: options.jwks }, audiences: [AUDIENCE] }] },
    decisionLog: { to: 'file', path: file, ...(pressure === undefined ? {} : { pressure }) },
    log: { level: 'warn' },
  };
  const child = fork(module, [JSON.stringify(config), options.bundle, pressure === undefined ? 'off' : 'on'], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const stop = async (): Promise<void> => {
    await stopProcess(child);
    // It looks itself whether a record was lost.
    if (child.exitCode !== 0) throw new Error(`the server with the log ${name} ended with ${child.exitCode ?? child.signalCode}`);
  };
  const ended = once(child, 'exit').then(() => { throw new Error('a server ended before it listened'); });
  ended.catch(() => undefined);
  const heard = Promise.race([once(child, 'message', { signal: AbortSignal.timeout(READY_MS) }), ended]);
  const [port] = (await heard.catch(async (error: unknown) => {
    await stopProcess(child);
    throw error;
  })) as [number];
  return {
    port, stop, pid: child.pid as number,
    /** Bytes of its log since the last time; of one that is written, once there are any. */
    takeLog: async (): Promise<number> => {
      const until = performance.now() + WRITTEN_MS;
      while (pressure !== undefined && statSync(file).size === 0 && performance.now() < until) await new Promise((resolve) => { setTimeout(resolve, 10); });
      const { size } = statSync(file);
      if (size > 0 !== (pressure !== undefined)) throw new Error(`wrong answer: the log of the server \`${name}\` had ${size} bytes`);
      truncateSync(file);
      return size;
    },
  };
};

interface Cost {
  readonly table: Table;
  readonly goal: Goal;
}

type Stops = (() => Promise<void>)[];

const measure = async (store: FilledStore, issuer: BenchIssuer, folder: string, options: OverHttpOptions, modules: Modules | undefined, stops: Stops): Promise<Cost> => {
  const [jwks, bundle] = [join(folder, 'keys.json'), join(folder, 'bundle.tar.gz')];
  writeFileSync(jwks, issuer.jwks);
  writeFileSync(bundle, await benchBundle());
  const generator = startGenerator(modules?.generator);
  stops.push(generator.stop);
  const wire = wireOf('curfew', drawRequests(store, options.requests, options.seed), issuer);
  const lanes = [];
  for (const [name, pressure] of LANES) {
    const server = await startServer(modules?.server ?? join(import.meta.dirname, 'server.js'), { store, folder, jwks, bundle, pressure });
    stops.push(server.stop);
    lanes.push({ name, server, job: await generator.addJob({ kind: 'curfew', port: server.port, ...wire }), closed: [] as Ran[], cost: [] as number[], bytes: 0 });
  }
  const { connections } = options;
  // Every request once: credentials are remembered, and code is compiled.
  for (const { job, server } of lanes) {
    await generator.run({ job, connections, durationMs: 0, atLeast: options.requests, from: 0 });
    await server.takeLog();
  }
  for (let round = 0; round < options.httpRounds; round += 1) {
    for (let turn = 0; turn < lanes.length; turn += 1) {
      const lane = lanes[(turn + round) % lanes.length] as (typeof lanes)[number];
      const before = processorMs(lane.server.pid);
      const ran = await generator.run({ job: lane.job, connections, durationMs: options.seconds * 1_000, atLeast: connections, from: round * 4_001 });
      lane.cost.push(((processorMs(lane.server.pid) - before) * 1_000) / ran.latencies.length);
      lane.closed.push(ran);
      lane.bytes += await lane.server.takeLog();
    }
  }
  const [off, blocking] = lanes as [(typeof lanes)[number], (typeof lanes)[number]];
  const share = (lane: typeof off) => ratios(rates(lane), rates(off));
  return {
    table: {
      title: `The decision log over HTTP: closed loop, ${connections} connections, ${options.httpRounds} rounds of ${options.seconds} s each`,
      columns: ['decision log', 'decisions a second, median of rounds (spread)', 'of the throughput without a log', 'processor time a decision, us', 'p50 ms', 'p99 ms', 'bytes of log a decision', 'unavailable'],
      rows: lanes.map((lane) => {
        const { p50, p99 } = latencyOf(lane.closed);
        const answered = lane.closed.reduce((sum, { latencies }) => sum + latencies.length, 0);
        const unavailable = lane.closed.reduce((sum, ran) => sum + ran.unavailable, 0);
        return [lane.name, spread(spreadOf(rates(lane)), perSecond), spread(share(lane), times), spread(spreadOf(lane.cost), micros), millis(p50 / 1_000), millis(p99 / 1_000), count(lane.bytes / answered), count(unavailable)];
      }),
      note: 'The gateways, `decide` and the log of a worker, in a process of its own without supervisor, because `curfew serve` has no way to decide without a record.',
    },
    goal: {
      goal: `over HTTP, with a log in a file, block, >= ${times(SHARE_GOAL)} of the throughput without a log`, measured: spread(share(blocking), times), met: share(blocking).median >= SHARE_GOAL,
      limit: 'the encoding of records (search for secrets, JSON) and its garbage in the process that decides: some 40 of 48 us by profile; with a constant text of the same length in place of each record 8 us are left',
    },
  };
};

/** Throws too when a server lost a record. `folder`: for stores and logs. `modules`: where they are not beside this one. */
export const logOverHttp = async (store: FilledStore, issuer: BenchIssuer, folder: string, options: OverHttpOptions, modules?: Modules): Promise<Cost> => {
  const stops: Stops = [];
  const ends: PromiseSettledResult<void>[] = [];
  let cost: Cost;
  try {
    cost = await measure(store, issuer, folder, options, modules, stops);
  } finally {
    ends.push(...(await Promise.allSettled(stops.map((stop) => stop()))));
  }
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return cost;
};
