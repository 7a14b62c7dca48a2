/**
 * How long one `facts()` takes with 1,000 and with many grants stored: 25 keys of endings (absent), three rows with their refs.
 * Prints p50, p99 and p99.9 for uniform and for few workloads, with a commit before each read or none, and the time to open.
 *   npm run bench:store [-- 1000000]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endingRef } from '../../src/domain/grant-refs.ts';
import type { Instant } from '../../src/domain/instant.ts';
import { workloadSelectors } from '../../src/domain/selector.ts';
import { openEmbeddedStore, type EmbeddedStore } from '../../src/store/embedded/open.ts';
import type { FactsQuery } from '../../src/store/port.ts';
import { fillStore, workloadOf, type Filling } from '../support/fill-store.ts';

const START = 1_800_000_000_000 as Instant;
const clock = { now: () => ({ earliest: START, latest: START, trusted: true }) };

const queryOf = (workload: string): FactsQuery => ({
  realm: 'default',
  keys: [
    ...workloadSelectors(workload).map(endingRef),
    ...Array.from({ length: 25 - workloadSelectors(workload).length }, (_, index) => ({ kind: 'ending', id: `credential:sha256:${workload.length}${'0'.repeat(60)}${index}` })),
  ],
  index: { owner: workload, endsAfter: START, wanted: () => true, lookBack: 8 },
});

const report = (name: string, micros: number[]): void => {
  micros.sort((a, b) => a - b);
  const at = (share: number): string => (micros[Math.min(micros.length - 1, Math.floor(micros.length * share))] as number).toFixed(1).padStart(8);
  process.stdout.write(`${name.padEnd(60)} p50 ${at(0.5)} us  p99 ${at(0.99)} us  p99.9 ${at(0.999)} us\n`);
};

const measure = async (name: string, store: EmbeddedStore, workloads: number, picked: () => number, options: { turn: number }): Promise<void> => {
  const times: number[] = [];
  let rows = 0;
  for (let round = 0; round < 30_000; round += 1) {
    const query = queryOf(workloadOf(picked() % workloads));
    const from = process.hrtime.bigint();
    rows += store.facts(query).rows.length;
    const micros = Number(process.hrtime.bigint() - from) / 1_000;
    if (round >= 3_000) times.push(micros);
    if (round % options.turn === 0) await new Promise(setImmediate);
  }
  if (rows !== 90_000) throw new Error(`expected three rows each, got ${rows / 30_000}`);
  report(name, times);
};

const rssAnonMb = (): number => Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) / 1_024;

const fillingOf = (grants: number): Filling => {
  const workloads = Math.floor(grants / 3);
  return { realm: 'default', grants: workloads * 3, workloads, revocations: grants, notBefore: START, expiresAt: (START + 3_600_000) as Instant };
};

const fill = async (path: string, grants: number): Promise<void> => {
  const store = await openEmbeddedStore({ path, mode: 'production', clock });
  const from = performance.now();
  await fillStore(store, fillingOf(grants));
  await store.close();
  process.stdout.write(`\n${grants} grants and as many revocations: filled in ${((performance.now() - from) / 1_000).toFixed(1)} s, ${(statSync(join(path, 'data.mdb')).size / 2 ** 20).toFixed(0)} MiB\n`);
};

/** In a process of its own, which has seen nothing of the filling. */
const measureAll = async (path: string, grants: number): Promise<void> => {
  const { workloads } = fillingOf(grants);
  const from = performance.now();
  const store = await openEmbeddedStore({ path, mode: 'production', clock });
  store.facts(queryOf(workloadOf(1)));
  process.stdout.write(`opened, first facts after ${(performance.now() - from).toFixed(1)} ms\n`);
  const uniform = (): number => Math.floor(Math.random() * workloads);
  // Zipf with exponent 1, near enough for a bench.
  const zipf = (): number => Math.floor(workloads ** Math.random()) - 1;
  await measure('one workload', store, workloads, () => 7, { turn: 8 });
  await measure('Zipf over all workloads', store, workloads, zipf, { turn: 8 });
  await measure('uniform over all workloads', store, workloads, uniform, { turn: 8 });
  await measure('uniform, one read a turn', store, workloads, uniform, { turn: 1 });
  let stop = false;
  let commits = 0;
  const writing = (async () => {
    while (!stop) {
      await store.commit({
        realm: 'default',
        expect: [],
        puts: [
          { key: { kind: 'ending', id: `grant:new-${commits}` }, value: { version: 1 }, mark: true },
          { key: { kind: 'grant', id: `new-${commits}` }, value: {}, index: { owner: 'nobody', end: START } },
        ],
        events: [{ type: 'revoked', about: [], ending: true, data: {} }],
      });
      commits += 1;
    }
  })();
  await measure('Zipf while endings and grants are committed without pause', store, workloads, zipf, { turn: 4 });
  stop = true;
  await writing;
  process.stdout.write(`${commits} commits meanwhile; RssAnon ${rssAnonMb().toFixed(0)} MiB; load ${loadavg()[0]?.toFixed(2)}\n`);
  await store.close();
};

const [first, path, count] = process.argv.slice(2);
if (first === '--measure') await measureAll(path ?? '', Number(count));
else {
  for (const grants of [1_000, Number(first ?? 1_000_000)]) {
    const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-'));
    try {
      await fill(folder, grants);
      const { status } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--measure', folder, `${grants}`], { stdio: 'inherit' });
      if (status !== 0) process.exitCode = 1;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}
