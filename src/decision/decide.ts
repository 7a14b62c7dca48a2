/**
 * `decide`: the only place with the pipeline's control flow.
 *
 *   authenticate > gather > evaluate > guard > claim > re-check > record
 *
 * It is total: every failure is a denial with a reason, and the promise never rejects. Its steps are leaves; adapters only
 * translate, and write their answer when `decide` calls them: the re-check is the last thing that happens before. `explain` is
 * the same function with claim and record switched off.
 */
import type { Instant, TimeInterval } from '../domain/instant.ts';
import { allowing, denying } from './answer.ts';
import { createAuthenticate } from './authenticate.ts';
import { claimFault, claimFor, firstUseTaken, type ClaimCommit, type ClaimOutcome } from './claim.ts';
import { unchanged, youngEnough } from './confirm.ts';
import { coverFault, coveringRefs } from './cover.ts';
import { Denied, storeDenied } from './denied.ts';
import { recordOf } from './describe.ts';
import { createWithin } from './within.ts';
import type { Decision, Evaluation, Identity, Question } from './evaluation.ts';
import { factsRequest, readFacts, type FactsAnswer, type FactsRequest } from './gather.ts';
import { endedReason } from './guard.ts';
import { createJudge, endedMeanwhile } from './judge.ts';
import { anotherTurn, answersInTurn, breathIsOver } from './loop-turns.ts';
import type { Authenticator, Clock, DecisionLimits, DecisionSink, Policy, Quarantine, StepWatch } from './ports.ts';
import type { Conclusion, Progress } from './progress.ts';
import type { DecisionRecord } from './record.ts';
import { findStanding, observing, standingHolds, type StandingEntry } from './standing.ts';
import { EMPTY_SHAPING } from './verdict.ts';

/** The part of the store that deciding needs. */
export interface FactsStore {
  /** How facts are shown to be fresh at the last check: by the endings (default), or by their age. */
  readonly confirmsBy?: 'endings' | 'age';
  facts(request: FactsRequest): FactsAnswer | Promise<FactsAnswer>;
  endings(realm: string): { readonly sequence: number; readonly hash: string } | Promise<{ readonly sequence: number; readonly hash: string }>;
  commit(commit: ClaimCommit): Promise<ClaimOutcome>;
}

export interface DecideDeps {
  readonly clock: Clock;
  readonly store: FactsStore;
  readonly authenticator: Authenticator;
  /** The active bundle; taken once per decision. */
  readonly policy: () => Policy | undefined;
  readonly entrypoint: string;
  readonly sink: DecisionSink;
  readonly quarantine: Quarantine;
  readonly limits: DecisionLimits;
  readonly realms: ReadonlySet<string>;
  readonly standing: readonly StandingEntry[];
  /** Which decisions are watched step by step; absent: none. */
  readonly watch?: ((evaluation: Evaluation) => StepWatch | undefined) | undefined;
  /** For answers that leave when they are written: resolves when they are to be decided. Absent: at once. */
  readonly together?: (() => Promise<void>) | undefined;
}

export interface ExplainOptions {
  /** Judge as if it were then. */
  readonly at?: TimeInterval;
  /** Judge for this identity instead of authenticating. */
  readonly identity?: Identity;
}

export interface Decider {
  /**
   * `write` is called once, in the same breath as the re-check, before anything else can run: that is where an answer is to be
   * written. The promise brings the same decision, some microtasks and perhaps other decisions later.
   */
  decide(evaluation: Evaluation, write?: (decision: Decision) => void): Promise<Decision>;
  /** The same pipeline without claim and without a record in the sink. */
  explain(evaluation: Evaluation, options?: ExplainOptions): Promise<{ readonly decision: Decision; readonly record: DecisionRecord }>;
}

/** Makes the allow and writes it, at the instant of the re-check. */
type WriteAllow = (conclusion: Conclusion, at: Instant) => void;

/** How often changed facts are read again before the answer is `facts.stale`. */
const ATTEMPTS_MAX = 4;

/** What the record says when even the clock could not be read. */
const NO_TIME: TimeInterval = { earliest: 0 as Instant, latest: 0 as Instant };

export const createDecider = (deps: DecideDeps): Decider => {
  const { clock, store, limits } = deps;
  const judge = createJudge(deps);

  const within = createWithin(clock, limits.decisionDeadlineMs);
  const authenticate = createAuthenticate(deps.authenticator, within);

  const readStore = async <T>(read: () => T | Promise<T>, startedMs: number): Promise<T> => {
    try {
      const answer = read();
      return answer instanceof Promise ? await within(answer, startedMs, 'decision.deadline') : answer;
    } catch (error) {
      throw storeDenied(error);
    }
  };

  const trustedNow = (at: TimeInterval | undefined): TimeInterval => {
    if (at !== undefined) return at;
    const now = clock.now();
    if (!now.trusted) throw new Denied('clock.untrusted');
    return now;
  };

  const inAnotherTurn = async (): Promise<TimeInterval> => {
    await anotherTurn();
    return trustedNow(undefined);
  };

  const gather = async (evaluation: Evaluation, question: Question, progress: Progress, startedMs: number): Promise<void> => {
    const { identity } = progress;
    const request = factsRequest({
      realm: evaluation.realm, workload: identity?.workload, keys: coveringRefs(evaluation, identity), now: progress.now,
      action: question.action, resource: question.resource,
    });
    progress.factsReadMs = clock.monotonicMs();
    if (store.confirmsBy === 'age') progress.factsReadAt = clock.now().latest;
    const answer = await readStore(() => store.facts(request), startedMs);
    const facts = (progress.facts = readFacts(answer, identity?.workload));
    progress.lease = answer;
    progress.faults = new Map();
    progress.live = [];
    const fault = coverFault(evaluation, identity, facts, limits.credentialSkewMs);
    if (fault !== undefined) throw new Denied(fault);
  };

  /** Is what was gathered still the truth? */
  const holds = (evaluation: Evaluation, progress: Progress, startedMs: number): boolean | Promise<boolean> => {
    if (progress.facts === undefined || store.confirmsBy === 'age') return progress.facts !== undefined;
    const same = unchanged(() => store.endings(evaluation.realm), progress.facts);
    return same instanceof Promise ? readStore(() => same, startedMs) : same;
  };

  const deadlineFault = (startedMs: number, nowMs: number): Denied | undefined =>
    nowMs - startedMs < limits.decisionDeadlineMs ? undefined : new Denied('decision.deadline');

  const conclude = async (evaluation: Evaluation, question: Question, progress: Progress, startedMs: number, options: ExplainOptions | undefined, allow: WriteAllow): Promise<void> => {
    const { standing } = progress;
    if (standing !== undefined && !standingHolds(standing, progress.now)) throw new Denied('standing.ended');
    let claimed: string | undefined;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const leavesWithTurn = options === undefined && evaluation.sentWith !== undefined;
      if (leavesWithTurn && (evaluation.sentWith === 'another' || attempt > 0 || progress.waited === true)) progress.now = await inAnotherTurn();
      const tooLate = deadlineFault(startedMs, clock.monotonicMs());
      if (tooLate !== undefined) throw tooLate;
      progress.watch?.step('gather');
      await gather(evaluation, question, progress, startedMs);
      while (leavesWithTurn && breathIsOver(clock.monotonicMs())) progress.now = await inAnotherTurn();
      // Time went by, and what was read may tell of a later one.
      if (store.confirmsBy === 'age') progress.now = trustedNow(options?.at);
      let conclusion = judge(evaluation, question, progress, claimed !== undefined);
      const grant = conclusion.relied?.fact.grant.id ?? '';
      const claim = options !== undefined || claimed !== undefined ? undefined : claimFor(evaluation, progress.identity, conclusion.relied, progress.now.latest);
      if (claimed !== undefined && claimed !== grant) throw new Denied('facts.stale');
      if (claim !== undefined) {
        progress.watch?.step('claim');
        const outcome = await within(store.commit(claim), startedMs, 'claim.unknown').catch((error: unknown) => {
          throw error instanceof Denied ? error : new Denied('claim.unknown', error);
        });
        if (firstUseTaken(outcome)) continue;
        const fault = claimFault(outcome);
        if (fault === undefined) claimed = grant;
        else {
          const observed = observing(progress, fault);
          if (observed === undefined) throw new Denied(fault);
          conclusion = observed;
        }
      }
      progress.watch?.step('re-check');
      const same = holds(evaluation, progress, startedMs);
      const seen = (same instanceof Promise ? await same : same) ? trustedNow(options?.at) : undefined;
      const lastMs = clock.monotonicMs();
      const last = store.confirmsBy !== 'age' || youngEnough(progress, clock, lastMs, limits.maxFactsAgeMs) ? seen : undefined;
      if (last !== undefined && last.latest < conclusion.validUntil) {
        const late = deadlineFault(startedMs, lastMs);
        if (late !== undefined) throw late;
        progress.checkedMs = lastMs;
        if (leavesWithTurn) answersInTurn(lastMs);
        // From here to the answer nothing waits.
        return allow(conclusion, last.latest);
      }
      if (last !== undefined && standing?.observe !== true) throw conclusion.relied === undefined ? new Denied(endedReason({ ...progress, now: last }, undefined)) : endedMeanwhile(judge, evaluation, question, progress, last, claimed !== undefined);
      progress.now = last ?? trustedNow(options?.at);
      if (standing !== undefined && !standingHolds(standing, progress.now)) throw new Denied('standing.ended');
    }
    throw new Denied('facts.stale');
  };

  const pipeline = async (evaluation: Evaluation, progress: Progress, startedMs: number, options: ExplainOptions | undefined, allow: WriteAllow): Promise<void> => {
    if (evaluation.refused !== undefined) throw new Denied(evaluation.refused);
    const { question } = evaluation;
    if (question === undefined) throw new Denied('request.malformed');
    if (!deps.realms.has(evaluation.realm)) throw new Denied('realm.unknown');
    progress.now = trustedNow(options?.at);
    const policy = deps.policy();
    if (policy === undefined) throw new Denied('policy.unavailable');
    progress.policy = policy;
    const standing = findStanding(deps.standing, evaluation, question);
    if (standing !== undefined) progress.standing = standing;
    progress.watch?.step('authenticate');
    const identity = options?.identity ?? (await authenticate(evaluation, progress, startedMs));
    if (identity !== undefined) progress.identity = identity;
    await conclude(evaluation, question, progress, startedMs, options, allow);
  };

  const run = async (evaluation: Evaluation, options?: ExplainOptions, write?: (decision: Decision) => void, watch?: StepWatch): Promise<{ decision: Decision; record: DecisionRecord }> => {
    const progress: Progress = { now: NO_TIME, faults: new Map(), live: [], denial: EMPTY_SHAPING };
    if (watch !== undefined) progress.watch = watch;
    let decision: Decision | undefined;
    let startedMs = 0;
    const tell = (made: Decision): Decision => {
      decision = made;
      try {
        write?.(made);
      } catch {
        // The promise brings the decision once more; a writer that fails again answers as its adapter says.
      }
      return made;
    };
    try {
      startedMs = evaluation.arrivedMs ?? clock.monotonicMs();
      if (deps.together !== undefined && options === undefined && evaluation.sentWith === undefined) await deps.together();
      progress.now = options?.at ?? clock.now();
      await pipeline(evaluation, progress, startedMs, options, (conclusion, at) => void tell(allowing(evaluation, progress, conclusion, at, limits)));
    } catch (error) {
      if (decision === undefined) tell(denying(evaluation, progress, error));
    }
    const made = decision ?? tell(denying(evaluation, progress, undefined));
    return { decision: made, record: recordOf(evaluation, progress, made, clock.monotonicMs() - startedMs, deps.entrypoint) };
  };

  return {
    decide: async (evaluation, write) => {
      const watch = deps.watch?.(evaluation);
      const { decision, record } = await run(evaluation, undefined, write, watch);
      watch?.step('record');
      deps.sink.write(record);
      watch?.end(record);
      return decision;
    },
    explain: async (evaluation, options = {}) => run(evaluation, options),
  };
};
