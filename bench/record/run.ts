/** The record bench: how fast a decision log is verified, and what writing one costs: a process that does nothing but decide, and a server over HTTP. */
import { createReadStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { byteLines } from '../../src/audit/byte-lines.ts';
import { decisionLogConfig } from '../../src/audit/config.ts';
import { openDecisionSink } from '../../src/audit/open-sink.ts';
import { verifyLog } from '../../src/audit/verify-log.ts';
import { createBenchDecider, createBenchIdentity, type BenchLog } from '../in-process/decider.ts';
import { costOf, measureScenarios, type Scenario } from '../in-process/measure.ts';
import { ratios, spreadOf } from '../harness/latency.ts';
import type { Options } from '../harness/options.ts';
import { count, micros, perSecond, times, type Findings } from '../harness/results.ts';
import { benchBundle } from '../support/bench-bundle.ts';
import { filledStore } from '../support/filled-store.ts';
import { createBenchIssuer } from '../support/workload-tokens.ts';
import { logOverHttp, type Modules } from './over-http.ts';
import { benchRecord } from './sample.ts';

export const recordDefaults = { records: 300_000, grants: 1_000, rounds: 9, decisions: 4_000, httpRounds: 9, seconds: 2, connections: 32, requests: 6_000, seed: 7, write: false } as const;
export type RecordOptions = Options<typeof recordDefaults>;

const VERIFY_GOAL = 100_000;
const LOG_GOAL = 1.15;
const LINE_BYTES_MAX = 1_048_576;
const BATCH = 1_000;

/** Throws unless the log that was just written holds, with every record. */
const verifiedPerSecond = async (path: string, records: number): Promise<number> => {
  const startedMs = performance.now();
  const report = await verifyLog(byteLines(createReadStream(path, { highWaterMark: 1_048_576 }) as AsyncIterable<Buffer>, LINE_BYTES_MAX));
  const tookMs = performance.now() - startedMs;
  if (report.fault !== undefined || report.decisions !== records) throw new Error(`wrong answer: ${JSON.stringify(report)}`);
  return (records / tookMs) * 1_000;
};

const writeLog = async (path: string, records: number): Promise<void> => {
  const sink = openDecisionSink(decisionLogConfig.parse({ to: 'file', path, bufferedRecordsMax: 1_000_000 }));
  for (let index = 0; index < records; index += 1) {
    void sink.place();
    sink.write(benchRecord(index));
    if (index % BATCH === 0) await sink.flush();
  }
  await sink.close(60_000);
};

/** `modules`: tests, which run uncompiled, name them. */
export const runRecord = async (options: RecordOptions, modules?: Modules): Promise<Findings> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-record-'));
  const issuer = createBenchIssuer();
  const identity = await createBenchIdentity(issuer.jwks, options.grants);
  const scenarios: Scenario[] = [];
  try {
    const path = join(folder, 'decisions.jsonl');
    await writeLog(path, options.records);
    const verified = spreadOf([await verifiedPerSecond(path, options.records), await verifiedPerSecond(path, options.records), await verifiedPerSecond(path, options.records)]);
    const bytes = statSync(path).size / options.records;
    rmSync(path);

    const store = await filledStore({ grants: options.grants, revocations: 0 });
    const bundle = await benchBundle();
    for (const log of ['off', 'drop-counted', 'block'] as const satisfies readonly BenchLog[]) {
      scenarios.push({ name: log, store, drawing: 'uniform', decider: await createBenchDecider({ store, bundle, identity, folder, log }) });
    }
    const measured = await measureScenarios(scenarios, issuer, identity, { rounds: options.rounds, decisionsPerRound: options.decisions, seed: options.seed });
    const [off, dropping, blocking] = measured;
    if (off === undefined || dropping === undefined || blocking === undefined) throw new Error('a scenario was not measured');
    const overHttp = await logOverHttp(store, issuer, folder, options, modules);
    const ratio = (one: typeof off) => ratios(one.costs, off.costs);
    return {
      tables: [
        {
          title: 'The decision log',
          columns: ['decisions, one process', 'us a decision, median of rounds', 'compared with no log', 'decisions a second'],
          rows: measured.map((one) => [one.scenario.name, micros(costOf(one).median), `${times(ratio(one).median)} (${times(ratio(one).min)} to ${times(ratio(one).max)})`, perSecond(1e6 / costOf(one).median)]),
          note: 'A process that does nothing but decide. Interleaved rounds in one run; encoding, chain, reservation and write to a file are in it.',
        },
        overHttp.table,
        {
          title: '`curfew audit verify --decisions`',
          columns: ['records', 'bytes each', 'records a second, median (spread)'],
          rows: [[count(options.records), count(bytes), `${perSecond(verified.median)} (${perSecond(verified.min)} to ${perSecond(verified.max)})`]],
        },
      ],
      goals: [
        { goal: `verify >= ${count(VERIFY_GOAL)} records a second`, measured: perSecond(verified.median), met: verified.median >= VERIFY_GOAL, limit: 'SHA-256 over the bytes and taking lines apart' },
        { goal: `logging to a file, block, <= ${times(LOG_GOAL)} of the time without a log`, measured: times(ratio(blocking).median), met: ratio(blocking).median <= LOG_GOAL, limit: 'the encoding of records: looking for secrets in the input and writing JSON' },
        overHttp.goal,
      ],
    };
  } finally {
    for (const { decider } of scenarios) await decider.close();
    identity.close();
    rmSync(folder, { recursive: true, force: true });
  }
};
