/** The policy input document: the protocol's own members plus `curfew`, which only Curfew writes (DESIGN: names in snake case, as Rego authors expect). */
import type { Facts, GrantFact } from '../domain/facts.ts';
import type { Grant } from '../domain/grant.ts';
import { toRfc3339, type Instant } from '../domain/instant.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { trustDomainOf } from '../domain/selector.ts';
import type { Task } from '../domain/task.ts';
import type { Evaluation, Identity, Question } from './evaluation.ts';

/** A grant that counts for the question, with the instant until which it does. */
export interface LiveGrant {
  readonly fact: GrantFact;
  readonly until: Instant;
}

type Members = Record<string, JsonValue>;

/**
 * What is the same as for an earlier decision is the same object, so that whoever writes it down need not write it anew. What it is made of never
 * changes: a store hands out one object for an unchanged record, and an identity is what a credential was verified to say.
 */
const remembering = <S extends object, T>(make: (source: S) => T): ((source: S) => T) => {
  const made = new WeakMap<S, T>();
  return (source) => {
    const known = made.get(source);
    if (known !== undefined) return known;
    const value = make(source);
    made.set(source, value);
    return value;
  };
};

/** The entitlement by its id: Rego finds the rest of it in `data.curfew.entitlements`, the very data that the guard reads. */
const makeGrantInput = ({ fact: { grant, usesLeft }, until }: LiveGrant): JsonObject => {
  const members: Members = {
    id: grant.id,
    model: grant.model,
    scopes: grant.scopes as unknown as JsonValue,
    expires_at_ms: grant.expiresAt,
    until_ms: until,
    owner: grant.owners[grant.owners.length - 1] as string,
    tier: grant.tier,
    justification: grant.justification,
    direct: grant.direct,
  };
  if (grant.task !== undefined) members['task'] = grant.task;
  if (grant.reference !== undefined) members['reference'] = grant.reference;
  if (grant.entitlement !== undefined) members['entitlement'] = grant.entitlement;
  if (usesLeft !== undefined) members['uses_left'] = usesLeft;
  return members;
};

const grantInputs = new WeakMap<Grant, { readonly until: Instant; readonly usesLeft: number | undefined; readonly input: JsonObject }>();

const grantInput = (live: LiveGrant): JsonObject => {
  const { fact: { grant, usesLeft }, until } = live;
  const known = grantInputs.get(grant);
  if (known !== undefined && known.until === until && known.usesLeft === usesLeft) return known.input;
  const input = makeGrantInput(live);
  grantInputs.set(grant, { until, usesLeft, input });
  return input;
};

const subjectInput = remembering(({ workload, kind, actsFor }: Identity): JsonObject => {
  const trustDomain = trustDomainOf(workload);
  const members: Members = trustDomain === undefined ? { id: workload, kind } : { id: workload, kind, trust_domain: trustDomain };
  if (actsFor !== undefined) members['on_behalf_of'] = { id: actsFor.subject, prior_actors: actsFor.priorActors };
  return members;
});

const credentialInput = remembering(({ kind, issuer, audience, claims, credential: { issuedAt, expiresAt }, confirmed }: Identity): JsonObject => {
  const members: Members = { issuer, kind, audience, claims };
  if (issuedAt !== undefined) members['issued_at_ms'] = issuedAt;
  if (expiresAt !== undefined) members['expires_at_ms'] = expiresAt;
  members['confirmed'] = confirmed;
  return members;
});

const taskInput = remembering(({ id, kind, state, owner, reference }: Task): JsonObject =>
  reference === undefined ? { id, kind, state, owner } : { id, kind, state, owner, reference });

/** Each task once, in the order of the grants. */
const taskInputs = (live: readonly LiveGrant[], facts: Facts): readonly JsonObject[] => {
  const tasks: Task[] = [];
  for (const { fact: { grant } } of live) {
    const task = grant.task === undefined ? undefined : facts.tasks.get(grant.task)?.task;
    if (task !== undefined && !tasks.includes(task)) tasks.push(task);
  }
  return tasks.map(taskInput);
};

/** Copied member by member, since V8 makes a class of its own for every object that begins with a spread and then grows. */
const withCurfew = (input: JsonObject, curfew: JsonObject): JsonObject => {
  if (Object.hasOwn(input, '__proto__')) return { ...input, curfew };
  const document: Members = {};
  for (const name in input) document[name] = input[name] as JsonValue;
  document['curfew'] = curfew;
  return document;
};

export const policyInput = (
  evaluation: Evaluation,
  question: Question,
  identity: Identity | undefined,
  live: readonly LiveGrant[],
  facts: Facts,
  now: Instant,
  standing?: string,
): JsonObject => {
  // Assigned one by one: on every decision, spreads into literals cost more than all the rest here.
  const curfew: Members = {
    now: toRfc3339(now),
    now_ms: now,
    realm: evaluation.realm,
    protocol: evaluation.protocol,
    pep: evaluation.pep.id ?? null,
    action: question.action,
    resource: { type: question.resource.type, id: question.resource.id },
  };
  if (standing !== undefined) curfew['standing'] = standing;
  if (question.context !== undefined) curfew['context'] = question.context;
  if (question.source !== undefined) curfew['source'] = question.source;
  if (evaluation.otherPeer !== undefined) curfew['peer'] = { principal: evaluation.otherPeer.principal };
  if (identity !== undefined) {
    curfew['subject'] = subjectInput(identity);
    curfew['credential'] = credentialInput(identity);
  }
  curfew['grants'] = live.map(grantInput);
  curfew['tasks'] = taskInputs(live, facts);
  // What a protocol called `curfew` itself is replaced in its place, not put behind.
  return withCurfew(evaluation.input, curfew);
};
