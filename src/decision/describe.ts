/** The `record` step: what is written down of a decision. Secrets are replaced where records are encoded. */
import { formatPosition } from '../domain/position.ts';
import type { Decision, Evaluation } from './evaluation.ts';
import type { Progress } from './progress.ts';
import type { DecisionRecord } from './record.ts';

export const recordOf = (evaluation: Evaluation, progress: Progress, decision: Decision, durationMs: number, entrypoint: string): DecisionRecord => {
  const { identity, facts, policy, faults, standing } = progress;
  return {
    version: 1,
    id: evaluation.id,
    realm: evaluation.realm,
    protocol: evaluation.protocol,
    pep: evaluation.pep.id ?? null,
    now: { earliest: progress.now.earliest, latest: progress.now.latest },
    ...(evaluation.question === undefined ? {} : { action: evaluation.question.action, resource: evaluation.question.resource }),
    ...(identity === undefined
      ? {}
      : {
          workload: identity.workload,
          credential: {
            kind: identity.kind, issuer: identity.issuer, fingerprint: identity.credential.fingerprint,
            ...(identity.credential.issuedAt === undefined ? {} : { issuedAt: identity.credential.issuedAt }),
            ...(identity.credential.expiresAt === undefined ? {} : { expiresAt: identity.credential.expiresAt }),
          },
        }),
    input: progress.input ?? evaluation.input,
    policy: {
      revision: policy?.revision ?? '', digest: policy?.digest ?? '', entrypoint: evaluation.rule ?? entrypoint,
      ...(progress.result === undefined ? {} : { result: progress.result }),
      ...(progress.policyFault === undefined ? {} : { fault: progress.policyFault }),
    },
    ...(standing === undefined ? {} : { standing: { id: standing.id, observe: standing.observe } }),
    ...(facts === undefined
      ? {}
      : {
          facts: {
            position: formatPosition(facts.position),
            endings: facts.endingsMark,
            grants: [...facts.grants, ...facts.ended].map(({ grant, version }) => {
              const fault = faults.get(grant.id);
              return { id: grant.id, version, ...(fault === undefined ? {} : { fault }) };
            }),
            tasks: [...facts.tasks.values()].map(({ task, version }) => ({ id: task.id, version, state: task.state })),
          },
        }),
    result: decision.allow
      ? {
          allow: true, validUntil: decision.validUntil, cacheUntil: decision.cacheUntil,
          ...(decision.grant === undefined ? {} : { grant: decision.grant }),
          ...(decision.standing === undefined ? {} : { standing: decision.standing }),
          ...(decision.wouldDeny === undefined ? {} : { wouldDeny: decision.wouldDeny }),
        }
      : { allow: false, reason: decision.reason, ...(decision.grant === undefined ? {} : { grant: decision.grant }) },
    ...(progress.detail === undefined ? {} : { detail: progress.detail }),
    durationUs: Math.round(durationMs * 1000),
    ...(progress.factsReadMs === undefined || progress.checkedMs === undefined ? {} : { factsAgeUs: Math.round((progress.checkedMs - (progress.lease?.provenMs ?? progress.factsReadMs)) * 1000) }),
    ...(evaluation.traceparent === undefined ? {} : { traceparent: evaluation.traceparent }),
  };
};
