/**
 * The lifecycle bench: one worker of the real `curfew serve` at half of what it can carry, in turns at rest and while grants are issued and
 * ended in the same store, at a steady rate, each by the lifecycle's own commands.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lifecycleConfig } from '../../src/lifecycle/config.ts';
import { createLifecycle, type Call } from '../../src/lifecycle/lifecycle.ts';
import { openEmbeddedStore } from '../../src/store/embedded/open.ts';
import { embeddedStoreConfig } from '../../src/store/embedded/config.ts';
import { createClock } from '../../src/time/clock.ts';
import { ratios, spreadOf, summarize, type Latency } from '../harness/latency.ts';
import type { Options } from '../harness/options.ts';
import { count, millis, perSecond, times, type Findings } from '../harness/results.ts';
import { startCurfew } from '../http/curfew-server.ts';
import { startGenerator } from '../http/generator.ts';
import { drawRequests, wireOf } from '../http/requests.ts';
import { filledStore } from '../support/filled-store.ts';
import { createBenchIssuer } from '../support/workload-tokens.ts';

export const lifecycleDefaults = { grants: 1_000, perSecond: 28, rounds: 6, seconds: 10, closedSeconds: 3, connections: 32, requests: 20_000, loadShare: 50, seed: 7, write: false } as const;
export type LifecycleOptions = Options<typeof lifecycleDefaults>;

const P50_GOAL = 1.2;
const P99_GOAL = 2;
const CALL: Call = { realm: 'default', actor: { kind: 'operator', id: 'user:bench' } };

/** Issues and ends, each `perSecond`, for so long; resolves to how many of each and how long the slowest took. */
const churnOf = async (path: string) => {
  const clock = createClock({ maxClockStepMs: 60_000 });
  const { mapSizeBytes } = embeddedStoreConfig.parse({ path });
  const store = await openEmbeddedStore({ path, mode: 'production', clock, mapSizeBytes });
  const lifecycle = createLifecycle({
    store, clock, config: lifecycleConfig.parse({}), policy: () => ({ revision: 'bench-1', entitlement: () => undefined, evaluate: () => ({ kind: 'value', value: { allow: true } }) }), development: true, enforcementMs: 0,
  });
  const open: string[] = [];
  let made = 0;
  const issue = async (): Promise<void> => {
    made += 1;
    const executed = await lifecycle.issueGrant(CALL, {
      workload: `spiffe://bench.local/churn/${made % 1_000}`, model: 'time-boxed', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/churn/**' } }],
      ttlMs: 600_000, owner: 'team:bench', justification: 'measured', reference: 'BENCH-1',
    });
    if (!executed.ok) throw new Error(executed.failure.detail);
    open.push((executed.reply['grant'] as { id: string }).id);
  };
  const end = async (): Promise<void> => {
    const value = open.shift();
    if (value === undefined) return;
    const executed = await lifecycle.revoke(CALL, { selector: { kind: 'grant', value }, reason: 'measured' }, true);
    if (!executed.ok) throw new Error(executed.failure.detail);
  };
  return {
    close: () => store.close(),
    run: async (perSecondWanted: number, durationMs: number): Promise<number> => {
      const from = performance.now();
      const work: Promise<void>[] = [];
      const before = made;
      for (let index = 0; index < (perSecondWanted * durationMs) / 1_000; index += 1) {
        const due = from + (index * 1_000) / perSecondWanted;
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
        work.push(issue().then(end));
      }
      await Promise.all(work);
      return ((made - before) * 1_000) / (performance.now() - from);
    },
  };
};

/** `generatorModule`: see `startGenerator`. */
export const runLifecycle = async (options: LifecycleOptions, say: (text: string) => void, generatorModule?: string): Promise<Findings> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-'));
  const generator = startGenerator(generatorModule);
  const issuer = createBenchIssuer();
  const filled = await filledStore({ grants: options.grants, revocations: options.grants });
  // The filled one stays as it is.
  const store = { ...filled, path: join(folder, 'store') };
  cpSync(filled.path, store.path, { recursive: true });
  const server = await startCurfew({ store, jwks: issuer.jwks, folder, name: 'server' });
  const churn = await churnOf(store.path);
  try {
    const { connections } = options;
    const job = await generator.addJob({ kind: 'curfew', port: server.port, ...wireOf('curfew', drawRequests(filled, options.requests, options.seed), issuer) });
    await generator.run({ job, connections, durationMs: 0, atLeast: options.requests, from: 0 });
    const closed = await generator.run({ job, connections, durationMs: options.closedSeconds * 1_000, from: 0 });
    const rate = Math.max(1, Math.round(((closed.answered / closed.durationMs) * 1_000 * options.loadShare) / 100));
    const asked = async (from: number): Promise<Latency> => {
      const ran = await generator.run({ job, connections, durationMs: options.seconds * 1_000, rate, from });
      server.emptyLog();
      return summarize(ran.latencies);
    };
    const [idle, busy, churned]: [Latency[], Latency[], number[]] = [[], [], []];
    for (let round = 0; round < options.rounds; round += 1) {
      idle.push(await asked(round * 4_001));
      const [latency, reached] = await Promise.all([asked(round * 4_001), churn.run(options.perSecond, options.seconds * 1_000)]);
      busy.push(latency);
      churned.push(reached);
      say(`round ${round + 1}: p50 ${millis((idle.at(-1)?.p50 ?? 0) / 1_000)} and ${millis(latency.p50 / 1_000)} ms, p99 ${millis((idle.at(-1)?.p99 ?? 0) / 1_000)} and ${millis(latency.p99 / 1_000)} ms`);
    }
    const of = (rounds: readonly Latency[], which: 'p50' | 'p99'): number[] => rounds.map((one) => one[which]);
    const worse = { p50: ratios(of(busy, 'p50'), of(idle, 'p50')), p99: ratios(of(busy, 'p99'), of(idle, 'p99')) };
    const ms = (rounds: readonly Latency[], which: 'p50' | 'p99'): string => millis(spreadOf(of(rounds, which)).median / 1_000);
    return {
      tables: [{
        title: `Open loop at ${options.loadShare} % of what one worker carries, ${options.rounds} rounds of ${options.seconds} s each, at rest and with ${options.perSecond} grants issued and as many revoked a second`,
        columns: ['requests a second', 'reached: issued and ended a second', 'p50 ms at rest', 'beside', 'p99 ms at rest', 'beside', 'rounds'],
        rows: [[perSecond(rate), spreadOf(churned).median.toFixed(1), ms(idle, 'p50'), ms(busy, 'p50'), ms(idle, 'p99'), ms(busy, 'p99'), count(options.rounds)]],
        note: 'Medians of rounds, which take turns. Latency counts from when a request was due.',
      }],
      goals: (['p50', 'p99'] as const).map((which) => {
        const goal = which === 'p50' ? P50_GOAL : P99_GOAL;
        return { goal: `${which} with ${options.perSecond} grants issued and ended a second <= ${goal} x ${which} at rest`, measured: `${times(worse[which].median)} (${times(worse[which].min)} to ${times(worse[which].max)})`, met: worse[which].median <= goal };
      }),
    };
  } finally {
    await generator.stop();
    await churn.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
};
