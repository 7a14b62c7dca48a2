/**
 * Does a grant count, now, for this question? The one place that says so: decisions, listings and explanations call it.
 * A grant and every ancestor must hold; the first condition that fails is the reason.
 */
import { cidrContains } from './cidr.ts';
import { coversGrant } from './ending.ts';
import type { Facts, GrantFact } from './facts.ts';
import type { GrantCore } from './grant.ts';
import { grantSelectors } from './grant-refs.ts';
import type { Instant, TimeInterval } from './instant.ts';
import type { Reason } from './reasons.ts';
import { scopesCover, scopesWithin, type ResourceRef } from './scope.ts';
import { selectorKey, workloadSelectors, type Selector } from './selector.ts';
import { taskFault, taskHoldsUntil } from './task.ts';

export interface Circumstances {
  readonly now: TimeInterval;
  readonly facts: Facts;
  /** Selectors of the realm, the PEP and the issuer: they cover every grant of the question by position. */
  readonly selectors: readonly Selector[];
  readonly entitlementExists: (id: string) => boolean;
}

/** What is asked, for the conditions that depend on it. */
export interface Use {
  readonly action: string;
  readonly resource: ResourceRef;
  readonly audience: readonly string[];
  readonly pep: string | undefined;
  readonly source: string | undefined;
  readonly confirmed: { readonly x5t?: string; readonly jkt?: string };
  /** The use of this decision is already counted, so an exhausted counter is no fault. */
  readonly claimed?: boolean;
}

export type Judgement =
  | { readonly live: true; readonly until: Instant }
  | { readonly live: false; readonly reason: Reason };

const no = (reason: Reason): Judgement => ({ live: false, reason });

/** Is there an ending of this kind among them? With a floor on the realm and nothing else, only the realm's is looked for. */
const ofKind = (endings: Facts['endings'], kind: string): boolean => {
  for (const key of endings.keys()) if (key.startsWith(kind) && key[kind.length] === ':') return true;
  return false;
};

const endingFault = (selectors: readonly Selector[], root: number, facts: Facts): Reason | undefined => {
  let suspended = false;
  for (const selector of selectors) {
    if (!ofKind(facts.endings, selector.kind)) continue;
    const coverage = coversGrant(facts.endings.get(selectorKey(selector)), root);
    if (coverage === 'revoked') return 'grant.revoked';
    if (coverage === 'suspended') suspended = true;
  }
  return suspended ? 'grant.suspended' : undefined;
};

/** Conditions that every link of the chain must meet by itself. */
const linkJudgement = (link: GrantCore, root: number, at: Circumstances): Judgement => {
  const { now, facts } = at;
  if (!(now.latest < link.expiresAt)) return no('grant.expired');
  if (!(link.notBefore <= now.earliest)) return no('grant.not_yet');
  if (facts.endings.size > 0) {
    const fault = endingFault([...grantSelectors(link), ...workloadSelectors(link.workload), ...at.selectors], root, facts);
    if (fault !== undefined) return no(fault);
  }
  let until = link.expiresAt;
  if (link.task !== undefined) {
    const task = facts.tasks.get(link.task)?.task;
    if (task === undefined) return no('task.missing');
    const taskReason = taskFault(task, now);
    if (taskReason !== undefined) return no(taskReason);
    until = Math.min(until, taskHoldsUntil(task)) as Instant;
  }
  for (const deadline of facts.deadlines) {
    if (deadline.grant !== link.id) continue;
    if (!(now.latest < deadline.at)) return no(deadline.reason);
    until = Math.min(until, deadline.at) as Instant;
  }
  if (link.entitlement !== undefined && !at.entitlementExists(link.entitlement)) return no('grant.entitlement');
  return { live: true, until };
};

const includes = (allowed: readonly string[] | undefined, given: readonly string[]): boolean =>
  allowed === undefined || given.some((value) => allowed.includes(value));

const useFault = (link: GrantCore, use: Use): Reason | undefined => {
  if (!scopesCover(link.scopes, use.action, use.resource)) return 'grant.none';
  const { audience, pep, source } = link.conditions;
  const { source: client } = use;
  const sourceMatches = source === undefined || (client !== undefined && source.some((cidr) => cidrContains(cidr, client)));
  if (!includes(audience, use.audience) || !includes(pep, use.pep === undefined ? [] : [use.pep]) || !sourceMatches) return 'grant.condition';
  const { binding } = link;
  if (binding === undefined) return undefined;
  const matches =
    (binding.x5t !== undefined || binding.jkt !== undefined) &&
    (binding.x5t === undefined || binding.x5t === use.confirmed.x5t) &&
    (binding.jkt === undefined || binding.jkt === use.confirmed.jkt);
  return matches ? undefined : 'grant.binding';
};

/** Was it issued before a restore after which an operator said what had ended? */
const isHonoured = (epoch: string, { facts, selectors }: Circumstances): boolean =>
  selectors.some((selector) => selector.kind === 'realm' && facts.endings.get(selectorKey(selector))?.honours?.includes(epoch) === true);

/** Does the grant hold by itself and with its ancestors, whatever it is used for? */
export const judgeStanding = (fact: GrantFact, at: Circumstances): Judgement => {
  const { grant } = fact;
  if (grant.epoch !== at.facts.epoch && !isHonoured(grant.epoch, at)) return no('grant.revoked');
  const own = linkJudgement(grant, fact.root, at);
  if (!own.live) return own;
  let { until } = own;
  let inner: GrantCore = grant;
  for (const ancestor of grant.chain) {
    if (!fact.ancestorsPresent.has(ancestor.id) || !scopesWithin(inner.scopes, ancestor.scopes)) return no('grant.ancestor');
    const judged = linkJudgement(ancestor, fact.root, at);
    if (!judged.live) return no(judged.reason === 'grant.revoked' || judged.reason.startsWith('task.') ? judged.reason : 'grant.ancestor');
    until = Math.min(until, judged.until) as Instant;
    inner = ancestor;
  }
  return { live: true, until };
};

/** Does the grant count for this use? `until` is the earliest instant at which time alone ends that. */
export const judgeGrant = (fact: GrantFact, use: Use, at: Circumstances): Judgement => {
  const fault = useFault(fact.grant, use);
  if (fault !== undefined) return no(fault);
  const judged = judgeStanding(fact, at);
  if (!judged.live) return judged;
  for (const ancestor of fact.grant.chain) {
    const inherited = useFault(ancestor, use);
    if (inherited !== undefined) return no(inherited);
  }
  if (fact.usesLeft !== undefined && !(fact.usesLeft > 0) && use.claimed !== true) return no('grant.uses_exhausted');
  return judged;
};
