/**
 * The steps `evaluate` and `guard`: what an allow would rest on, by facts that were gathered. Synchronous; throws `Denied`. What
 * an entry with `observe` lets through rests on that entry.
 */
import type { TimeInterval } from '../domain/instant.ts';
import type { Reason } from '../domain/reasons.ts';
import { Denied } from './denied.ts';
import type { Evaluation, Question } from './evaluation.ts';
import { guard } from './guard.ts';
import { policyInput } from './input.ts';
import type { DecisionLimits, PolicyOutcome, Quarantine } from './ports.ts';
import type { Conclusion, Progress } from './progress.ts';
import { observing } from './standing.ts';
import { plainVerdict, readVerdict, type Verdict } from './verdict.ts';
import { weigh } from './weigh.ts';

export interface JudgeDeps {
  readonly entrypoint: string;
  readonly quarantine: Quarantine;
  readonly limits: DecisionLimits;
}

/** Resources that are OPA's documents, one or all: values to read, where an entry stands for them. */
const DATA_TYPES: ReadonlySet<string> = new Set(['opa', 'opa-root']);

/** `claimed`: the use is counted already, so that an exhausted counter is no fault. */
export type Judge = (evaluation: Evaluation, question: Question, progress: Progress, claimed: boolean) => Conclusion;

/** What ended while the policy ran says why: the grant, its task, a deadline. Whatever comes out, it is a denial. */
export const endedMeanwhile = (judge: Judge, evaluation: Evaluation, question: Question, progress: Progress, now: TimeInterval, claimed: boolean): Denied => {
  Object.assign(progress, { now, live: [], faults: new Map() });
  try {
    judge(evaluation, question, progress, claimed);
  } catch (error) {
    if (error instanceof Denied) return error;
    throw error;
  }
  return new Denied('grant.expired');
};

export const createJudge = (deps: JudgeDeps): Judge => {
  const evaluate = (evaluation: Evaluation, question: Question, progress: Progress): Verdict => {
    const { policy, identity, facts, now } = progress;
    progress.watch?.step('evaluate');
    if (policy === undefined || facts === undefined) throw new Denied('policy.unavailable');
    // What is observed is decided in full: the policy is not told of an excuse.
    const excuse = progress.standing?.observe === false ? progress.standing.id : undefined;
    const input = policyInput(evaluation, question, identity, progress.live, facts, now.latest, excuse);
    progress.input = input;
    // An earlier attempt's belong to another input.
    progress.result = undefined;
    progress.policyFault = 'policy.quarantined';
    if (!deps.quarantine.enter(evaluation, identity)) throw new Denied('policy.quarantined');
    let outcome: PolicyOutcome;
    try {
      const { rule } = evaluation;
      outcome = rule !== undefined && policy.document !== undefined ? policy.document(rule, input, now.latest) : policy.evaluate(rule ?? deps.entrypoint, input, now.latest);
    } finally {
      deps.quarantine.leave();
    }
    progress.policyFault = outcome.kind === 'value' ? undefined : outcome.kind === 'failed' ? outcome.reason : 'policy.undefined';
    if (outcome.kind === 'undefined') throw new Denied('policy.undefined');
    if (outcome.kind === 'failed') throw new Denied(outcome.reason, outcome.detail);
    progress.result = outcome.value;
    const data = evaluation.protocol === 'opa' && DATA_TYPES.has(question.resource.type) && excuse !== undefined;
    const read = data ? plainVerdict(outcome.value) : readVerdict(outcome.value);
    if (!read.ok) throw new Denied(read.reason);
    // What was meant for the upstream on allow must not reach the client when the guard denies.
    if (!read.verdict.yes) progress.denial = read.verdict.shaping;
    return read.verdict;
  };

  /** Without a live grant the answer is no whatever the policy says; it runs all the same, so that it can shape the denial. */
  const withoutGrant = (evaluation: Evaluation, question: Question, progress: Progress, missing: Reason): Denied => {
    try {
      evaluate(evaluation, question, progress);
    } catch (error) {
      if (!(error instanceof Denied)) throw error;
      return new Denied(missing, error.detail === undefined ? error.reason : `${error.reason}: ${error.detail}`);
    }
    return new Denied(missing);
  };

  return (evaluation, question, progress, claimed) => {
    try {
      const missing = weigh(evaluation, question, progress, claimed);
      const { standing } = progress;
      if (standing?.observe === true && progress.identity === undefined) throw withoutGrant(evaluation, question, progress, 'credential.missing');
      if (progress.live.length === 0 && (standing === undefined || standing.observe)) throw withoutGrant(evaluation, question, progress, missing);
      const verdict = evaluate(evaluation, question, progress);
      progress.watch?.step('guard');
      return guard(evaluation, question, progress, deps.limits, verdict);
    } catch (error) {
      const observed = error instanceof Denied ? observing(progress, error.reason) : undefined;
      if (observed === undefined) throw error;
      progress.detail = (error as Denied).detail;
      return observed;
    }
  };
};
