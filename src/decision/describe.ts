/** The `record` step: what is written down of a decision. Secrets are replaced where records are encoded. */
import type { Facts, GrantFact } from '../domain/facts.ts';
import { formatPosition } from '../domain/position.ts';
import type { Decision, Evaluation, Identity } from './evaluation.ts';
import type { Progress } from './progress.ts';
import type { DecisionRecord } from './record.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

type CredentialPart = NonNullable<DecisionRecord['credential']>;
type FactsPart = NonNullable<DecisionRecord['facts']>;

const credentialOf = ({ kind, issuer, credential: { fingerprint, issuedAt, expiresAt } }: Identity): CredentialPart => {
  const credential: Writable<CredentialPart> = { kind, issuer, fingerprint };
  if (issuedAt !== undefined) credential.issuedAt = issuedAt;
  if (expiresAt !== undefined) credential.expiresAt = expiresAt;
  return credential;
};

const factsOf = (facts: Facts, { faults }: Progress): FactsPart => {
  const grantOf = ({ grant: { id }, version }: GrantFact): FactsPart['grants'][number] => {
    const fault = faults.get(id);
    return fault === undefined ? { id, version } : { id, version, fault };
  };
  const tasks: FactsPart['tasks'][number][] = [];
  for (const { task, version } of facts.tasks.values()) tasks.push({ id: task.id, version, state: task.state });
  return { position: formatPosition(facts.position), endings: facts.endingsMark, grants: facts.ended.length === 0 ? facts.grants.map(grantOf) : [...facts.grants, ...facts.ended].map(grantOf), tasks };
};

const resultOf = (decision: Decision): DecisionRecord['result'] => {
  if (!decision.allow) return decision.grant === undefined ? { allow: false, reason: decision.reason } : { allow: false, reason: decision.reason, grant: decision.grant };
  const result: Writable<DecisionRecord['result']> = { allow: true, validUntil: decision.validUntil, cacheUntil: decision.cacheUntil };
  if (decision.grant !== undefined) result.grant = decision.grant;
  if (decision.standing !== undefined) result.standing = decision.standing;
  if (decision.wouldDeny !== undefined) result.wouldDeny = decision.wouldDeny;
  return result;
};

/** Assigned member by member, in the order in which they are written: spreads cost more than all the rest. */
export const recordOf = (evaluation: Evaluation, progress: Progress, decision: Decision, durationMs: number, entrypoint: string): DecisionRecord => {
  const { identity, facts, policy, standing } = progress;
  const made: Writable<DecisionRecord['policy']> = { revision: policy?.revision ?? '', digest: policy?.digest ?? '', entrypoint: evaluation.rule ?? entrypoint };
  if (progress.result !== undefined) made.result = progress.result;
  if (progress.policyFault !== undefined) made.fault = progress.policyFault;
  const record: Partial<Writable<DecisionRecord>> = {
    version: 1,
    id: evaluation.id,
    realm: evaluation.realm,
    protocol: evaluation.protocol,
    pep: evaluation.pep.id ?? null,
    now: { earliest: progress.now.earliest, latest: progress.now.latest },
  };
  if (evaluation.question !== undefined) {
    record.action = evaluation.question.action;
    record.resource = evaluation.question.resource;
  }
  if (identity !== undefined) {
    record.workload = identity.workload;
    if (identity.actsFor !== undefined) record.onBehalfOf = { subject: identity.actsFor.subject, priorActors: identity.actsFor.priorActors };
    record.credential = credentialOf(identity);
  }
  record.input = progress.input ?? evaluation.input;
  record.policy = made;
  if (standing !== undefined) record.standing = { id: standing.id, observe: standing.observe };
  if (facts !== undefined) record.facts = factsOf(facts, progress);
  record.result = resultOf(decision);
  if (progress.detail !== undefined) record.detail = progress.detail;
  record.durationUs = Math.round(durationMs * 1000);
  if (progress.factsReadMs !== undefined && progress.checkedMs !== undefined) record.factsAgeUs = Math.round((progress.checkedMs - (progress.lease?.provenMs ?? progress.factsReadMs)) * 1000);
  if (evaluation.traceparent !== undefined) record.traceparent = evaluation.traceparent;
  return record as DecisionRecord;
};
