/** `curfew policy replay`: a decision log under a candidate bundle. Streams; what it keeps does not grow with the log. */
import { createReadStream } from 'node:fs';
import { readLog, type LogLine } from '../../audit/read-log.ts';
import { TOO_DEEP } from '../../audit/redact.ts';
import { askAgain, recordedOutcome, type AskedAgain, type Envelope } from '../../decision/rejudge.ts';
import type { DecisionRecord } from '../../decision/record.ts';
import { ENGINE_LIMITS } from '../../policy/load-policy.ts';
import { startTrial, type Trial } from '../../policy/trial/trial.ts';
import { Failed } from '../api-client.ts';
import type { Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { readCandidate, refusedCandidate } from './candidate.ts';
import { judgeReplayed } from './replay-judge.ts';
import { changeJson, countUp, createGroups, emptySummary, summaryJson, summaryText, type ReplaySummary, type Unjudged } from './replay-report.ts';

export interface ReplayOptions {
  /** File, or `-`. */
  readonly log: string;
  /** Folder of sources, or archive. */
  readonly bundle: string;
  /** Absent: the usual one, and every record must be of it. */
  readonly entrypoint?: string;
  /** Header names, and `query:name`: what `limits.policyMaySet` lists. */
  readonly maySet?: readonly string[];
  /** Obligation types that the gateways declare. */
  readonly obligation?: readonly string[];
  readonly budgetMs: number;
  readonly show: number;
  readonly json?: boolean;
}

const DECISION_RULE = 'curfew/access/decision';
const BATCH = 128;
const LOAD_MS_MAX = 30_000;
const HEAP_MEGABYTES_MAX = 512;
/** A candidate that stands still again and again is not waited for to the end of the log. */
const STOPPED_MAX = 20;
const MALFORMED_SHOWN = 20;

const openLog = (path: string): AsyncIterable<Buffer> => (path === '-' ? process.stdin : createReadStream(path)) as AsyncIterable<Buffer>;

const startCandidate = async (run: Run, { bundle, entrypoint = DECISION_RULE, budgetMs }: ReplayOptions): Promise<Trial> => {
  const { archive } = await readCandidate(run, bundle, [entrypoint]);
  const load = { entrypoints: [entrypoint], opaBuiltins: true, engine: ENGINE_LIMITS };
  return startTrial(archive, { load, budgetMs, loadTimeoutMs: LOAD_MS_MAX, heapMegabytesMax: HEAP_MEGABYTES_MAX }).catch(refusedCandidate(bundle));
};

interface Pending {
  readonly record: DecisionRecord;
  readonly asked: AskedAgain;
}

/** Too long or too deep to be written down. */
const inputIsMissing = ({ input, policy }: DecisionRecord): boolean =>
  input !== undefined && (Object.hasOwn(input, 'leftOut') || (policy.fault === 'policy.error' && JSON.stringify(input).includes(JSON.stringify(TOO_DEEP))));

const whyUnjudged = (record: DecisionRecord): Unjudged => {
  if (record.policy.fault === 'policy.quarantined') return 'it stopped a worker';
  return inputIsMissing(record) ? 'its input is not in the log' : 'no policy was asked';
};

/** Counts a line; what can be judged is given back. */
const take = (line: LogLine, summary: ReplaySummary, trial: Trial): Pending | undefined => {
  if (line.kind === 'other') return undefined;
  if (line.kind === 'malformed') {
    summary.malformed.count += 1;
    if (summary.malformed.first.length < MALFORMED_SHOWN) summary.malformed.first.push({ line: line.line, fault: line.fault });
    return undefined;
  }
  if (line.kind === 'gap') {
    summary.gaps.lines += 1;
    if (line.dropped === null) summary.gaps.uncounted += 1;
    else summary.gaps.dropped += line.dropped;
    return undefined;
  }
  const { record } = line;
  summary.decisions += 1;
  if (record.policy.revision !== '') countUp(summary.revisions, record.policy.revision);
  const asked = recordedOutcome(record) === undefined || inputIsMissing(record) ? undefined : askAgain(record, trial.hasEntitlement);
  if (asked === undefined) {
    countUp(summary.unjudged, whyUnjudged(record));
    return undefined;
  }
  const orphaned = record.facts?.grants.some(({ fault }) => fault === 'grant.entitlement') === true;
  if (orphaned && record.policy.digest !== trial.digest) summary.withoutEntitlement += 1;
  return { record, asked };
};

export const replayCommand = async (run: Run, options: ReplayOptions): Promise<void> => {
  const trial = await startCandidate(run, options);
  const summary = emptySummary(trial.revision, trial.digest);
  const groups = createGroups(options.show);
  const envelope: Envelope = { policyMaySet: (options.maySet ?? []).map((name) => name.toLowerCase()), obligations: options.obligation ?? [] };

  const judge = async (batch: readonly Pending[]): Promise<void> => {
    const answers = await trial.ask(batch.map(({ record, asked: { input, now } }) => ({
      entrypoint: options.entrypoint ?? DECISION_RULE, input, now, ...(record.masked === undefined ? {} : { masked: record.masked }),
    })));
    for (const [index, answer] of answers.entries()) {
      const { record, asked } = batch[index] as Pending;
      const judged = judgeReplayed(record, asked, answer, envelope);
      if (answer.stopped === true) summary.stopped += 1;
      if (judged?.kind === 'unchanged') summary.unchanged += 1;
      else if (judged?.kind === 'masked') {
        summary.masked.count += 1;
        if (judged.differs) summary.masked.differing += 1;
      } else if (judged?.kind === 'changed') {
        summary.changed += 1;
        groups.add(record, judged);
        if (options.json === true) run.deps.stdout(changeJson(record, judged));
      }
    }
    if (summary.stopped >= STOPPED_MAX) throw new Failed(EXIT.unavailable, `${options.bundle}: ${summary.stopped} evaluations took longer than ${options.budgetMs} ms each; given up`);
  };

  const belongs = ({ record: { policy } }: Pending): boolean => options.entrypoint !== undefined || policy.entrypoint === undefined || policy.entrypoint === DECISION_RULE;
  try {
    let batch: Pending[] = [];
    for await (const line of readLog(openLog(options.log))) {
      const pending = take(line, summary, trial);
      if (pending !== undefined && !belongs(pending)) throw new Failed(EXIT.unavailable, `line ${line.line} was decided by ${pending.record.policy.entrypoint}: name the rule with --entrypoint`);
      if (pending !== undefined) batch.push(pending);
      if (batch.length < BATCH) continue;
      await judge(batch);
      batch = [];
    }
    await judge(batch);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw code === undefined || error instanceof Failed ? error : new Failed(EXIT.unavailable, `${options.log} can not be read: ${message}`);
  } finally {
    await trial.close();
  }
  run.deps.stdout(options.json === true ? summaryJson(summary, groups) : `${summaryText(summary)}${groups.text()}`);
  const judged = summary.unchanged + summary.changed + summary.masked.count;
  if (judged === 0) throw new Failed(EXIT.unavailable, `${options.log} has no decision that could be replayed`);
  run.exitCode = summary.changed === 0 ? EXIT.ok : EXIT.refused;
};
