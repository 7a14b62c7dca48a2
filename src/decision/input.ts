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

/** The entitlement by its id: Rego finds the rest of it in `data.curfew.entitlements`, the very data that the guard reads. */
const grantInput = ({ fact: { grant, usesLeft }, until }: LiveGrant): JsonObject => ({
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
  ...(usesLeft === undefined ? {} : { uses_left: usesLeft }),
});

const peerInput = (peer: Peer | undefined): JsonObject =>
  peer === undefined ? {} : { peer: { principal: peer.principal } };

interface IdentityInput {
  readonly subject: JsonObject;
  readonly credential: JsonObject;
}

const ofIdentity = new WeakMap<Identity, IdentityInput>();

/** Made once for as long as the authenticator keeps the identity. */
const identityInput = (identity: Identity): IdentityInput => {
  const known = ofIdentity.get(identity);
  if (known !== undefined) return known;
  const { workload, kind, issuer, audience, claims, credential: { issuedAt, expiresAt }, confirmed } = identity;
  const trustDomain = trustDomainOf(workload);
  const made: IdentityInput = {
    subject: { id: workload, kind, ...(trustDomain === undefined ? {} : { trust_domain: trustDomain }) },
    credential: {
      issuer, kind, audience, claims,
      ...(issuedAt === undefined ? {} : { issued_at_ms: issuedAt }),
      ...(expiresAt === undefined ? {} : { expires_at_ms: expiresAt }),
      confirmed,
    },
  };
  ofIdentity.set(identity, made);
  return made;
};

const tasksInput = (live: readonly LiveGrant[], facts: Facts): readonly JsonObject[] => {
  const tasks = new Map<string, JsonObject>();
  for (const { fact: { grant } } of live) {
    const task = grant.task === undefined || tasks.has(grant.task) ? undefined : facts.tasks.get(grant.task)?.task;
    if (task === undefined) continue;
    const { id, kind, state, owner, reference } = task;
    tasks.set(id, { id, kind, state, owner, ...(reference === undefined ? {} : { reference }) });
  }
  return [...tasks.values()];
};

export const policyInput = (
  evaluation: Evaluation,
  question: Question,
  identity: Identity | undefined,
  live: readonly LiveGrant[],
  facts: Facts,
  now: Instant,
  standing?: string,
): JsonObject => ({
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
    ...(identity === undefined ? {} : identityInput(identity)),
    ...peerInput(evaluation.otherPeer),
    grants: live.map(grantInput),
    tasks: tasksInput(live, facts),
  },
});
