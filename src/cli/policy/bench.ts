/** `curfew policy bench`: how long one evaluation takes in the engine that decides, for one's own inputs. */
import { createReadStream } from 'node:fs';
import { readLog } from '../../audit/read-log.ts';
import { recordedOutcome } from '../../decision/rejudge.ts';
import { fromRfc3339, type Instant } from '../../domain/instant.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { ENGINE_LIMITS, loadPolicy } from '../../policy/load-policy.ts';
import { measureEvaluations } from '../../policy/measure.ts';
import { startTrial } from '../../policy/trial/trial.ts';
import { calibrate } from '../../time/calibrate.ts';
import { createClock } from '../../time/clock.ts';
import { Failed } from '../api-client.ts';
import { readInput, type Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { asJson, fit, table } from '../print.ts';
import { readCandidate, refusedCandidate } from './candidate.ts';

export interface BenchOptions {
  readonly input?: readonly string[];
  /** Decision log whose inputs are taken. */
  readonly log?: string;
  readonly entrypoint: string;
  readonly count: number;
  readonly at?: string;
  readonly json?: boolean;
}

interface Case {
  readonly name: string;
  readonly input: JsonObject;
  readonly now: Instant | undefined;
}

const LOGGED_MAX = 20;
const WARM_UPS = 2_000;
const BUDGET_MS = 2_000;
const NAME_CHARS_MAX = 50;

/** A document, or a decision record with one in it. */
const caseOf = (name: string, value: JsonObject): Case => {
  const { input: inner } = value;
  const input = typeof value['version'] === 'number' && isJsonObject(value['policy']) && isJsonObject(inner) ? inner : value;
  const curfew = input['curfew'];
  const now = isJsonObject(curfew) && typeof curfew['now_ms'] === 'number' ? (curfew['now_ms'] as Instant) : undefined;
  return { name, input, now };
};

const fromFile = async (run: Run, path: string): Promise<Case> => {
  const text = await readInput(run.deps, path);
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new Failed(EXIT.refused, `${path} is not JSON: ${error instanceof Error ? error.message : ''}`);
  }
  if (!isJsonObject(value)) throw new Failed(EXIT.refused, `${path} is not a JSON object`);
  return caseOf(path, value);
};

/** The first decisions of a log in which a policy was asked. */
const fromLog = async (path: string): Promise<readonly Case[]> => {
  const cases: Case[] = [];
  try {
    for await (const line of readLog(createReadStream(path) as AsyncIterable<Buffer>)) {
      if (line.kind !== 'record' || recordedOutcome(line.record) === undefined) continue;
      cases.push(caseOf(line.record.id, line.record as unknown as JsonObject));
      if (cases.length === LOGGED_MAX) break;
    }
  } catch (error) {
    throw new Failed(EXIT.refused, `${path} can not be read: ${error instanceof Error ? error.message : ''}`);
  }
  return cases;
};

/** Nearest rank; `sorted` ascending and not empty. */
const rank = (sorted: Float64Array, share: number): number => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;

const rounded = (value: number): number => Math.round(value * 10) / 10;

const answerOf = (value: JsonValue | undefined): string => fit(JSON.stringify(value) ?? 'undefined', NAME_CHARS_MAX);

export const benchCommand = async (run: Run, path: string, options: BenchOptions): Promise<void> => {
  const { entrypoint, at } = options;
  const count = Math.max(1, options.count);
  const cases = [...(await Promise.all((options.input ?? []).map((file) => fromFile(run, file)))), ...(options.log === undefined ? [] : await fromLog(options.log))];
  if (cases.length === 0) throw new Failed(EXIT.refused, 'no input to evaluate: --input, or --log with decisions in it');
  const load = { entrypoints: [entrypoint], opaBuiltins: true, engine: ENGINE_LIMITS };
  const { archive } = await readCandidate(run, path, [entrypoint]);
  const clock = createClock({ maxClockStepMs: 1 });
  const nowOf = ({ now }: Case): Instant => (at === undefined ? undefined : fromRfc3339(at)) ?? now ?? clock.now().latest;

  // What never ends would hold this process for ever.
  const trial = await startTrial(archive, { load, budgetMs: BUDGET_MS, loadTimeoutMs: 30_000, heapMegabytesMax: 512 }).catch(refusedCandidate(path));
  try {
    const answers = await trial.ask(cases.map((one) => ({ entrypoint, input: one.input, now: nowOf(one) })));
    const endless = answers.findIndex(({ stopped }) => stopped === true);
    if (endless !== -1) throw new Failed(EXIT.unavailable, `${cases[endless]?.name}: one evaluation takes longer than ${BUDGET_MS} ms`);
  } finally {
    await trial.close();
  }
  const policy = await loadPolicy(archive, load);

  calibrate(clock.monotonicMs, 1_000_000);
  const before = calibrate(clock.monotonicMs);
  const rows = cases.map((one): JsonObject => {
    const measure = (times: number) => measureEvaluations({ policy, entrypoint, input: one.input, now: nowOf(one), count: times, monotonicMs: clock.monotonicMs });
    measure(Math.min(WARM_UPS, count));
    const { samples, outcome } = measure(count);
    samples.sort();
    return {
      input: one.name, bytes: Buffer.byteLength(JSON.stringify(one.input)), evaluations: count,
      p50Us: rounded(rank(samples, 0.5)), p99Us: rounded(rank(samples, 0.99)), maxUs: rounded(rank(samples, 1)),
      outcome: outcome.kind, answer: outcome.kind === 'value' ? answerOf(outcome.value) : outcome.kind === 'failed' ? fit(outcome.detail, NAME_CHARS_MAX) : 'undefined',
    };
  });
  const calibration = { beforeMs: rounded(before), afterMs: rounded(calibrate(clock.monotonicMs)) };
  if (options.json === true) return run.deps.stdout(asJson({ revision: policy.revision, entrypoint, calibration, inputs: rows }));
  run.deps.stdout(`${fit(`${policy.revision}, ${entrypoint}, ${count} evaluations each`, 120)}\n`);
  run.deps.stdout(`calibration loop: ${calibration.beforeMs} ms before, ${calibration.afterMs} ms after (40 million steps of a xorshift)\n\n`);
  run.deps.stdout(table(rows, [['INPUT', ({ input }) => (typeof input === 'string' ? fit(input, 40) : '')], ['BYTES', 'bytes'], ['P50 us', 'p50Us'], ['P99 us', 'p99Us'], ['MAX us', 'maxUs'], ['ANSWER', 'answer']]));
};
