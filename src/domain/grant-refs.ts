/** Which records a decision on a grant needs: computed once at issue and stored with the grant, so that one read brings all. */
import type { Grant, GrantCore } from './grant.ts';
import { recertificationRef } from './recertification.ts';
import { reviewRef } from './review.ts';
import { selectorKey, workloadSelectors, type Selector } from './selector.ts';

/** Selectors that cover a grant because of what it rests on, without those of its workload. */
export const grantSelectors = (grant: GrantCore): readonly Selector[] => [
  { kind: 'grant', value: grant.id },
  ...(grant.lineage ?? []).map((value): Selector => ({ kind: 'grant', value })),
  ...(grant.task === undefined ? [] : [{ kind: 'task', value: grant.task } as const]),
  ...(grant.entitlement === undefined ? [] : [{ kind: 'entitlement', value: grant.entitlement } as const]),
  ...grant.owners.map((value): Selector => ({ kind: 'owner', value })),
  ...grant.approvals.map(({ approver }): Selector => ({ kind: 'approver', value: approver })),
  { kind: 'bundle-revision', value: grant.bundleRevision },
];

export interface RecordRef {
  readonly kind: string;
  readonly id: string;
}

export const endingRef = (selector: Selector): RecordRef => ({ kind: 'ending', id: selectorKey(selector) });
export const taskRef = (id: string): RecordRef => ({ kind: 'task', id });
export const grantRef = (id: string): RecordRef => ({ kind: 'grant', id });
export const usesRef = (grantId: string): RecordRef => ({ kind: 'uses', id: grantId });

/** The grant's own workload is looked up by every decision anyway; those of its ancestors are listed here. */
export const grantRefs = (grant: Grant): readonly RecordRef[] => {
  const refs = grantSelectors(grant).map(endingRef);
  if (grant.task !== undefined) refs.push(taskRef(grant.task));
  if (grant.uses !== undefined) refs.push(usesRef(grant.id));
  if (grant.model === 'break-glass') refs.push(reviewRef(grant.id));
  if (grant.recertifyBy !== undefined) refs.push(recertificationRef(grant.id));
  for (const ancestor of grant.chain) {
    if (ancestor.recertifyBy !== undefined) refs.push(recertificationRef(ancestor.id));
    refs.push(grantRef(ancestor.id), ...grantSelectors(ancestor).map(endingRef), ...workloadSelectors(ancestor.workload).map(endingRef));
    if (ancestor.task !== undefined) refs.push(taskRef(ancestor.task));
  }
  return refs;
};
