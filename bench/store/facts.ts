/**
 * How long one `facts()` takes with 1,000 and with many grants stored: 25 keys of endings (absent), three rows with their refs.
 * Prints p50, p99 and p99.9 for uniform and for few workloads, with a commit before each read or none, and the time to open.
 *   node <compiled>/bench/store/facts.js [grants]
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { readFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
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

const run = async (grants: number): Promise<void> => {
  const path = mkdtempSync(join(tmpdir(), 'curfew-bench-'));
  const filling: Filling = { realm: 'default', grants, workloads: Math.floor(grants / 3), revocations: grants, notBefore: START, expiresAt: (START + 3_600_000) as Instant };
  filling.grants satisfies number;
  try {
    const first = await openEmbeddedStore({ path, mode: 'production', clock });
    let from = performance.now();
    await fillStore(first, { ...filling, grants: filling.workloads * 3 });
    process.stdout.write(`\n${grants} grants and as many revocations: filled in ${((performance.now() - from) / 1_000).toFixed(1)} s, ${(statSync(join(path, 'data.mdb')).size / 2 ** 20).toFixed(0)} MiB\n`);
    await first.close();
    from = performance.now();
    const store = await openEmbeddedStore({ path, mode: 'production', clock });
    process.stdout.write(`opened in ${(performance.now() - from).toFixed(1)} ms\n`);
    const uniform = (): number => Math.floor(Math.random() * filling.workloads);
    // Zipf with exponent 1, near enough for a bench.
    const zipf = (): number => Math.floor(filling.workloads ** Math.random()) - 1;
    await measure('one workload', store, filling.workloads, () => 7, { turn: 8 });
    await measure('Zipf over all workloads', store, filling.workloads, zipf, { turn: 8 });
    await measure('uniform over all workloads', store, filling.workloads, uniform, { turn: 8 });
    await measure('uniform, one read a turn', store, filling.workloads, uniform, { turn: 1 });
    let stop = false;
    let commits = 0;
    const writer = (async () => {
      while (!stop) {
        await store.commit({ realm: 'default', expect: [], puts: [{ key: { kind: 'ending', id: `grant:new-${commits}` }, value: { version: 1 }, mark: true }, { key: { kind: 'grant', id: `new-${commits}` }, value: {}, index: { owner: 'nobody', end: START } }], events: [{ type: 'revoked', about: [], ending: true, data: {} }] });
        commits += 1;
      }
    })();
    await measure('Zipf while endings and grants are committed without pause', store, filling.workloads, zipf, { turn: 4 });
    stop = true;
    await writer;
    process.stdout.write(`${commits} commits meanwhile; RssAnon ${rssAnonMb().toFixed(0)} MiB; load ${loadavg()[0]?.toFixed(2)}\n`);
    await store.close();
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
};

await run(1_000);
await run(Number(process.argv[2] ?? 1_000_000));
