/**
 * `decide`: the only place with the pipeline's control flow.
 *
 *   authenticate > gather > evaluate > guard > claim > re-check > record
 *
 * It is total: every failure is a denial with a reason, and the promise never rejects. Its steps are leaves; adapters only
 * translate. An answer must be written in the same event-loop tick in which the promise resolves: the re-check is the last
 * thing that happens before. `explain` is the same function with claim and record switched off.
 */
import type { Facts } from '../domain/facts.ts';
import type { Instant, TimeInterval } from '../domain/instant.ts';
import type { Reason } from '../domain/reasons.ts';
import { allowing, denying } from './answer.ts';
import { claimFault, claimFor, type ClaimCommit, type ClaimOutcome } from './claim.ts';
import { coverFault, coveringRefs } from './cover.ts';
import { Denied } from './denied.ts';
import { recordOf } from './describe.ts';
import type { Decision, Evaluation, Identity, Question } from './evaluation.ts';
import { factsRequest, readFacts, type FactsAnswer, type FactsRequest } from './gather.ts';
import { guard } from './guard.ts';
import { policyInput } from './input.ts';
import type { Authenticator, Clock, DecisionLimits, DecisionSink, Policy, PolicyOutcome, Quarantine } from './ports.ts';
import type { Conclusion, Progress } from './progress.ts';
import type { DecisionRecord } from './record.ts';
import { findStanding, standingHolds, type StandingEntry } from './standing.ts';
import { EMPTY_SHAPING, readVerdict, type Verdict } from './verdict.ts';
import { weigh } from './weigh.ts';

/** The part of the store that deciding needs. */
export interface FactsStore {
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
}

export interface ExplainOptions {
  /** Judge as if it were then. */
  readonly at?: TimeInterval;
  /** Judge for this identity instead of authenticating. */
  readonly identity?: Identity;
}

export interface Decider {
  decide(evaluation: Evaluation): Promise<Decision>;
  /** The same pipeline without claim and without a record in the sink. */
  explain(evaluation: Evaluation, options?: ExplainOptions): Promise<{ readonly decision: Decision; readonly record: DecisionRecord }>;
}

/** How often changed facts are read again before the answer is `facts.stale`. */
const ATTEMPTS_MAX = 4;

/** What the record says when even the clock could not be read. */
const NO_TIME: TimeInterval = { earliest: 0 as Instant, latest: 0 as Instant };

export const createDecider = (deps: DecideDeps): Decider => {
  const { clock, store, limits } = deps;

  /** Waits for `value` no longer than the decision's deadline; values that are there already cost nothing. */
  const within = async <T>(value: Promise<T>, startedMs: number, late: Reason): Promise<T> => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const left = limits.decisionDeadlineMs - (clock.monotonicMs() - startedMs);
    const timeout = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Denied(late)), Math.max(0, left));
    });
    try {
      return await Promise.race([value, timeout]);
    } finally {
      clearTimeout(timer);
    }
  };

  const readStore = async <T>(read: () => T | Promise<T>, startedMs: number): Promise<T> => {
    try {
      const answer = read();
      return answer instanceof Promise ? await within(answer, startedMs, 'decision.deadline') : answer;
    } catch (error) {
      throw error instanceof Denied ? error : new Denied('facts.unavailable', error);
    }
  };

  const trustedNow = (at: TimeInterval | undefined): TimeInterval => {
    if (at !== undefined) return at;
    const now = clock.now();
    if (!now.trusted) throw new Denied('clock.untrusted');
    return now;
  };

  const authenticate = async (evaluation: Evaluation, progress: Progress, startedMs: number): Promise<Identity | undefined> => {
    const optional = progress.standing?.identity === 'optional';
    if (evaluation.presented.kind === 'none' && optional) return undefined;
    const answer = deps.authenticator.authenticate(evaluation.presented, { realm: evaluation.realm, now: progress.now });
    const authenticated = answer instanceof Promise ? await within(answer, startedMs, 'credential.keys_unavailable') : answer;
    if (!authenticated.ok) throw new Denied(authenticated.reason);
    const { identity } = authenticated;
    const { expiresAt, notBefore } = identity.credential;
    if (identity.kind !== 'x509' && expiresAt === undefined) throw new Denied('credential.claims');
    if (expiresAt !== undefined && !(progress.now.latest < expiresAt)) throw new Denied('credential.expired');
    if (notBefore !== undefined && !(notBefore <= progress.now.earliest)) throw new Denied('credential.not_yet');
    return identity;
  };

  const evaluate = (evaluation: Evaluation, question: Question, progress: Progress): Verdict => {
    const { policy, identity, facts, now } = progress;
    if (policy === undefined || facts === undefined) throw new Denied('policy.unavailable');
    const input = policyInput(evaluation, question, identity, progress.live, facts, now.latest, progress.standing?.id);
    progress.input = input;
    if (!deps.quarantine.enter(evaluation, identity)) throw new Denied('policy.quarantined');
    let outcome: PolicyOutcome;
    try {
      outcome = policy.evaluate(deps.entrypoint, input, now.latest);
    } finally {
      deps.quarantine.leave();
    }
    if (outcome.kind === 'undefined') throw new Denied('policy.undefined');
    if (outcome.kind === 'failed') throw new Denied(outcome.reason, outcome.detail);
    progress.result = outcome.value;
    const read = readVerdict(outcome.value);
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

  const gather = async (evaluation: Evaluation, question: Question, progress: Progress, startedMs: number): Promise<void> => {
    const { identity } = progress;
    const request = factsRequest({
      realm: evaluation.realm, workload: identity?.workload, keys: coveringRefs(evaluation, identity), now: progress.now,
      action: question.action, resource: question.resource,
    });
    const readMs = clock.monotonicMs();
    const answer = await readStore(() => store.facts(request), startedMs);
    progress.factsReadMs = readMs;
    const facts = readFacts(answer, identity?.workload);
    progress.facts = facts;
    progress.faults = new Map();
    progress.live = [];
    const fault = coverFault(evaluation, identity, facts, limits.credentialSkewMs);
    if (fault !== undefined) throw new Denied(fault);
  };

  /** Is what was gathered still the truth? Same tick as the answer when the store answers at once. */
  const unchanged = async (evaluation: Evaluation, facts: Facts, startedMs: number): Promise<boolean> => {
    const mark = await readStore(() => store.endings(evaluation.realm), startedMs);
    return mark.sequence === facts.endingsMark.sequence && mark.hash === facts.endingsMark.hash;
  };

  const conclude = async (evaluation: Evaluation, question: Question, progress: Progress, startedMs: number, options: ExplainOptions | undefined): Promise<Conclusion> => {
    const { standing } = progress;
    if (standing !== undefined && !standingHolds(standing, progress.now)) throw new Denied('standing.ended');
    let claimed: string | undefined;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      await gather(evaluation, question, progress, startedMs);
      const missing = weigh(evaluation, question, progress, claimed !== undefined);
      if (progress.live.length === 0 && standing === undefined) throw withoutGrant(evaluation, question, progress, missing);
      const conclusion = guard(evaluation, question, progress, limits, evaluate(evaluation, question, progress));
      const grant = conclusion.relied?.fact.grant.id ?? '';
      const claim = options !== undefined || claimed !== undefined ? undefined : claimFor(evaluation, progress.identity, conclusion.relied);
      if (claimed !== undefined && claimed !== grant) throw new Denied('facts.stale');
      if (claim !== undefined) {
        const outcome = await within(store.commit(claim), startedMs, 'claim.unknown').catch((error: unknown) => {
          throw error instanceof Denied ? error : new Denied('claim.unknown', error);
        });
        const fault = claimFault(outcome);
        if (fault !== undefined) throw new Denied(fault);
        claimed = grant;
      }
      if (progress.facts === undefined || !(await unchanged(evaluation, progress.facts, startedMs))) {
        progress.now = trustedNow(options?.at);
        continue;
      }
      const last = trustedNow(options?.at);
      if (!(last.latest < conclusion.validUntil)) throw new Denied(conclusion.relied === undefined ? 'standing.ended' : 'grant.expired');
      const lastMs = clock.monotonicMs();
      if (!(lastMs - startedMs < limits.decisionDeadlineMs)) throw new Denied('decision.deadline');
      progress.checkedMs = lastMs;
      return conclusion;
    }
    throw new Denied('facts.stale');
  };

  const pipeline = async (evaluation: Evaluation, progress: Progress, startedMs: number, options: ExplainOptions | undefined): Promise<Conclusion> => {
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
    const identity = options?.identity ?? (await authenticate(evaluation, progress, startedMs));
    if (identity !== undefined) progress.identity = identity;
    return conclude(evaluation, question, progress, startedMs, options);
  };

  const run = async (evaluation: Evaluation, options?: ExplainOptions): Promise<{ decision: Decision; record: DecisionRecord }> => {
    const progress: Progress = { now: NO_TIME, faults: new Map(), live: [], denial: EMPTY_SHAPING };
    let decision: Decision;
    let startedMs = 0;
    try {
      startedMs = clock.monotonicMs();
      progress.now = options?.at ?? clock.now();
      const conclusion = await pipeline(evaluation, progress, startedMs, options);
      decision = allowing(evaluation, progress, conclusion, limits);
    } catch (error) {
      decision = denying(evaluation, progress, error);
    }
    return { decision, record: recordOf(evaluation, progress, decision, clock.monotonicMs() - startedMs, deps.entrypoint) };
  };

  return {
    decide: async (evaluation) => {
      const { decision, record } = await run(evaluation);
      deps.sink.write(record);
      return decision;
    },
    explain: async (evaluation, options = {}) => run(evaluation, options),
  };
};
