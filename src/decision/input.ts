/** The policy input document: the protocol's own members plus `curfew`, which only Curfew writes (DESIGN: names in snake case, as Rego authors expect). */
import type { Facts, GrantFact } from '../domain/facts.ts';
import { toRfc3339, type Instant } from '../domain/instant.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { trustDomainOf } from '../domain/selector.ts';
import type { Evaluation, Identity, Peer, Question } from './evaluation.ts';

/** A grant that counts for the question, with the instant until which it does. */
export interface LiveGrant {
  readonly fact: GrantFact;
  readonly until: Instant;
}

const grantInput = ({ fact: { grant, usesLeft }, until }: LiveGrant, entitlement: JsonObject | undefined): JsonObject => ({
  id: grant.id,
  model: grant.model,
  scopes: grant.scopes as unknown as JsonValue,
  expires_at_ms: grant.expiresAt,
  until_ms: until,
  owner: grant.owners[grant.owners.length - 1],
  tier: grant.tier,
  justification: grant.justification,
  direct: grant.direct,
  ...(grant.task === undefined ? {} : { task: grant.task }),
  ...(grant.reference === undefined ? {} : { reference: grant.reference }),
  ...(grant.entitlement === undefined ? {} : { entitlement: grant.entitlement }),
  ...(entitlement === undefined ? {} : { entitlement_data: entitlement }),
  ...(usesLeft === undefined ? {} : { uses_left: usesLeft }),
});

const peerInput = (peer: Peer | undefined): JsonObject =>
  peer === undefined ? {} : { peer: { principal: peer.principal } };

export const policyInput = (
  evaluation: Evaluation,
  question: Question,
  identity: Identity | undefined,
  live: readonly LiveGrant[],
  facts: Facts,
  now: Instant,
  entitlement: (id: string) => JsonObject | undefined,
  standing?: string,
): JsonObject => {
  const trustDomain = identity === undefined ? undefined : trustDomainOf(identity.workload);
  const taskIds = new Set(live.flatMap(({ fact: { grant } }) => (grant.task === undefined ? [] : [grant.task])));
  return {
    ...evaluation.input,
    curfew: {
      now: toRfc3339(now),
      now_ms: now,
      realm: evaluation.realm,
      protocol: evaluation.protocol,
      pep: evaluation.pep.id ?? null,
      ...(standing === undefined ? {} : { standing }),
      action: question.action,
      resource: { type: question.resource.type, id: question.resource.id },
      ...(question.context === undefined ? {} : { context: question.context }),
      ...(question.source === undefined ? {} : { source: question.source }),
      ...(identity === undefined
        ? {}
        : {
            subject: { id: identity.workload, kind: identity.kind, ...(trustDomain === undefined ? {} : { trust_domain: trustDomain }) },
            credential: {
              issuer: identity.issuer,
              kind: identity.kind,
              audience: identity.audience,
              claims: identity.claims,
              ...(identity.credential.issuedAt === undefined ? {} : { issued_at_ms: identity.credential.issuedAt }),
              ...(identity.credential.expiresAt === undefined ? {} : { expires_at_ms: identity.credential.expiresAt }),
              confirmed: identity.confirmed as JsonObject,
            },
          }),
      ...peerInput(evaluation.otherPeer),
      grants: live.map((grant) => grantInput(grant, grant.fact.grant.entitlement === undefined ? undefined : entitlement(grant.fact.grant.entitlement))),
      tasks: [...taskIds].flatMap((id) => {
        const task = facts.tasks.get(id)?.task;
        return task === undefined ? [] : [{ id, kind: task.kind, state: task.state, owner: task.owner, ...(task.reference === undefined ? {} : { reference: task.reference }) }];
      }),
    },
  };
};
