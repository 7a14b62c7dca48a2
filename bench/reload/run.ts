/**
 * The reload bench: one worker of the real `curfew serve` at half of what it can carry, in turns at rest and while one bundle after
 * the other becomes active: a compiled file that is replaced, and a folder of Rego that is compiled and tested at every save.
 */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ratios, spreadOf, summarize } from '../harness/latency.ts';
import type { Options } from '../harness/options.ts';
import { repositoryRoot } from '../harness/run-bench.ts';
import { count, millis, perSecond, times, type Findings, type Goal } from '../harness/results.ts';
import { startCurfew } from '../http/curfew-server.ts';
import { startGenerator, type Generator } from '../http/generator.ts';
import { drawRequests, wireOf, type Wire } from '../http/requests.ts';
import { benchBundle, writeBenchFolder } from '../support/bench-bundle.ts';
import { filledStore, type FilledStore } from '../support/filled-store.ts';
import { createBenchIssuer } from '../support/workload-tokens.ts';

export const reloadDefaults = { grants: 1_000, saves: 10, rounds: 5, seconds: 6, closedSeconds: 3, connections: 32, requests: 20_000, loadShare: 50, seed: 7, write: false } as const;
export type ReloadOptions = Options<typeof reloadDefaults>;

const P99_GOAL = 2;
const SAVE_GOAL_MS = 1_000;
const ACTIVE_MS_MAX = 60_000;

interface Kind {
  readonly name: string;
  readonly bundle: (folder: string) => Readonly<Record<string, unknown>>;
  /** Makes another bundle of it. */
  readonly save: (folder: string, round: number) => Promise<void>;
}

const FILE: Kind = {
  name: 'a compiled file',
  bundle: (folder) => ({ file: join(folder, 'policy.tar.gz'), reloadIntervalMs: 50 }),
  save: async (folder, round) => {
    writeFileSync(join(folder, 'policy.tar.gz.new'), await benchBundle(repositoryRoot(), round));
    renameSync(join(folder, 'policy.tar.gz.new'), join(folder, 'policy.tar.gz'));
  },
};
const FOLDER: Kind = {
  name: 'a folder of Rego',
  bundle: (folder) => ({ directory: join(folder, 'policy') }),
  save: async (folder, round) => writeBenchFolder(join(folder, 'policy'), round),
};

interface Measured {
  readonly name: string;
  /** Of every round, microseconds. */
  readonly quiet: readonly number[];
  readonly reloading: readonly number[];
  /** From each save until the supervisor says that it is active, milliseconds: with nothing to do beside it, and under load. */
  readonly idleMs: readonly number[];
  readonly activeMs: readonly number[];
  readonly rate: number;
}

interface Stage {
  readonly generator: Generator;
  readonly store: FilledStore;
  readonly jwks: string;
  readonly wire: Wire;
  readonly folder: string;
}

const measure = async ({ generator, store, jwks, wire, folder }: Stage, kind: Kind, options: ReloadOptions): Promise<Measured> => {
  const own = mkdtempSync(join(folder, 'policy-'));
  await kind.save(own, 0);
  let told: ((line: string) => void) | undefined;
  const server = await startCurfew({ store, jwks, folder, name: kind.name.replaceAll(' ', '-'), bundle: kind.bundle(own), onLog: (line) => told?.(line) });
  try {
    let round = 0;
    const reload = async (took: number[]): Promise<void> => {
      round += 1;
      const active = new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('the new bundle did not become active')), ACTIVE_MS_MAX);
        told = (line) => {
          if (line.includes('refused')) reject(new Error(line));
          if (!line.includes('a new bundle is active')) return;
          clearTimeout(timer);
          resolve();
        };
      });
      const savedMs = performance.now();
      await kind.save(own, round);
      await active;
      took.push(performance.now() - savedMs);
    };
    const [idleMs, activeMs]: [number[], number[]] = [[], []];
    const job = await generator.addJob({ kind: 'curfew', port: server.port, ...wire });
    const { connections } = options;
    await generator.run({ job, connections, durationMs: 0, atLeast: options.requests, from: 0 });
    // The toolchain is warm after the first.
    await reload([]);
    for (let save = 0; save < options.saves; save += 1) await reload(idleMs);
    const closed = await generator.run({ job, connections, durationMs: options.closedSeconds * 1_000, from: 0 });
    const rate = Math.max(1, Math.round(((closed.answered / closed.durationMs) * 1_000 * options.loadShare) / 100));
    const open = async (from: number): Promise<number> => {
      const ran = await generator.run({ job, connections, durationMs: options.seconds * 1_000, rate, from });
      server.emptyLog();
      return summarize(ran.latencies).p99;
    };
    const [quiet, reloading]: [number[], number[]] = [[], []];
    for (let turn = 0; turn < options.rounds; turn += 1) {
      quiet.push(await open(turn * 4_001));
      let running = true;
      const loaded = open(turn * 4_001).finally(() => { running = false; });
      // One after the other, without a pause: all of the run is during a reload.
      const reloads = (async () => {
        while (running) await reload(activeMs);
      })();
      const [p99] = await Promise.all([loaded, reloads]);
      reloading.push(p99);
    }
    return { name: kind.name, quiet, reloading, idleMs, activeMs, rate };
  } finally {
    await server.stop();
  }
};

const goalsOf = ({ name, quiet, reloading, idleMs }: Measured): readonly Goal[] => {
  const worse = ratios(reloading, quiet);
  const active = summarize(idleMs);
  return [
    { goal: `p99 while ${name} is reloaded <= ${P99_GOAL} x p99 at rest, at half load`, measured: `${times(worse.median)} (${times(worse.min)} to ${times(worse.max)})`, met: worse.median <= P99_GOAL,
      limit: 'the new module is compiled and its first evaluations run in the worker; compiler and tests take a core of their own' },
    { goal: `${name}: from save to active < ${SAVE_GOAL_MS} ms, toolchain warm`, measured: `median ${active.p50.toFixed(0)} ms, longest ${active.max.toFixed(0)} ms of ${idleMs.length}`, met: active.max < SAVE_GOAL_MS },
  ];
};

/** `generatorModule`: see `startGenerator`. */
export const runReload = async (options: ReloadOptions, say: (text: string) => void, generatorModule?: string): Promise<Findings> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-'));
  const generator = startGenerator(generatorModule);
  try {
    const issuer = createBenchIssuer();
    const store = await filledStore({ grants: options.grants, revocations: options.grants });
    const wire = wireOf('curfew', drawRequests(store, options.requests, options.seed), issuer);
    const measured: Measured[] = [];
    for (const kind of [FILE, FOLDER]) {
      measured.push(await measure({ generator, store, jwks: issuer.jwks, wire, folder }, kind, options));
      say(`${kind.name}: measured`);
    }
    const took = (values: readonly number[]): string => {
      const { p50, max } = summarize(values);
      return `${p50.toFixed(0)}, ${max.toFixed(0)}`;
    };
    const ms = (micros: readonly number[]): string => millis(spreadOf(micros).median / 1_000);
    return {
      tables: [{
        title: `Open loop at ${options.loadShare} % of what one worker carries, ${options.rounds} rounds of ${options.seconds} s each`,
        columns: ['reloaded', 'requests a second', 'p99 ms at rest', 'p99 ms during reloads', 'reloads', 'save to active, ms: idle (p50, max)', 'under load (p50, max)'],
        rows: measured.map(({ name, quiet, reloading, idleMs, activeMs, rate }) => [name, perSecond(rate), ms(quiet), ms(reloading), count(activeMs.length), ...[idleMs, activeMs].map(took)]),
        note: 'Medians of rounds. Reloads follow one another without a pause; at rest and reloading take turns. Latency counts from when a request was due.',
      }],
      goals: measured.flatMap(goalsOf),
    };
  } finally {
    await generator.stop();
    rmSync(folder, { recursive: true, force: true });
  }
};
