/**
 * Extension: a fresh approval, before the end, of a grant that follows the one there is. No end ever moves: the successor begins where its
 * predecessor ends, rests on everything that one rests on (its root, its approvals, its owners), and falls with it when it is revoked.
 */
import { raise, withAlerts } from '../alert.ts';
import type { Grant } from '../grant.ts';
import { endingRef, grantRef, grantSelectors, taskRef } from '../grant-refs.ts';
import { plus, type Instant, type TimeInterval } from '../instant.ts';
import { readRecertification, recertificationRef } from '../recertification.ts';
import { readGrant, readTask } from '../records.ts';
import { reasonText } from '../reasons.ts';
import { workloadSelectors, type Selector } from '../selector.ts';
import { taskFault } from '../task.ts';
import { coveredBy, refuse, type Loaded, type Refusal, type Rule } from './change.ts';
import type { IssueGrant } from './grant-terms.ts';
import type { Basis } from './issue-grant.ts';

/** What is asked when more time is: everything as it is, from its end on. */
export const extensionTerms = (grant: Grant, ttlMs: number, justification: string): IssueGrant => ({
  workload: grant.workload, model: grant.model, scopes: grant.scopes, conditions: grant.conditions, notBefore: grant.expiresAt, expiresAt: plus(grant.expiresAt, ttlMs),
  owner: grant.owners[grant.owners.length - 1] ?? '', justification,
  ...(grant.binding === undefined ? {} : { binding: grant.binding }), ...(grant.reference === undefined ? {} : { reference: grant.reference }),
  ...(grant.task === undefined ? {} : { task: grant.task }), ...(grant.entitlement === undefined ? {} : { entitlement: grant.entitlement }),
  ...(grant.uses === undefined ? {} : { uses: grant.uses }),
});

const selectorsOf = (grant: Grant, realm: string): readonly Selector[] => [...grantSelectors(grant), ...workloadSelectors(grant.workload), { kind: 'realm', value: realm }];

/** When its owner has to confirm it, as that stands now. */
const dueOf = (loaded: Loaded, grant: Grant): Instant | undefined =>
  grant.recertifyBy === undefined ? undefined : (readRecertification(loaded.record(recertificationRef(grant.id))?.value)?.dueAt ?? grant.recertifyBy);

type Held = { readonly grant: Grant; readonly root: number } | { readonly ok: false; readonly refusal: Refusal };

/** The grant, if it could be extended now. */
const extendable = (loaded: Loaded, id: string, realm: string, now: TimeInterval): Held => {
  const record = loaded.record(grantRef(id));
  const grant = record === undefined ? undefined : readGrant(record.value);
  if (record === undefined || grant === undefined) return refuse('not-found', 'there is no such grant');
  const root = grant.root ?? record.created.sequence;
  if (grant.model === 'break-glass') return refuse('state', 'emergency access is never extended');
  if (grant.chain.length > 0) return refuse('state', 'what was handed on is not extended; it is handed on anew');
  if (!(now.latest < grant.expiresAt)) return refuse('state', 'the grant has ended; ask for a new one');
  const covered = coveredBy(loaded, selectorsOf(grant, realm), root);
  if (covered !== undefined) return refuse('state', `the grant does not hold: the ${covered.selector.kind} ${covered.selector.value} is ${covered.how}`);
  // Grace is no confirmation: what is overdue by its own day is not carried on.
  const due = dueOf(loaded, grant);
  if (due !== undefined && !(now.latest < due)) return refuse('state', `${reasonText('grant.recertification')}; its owner has to confirm it first`);
  if (grant.task !== undefined) {
    const task = loaded.record(taskRef(grant.task));
    const known = task === undefined ? undefined : readTask(task.value);
    const fault = known === undefined ? 'task.missing' : taskFault(known, now);
    if (fault !== undefined) return refuse('state', reasonText(fault));
  }
  return { grant, root };
};

const recertified = (loaded: Loaded, grant: Grant | undefined): Pick<Basis, 'recertifyBy'> => {
  const due = grant === undefined ? undefined : dueOf(loaded, grant);
  return due === undefined ? {} : { recertifyBy: due };
};

/** Issues the successor of `id` by `issue`; judged at every step, and committed before the end. */
export const extendingRule = (id: string, realm: string, basis: Basis, issue: (basis: Basis) => Rule): Rule => {
  const grantOf = (loaded: Loaded): Grant | undefined => {
    const record = loaded.record(grantRef(id));
    return record === undefined ? undefined : readGrant(record.value);
  };
  const built = (loaded: Loaded): Rule => {
    const grant = grantOf(loaded);
    const root = grant === undefined ? 0 : (grant.root ?? loaded.record(grantRef(id))?.created.sequence ?? 0);
    return issue({
      ...basis, root: Math.min(root, basis.root ?? root),
      lineage: grant === undefined ? [id] : [...(grant.lineage ?? []), id],
      earlierApprovals: grant?.approvals ?? [], earlierOwners: grant?.owners ?? [],
      ...recertified(loaded, grant),
    });
  };
  return {
    ...issue(basis),
    needs: (loaded) => {
      const grant = grantOf(loaded);
      return [grantRef(id), recertificationRef(id), ...(grant === undefined ? [] : [...selectorsOf(grant, realm).map(endingRef), ...(grant.task === undefined ? [] : [taskRef(grant.task)])]), ...built(loaded).needs(loaded)];
    },
    judge: (loaded, now) => {
      const held = extendable(loaded, id, realm, now);
      if ('ok' in held) return held;
      const ruling = built(loaded).judge(loaded, now);
      if (!ruling.ok || ruling.change === undefined) return ruling;
      const { grant } = held;
      const before = Math.min(ruling.change.before ?? Infinity, grant.expiresAt) as Instant;
      const alert = raise('window.extended', `${id}:${basis.request}`, now.latest, { grant: id, workload: grant.workload, request: basis.request });
      return { ...ruling, change: withAlerts({ ...ruling.change, before }, [alert]) };
    },
  };
};
