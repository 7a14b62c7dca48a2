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

/** A part of the document with its JSON text, made once for as long as what it is made of is remembered. */
interface Part {
  readonly value: JsonObject;
  text?: string;
}

const textOf = (part: Part): string => (part.text ??= JSON.stringify(part.value));

interface IdentityInput {
  readonly subject: JsonObject;
  readonly credential: JsonObject;
}

/** Made anew each time: identities are many, and what is kept of each counts in memory. */
const identityInput = ({ workload, kind, issuer, audience, claims, credential: { issuedAt, expiresAt }, confirmed }: Identity): IdentityInput => {
  const trustDomain = trustDomainOf(workload);
  return {
    subject: { id: workload, kind, ...(trustDomain === undefined ? {} : { trust_domain: trustDomain }) },
    credential: {
      issuer, kind, audience, claims,
      ...(issuedAt === undefined ? {} : { issued_at_ms: issuedAt }),
      ...(expiresAt === undefined ? {} : { expires_at_ms: expiresAt }),
      confirmed,
    },
  };
};

interface GrantPart extends Part {
  readonly until: Instant;
  readonly usesLeft: number | undefined;
}

const ofGrant = new WeakMap<Grant, GrantPart>();

const grantPart = (live: LiveGrant): Part => {
  const { until, fact: { grant, usesLeft } } = live;
  const known = ofGrant.get(grant);
  if (known !== undefined && known.until === until && known.usesLeft === usesLeft) return known;
  const made = { until, usesLeft, value: grantInput(live) };
  ofGrant.set(grant, made);
  return made;
};

const ofTask = new WeakMap<Task, Part>();

const taskPart = (task: Task): Part => {
  const known = ofTask.get(task);
  if (known !== undefined) return known;
  const { id, kind, state, owner, reference } = task;
  const made = { value: { id, kind, state, owner, ...(reference === undefined ? {} : { reference }) } };
  ofTask.set(task, made);
  return made;
};

const taskParts = (live: readonly LiveGrant[], facts: Facts): readonly Part[] => {
  const parts: Part[] = [];
  for (const { fact: { grant } } of live) {
    const task = grant.task === undefined ? undefined : facts.tasks.get(grant.task)?.task;
    if (task === undefined) continue;
    const part = taskPart(task);
    if (!parts.includes(part)) parts.push(part);
  }
  return parts;
};

/** The document, and `JSON.stringify` of it. */
export interface PolicyInput {
  readonly value: JsonObject;
  readonly text: string;
}

const list = (parts: readonly Part[]): string => {
  let text = '';
  for (const part of parts) text = text === '' ? textOf(part) : `${text},${textOf(part)}`;
  return `[${text}]`;
};
const members = (object: JsonObject): string => JSON.stringify(object).slice(1, -1);

export const policyInput = (
  evaluation: Evaluation,
  question: Question,
  identity: Identity | undefined,
  live: readonly LiveGrant[],
  facts: Facts,
  now: Instant,
  standing?: string,
): PolicyInput => {
  // Assigned one by one: on every decision, spreads into literals cost more than all the rest here.
  const request: Record<string, JsonValue> = {
    now: toRfc3339(now),
    now_ms: now,
    realm: evaluation.realm,
    protocol: evaluation.protocol,
    pep: evaluation.pep.id ?? null,
    action: question.action,
    resource: { type: question.resource.type, id: question.resource.id },
  };
  if (standing !== undefined) request['standing'] = standing;
  if (question.context !== undefined) request['context'] = question.context;
  if (question.source !== undefined) request['source'] = question.source;
  if (evaluation.otherPeer !== undefined) request['peer'] = { principal: evaluation.otherPeer.principal };
  const requestText = members(request);
  const grants = live.map(grantPart);
  const tasks = taskParts(live, facts);
  const curfew = request;
  let known = '';
  if (identity !== undefined) {
    const { subject, credential } = identityInput(identity);
    curfew['subject'] = subject;
    curfew['credential'] = credential;
    known = `"subject":${JSON.stringify(subject)},"credential":${JSON.stringify(credential)},`;
  }
  curfew['grants'] = grants.map(({ value }) => value);
  curfew['tasks'] = tasks.map(({ value }) => value);
  const value: JsonObject = { ...evaluation.input, curfew };
  // What a protocol called `curfew` itself is replaced in its place, not put behind.
  if ('curfew' in evaluation.input) return { value, text: JSON.stringify(value) };
  const protocolText = members(evaluation.input);
  const comma = protocolText === '' ? '' : ',';
  return { value, text: `{${protocolText}${comma}"curfew":{${requestText},${known}"grants":${list(grants)},"tasks":${list(tasks)}}}` };
};
