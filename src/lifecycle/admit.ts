/**
 * Conditions 1 and 2 for a caller who stands for itself: no ending covers its credential or workload, and a one-time credential or
 * proof was not seen before and is now recorded as seen.
 */
import { claimFault, claimFor } from '../decision/claim.ts';
import { coverFault, coveringSelectors } from '../decision/cover.ts';
import type { Evaluation, Identity } from '../decision/evaluation.ts';
import { readFacts } from '../decision/gather.ts';
import { endingRef } from '../domain/grant-refs.ts';
import type { TimeInterval } from '../domain/instant.ts';
import type { Reason } from '../domain/reasons.ts';
import type { Store } from '../store/port.ts';
import { newId } from './new-id.ts';

export interface AdmitDeps {
  readonly store: Pick<Store, 'facts' | 'commit'>;
  readonly credentialSkewMs: number;
}

/** `undefined` lets the identity in; a rejected promise refuses. */
export type AdmitIdentity = (identity: Identity, context: { readonly realm: string; readonly now: TimeInterval }) => Promise<Reason | undefined>;

export const createAdmit = ({ store, credentialSkewMs }: AdmitDeps): AdmitIdentity => async (identity, { realm, now }) => {
  // A workload asks, beats and hands on by its own credential, not by what it was given to act for another.
  if (identity.actsFor !== undefined) return 'credential.type';
  const evaluation: Evaluation = {
    id: newId(now.latest), realm, protocol: 'self-service', pep: { id: undefined, obligations: [] }, presented: { kind: 'none' }, input: {},
  };
  const answer = await store.facts({ realm, keys: coveringSelectors(evaluation, identity).map(endingRef) });
  const covered = coverFault(evaluation, identity, readFacts(answer, identity.workload), credentialSkewMs);
  if (covered !== undefined) return covered;
  const claim = claimFor(evaluation, identity, undefined, now.latest);
  return claim === undefined ? undefined : claimFault(await store.commit(claim));
};
