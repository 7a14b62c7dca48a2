/** The rule that issues a grant, with every guard around it: the same for a direct issue, an approved request and an extension. */
import { createHash } from 'node:crypto';
import type { Policy } from '../decision/ports.ts';
import { canonicalJson, type JsonObject } from '../domain/json.ts';
import { invalid, refuse, type Actor, type Rule } from '../domain/lifecycle/change.ts';
import { guardContinuity } from '../domain/lifecycle/continuity.ts';
import { guardEmergency } from '../domain/lifecycle/emergency-guard.ts';
import { readEntitlement, type Entitlement } from '../domain/lifecycle/entitlement.ts';
import type { IssueGrant } from '../domain/lifecycle/grant-terms.ts';
import { issueGrant, type Basis } from '../domain/lifecycle/issue-grant.ts';
import type { LifecycleDeps } from './lifecycle.ts';
import { workloadIssuers } from './workload-issuers.ts';

export interface Issue {
  readonly realm: string;
  readonly id: string;
  readonly terms: IssueGrant;
  readonly actor: Actor;
  readonly basis?: Basis | undefined;
}

export const entitlementOf = (id: string | undefined, active: Pick<Policy, 'entitlement'>): Entitlement | 'absent' | 'unreadable' | undefined => {
  if (id === undefined) return undefined;
  const data = active.entitlement(id);
  if (data === undefined) return 'absent';
  const read = readEntitlement(id, data);
  return read.ok ? read.entitlement : 'unreadable';
};

export const sha256 = (value: JsonObject): string => createHash('sha256').update(canonicalJson(value)).digest('hex');

/** `active`: the bundle by which it is judged, once more at each attempt to commit. */
export const issuingRule = ({ store, config, development, directEmergencies, knownOwners }: Pick<LifecycleDeps, 'store' | 'config' | 'development' | 'directEmergencies' | 'knownOwners'>, active: Pick<Policy, 'revision' | 'entitlement'>) =>
  ({ realm, id, terms, actor, basis }: Issue): Rule => {
    const systems = new Map(Object.entries(config.systems).flatMap(([name, { maxGrantMs }]) => (maxGrantMs === undefined ? [] : [[name, maxGrantMs] as const])));
    const entitlement = entitlementOf(terms.entitlement, active);
    const issued = issueGrant(id, terms, actor, {
      realm, epoch: store.epoch, bundleRevision: active.revision, caps: { ...config.caps, systems }, anyDirect: development, directEmergencies, entitlement, knownOwners: knownOwners?.(realm), issuers: workloadIssuers(terms.workload),
      ...(basis === undefined ? {} : { basis }),
    });
    const guarded = guardContinuity(issued, terms.workload, typeof entitlement === 'object' ? entitlement : undefined);
    if (terms.model !== 'break-glass') return guarded;
    return guardEmergency(guarded, { grant: id, workload: terms.workload, entitlement: terms.entitlement, persons: [terms.owner, actor.id, ...(basis === undefined ? [] : [basis.requester])] });
  };

/** One that is away must not be the only one to hear of it. */
const EMERGENCY_CHANNELS_MIN = 2;

/** Why no emergency access is given here, or `undefined`. */
export const emergencyFault = ({ development, emergencyChannels }: Pick<LifecycleDeps, 'development' | 'emergencyChannels'>, model: IssueGrant['model']): string | undefined =>
  model === 'break-glass' && !development && !((emergencyChannels ?? EMERGENCY_CHANNELS_MIN) >= EMERGENCY_CHANNELS_MIN)
    ? `emergency access needs ${EMERGENCY_CHANNELS_MIN} channels of alerts that hear of its use (alerts.channels); nothing was issued`
    : undefined;

/** What a reference names must be there and open, where that can be asked; a source that can't be asked refuses. As a rule, so that a repeated command is answered as the first time. */
export const referenceRefusal = async ({ checkReference }: Pick<LifecycleDeps, 'checkReference'>, reference: string | undefined): Promise<Rule | undefined> => {
  const state = reference === undefined ? undefined : await checkReference?.(reference).catch(() => 'unavailable' as const);
  if (state === undefined || state === 'open') return undefined;
  const message = state === 'closed' ? 'is closed at its source' : 'is not known at its source';
  const ruling = state === 'unavailable' ? refuse('unavailable', 'whether the reference is there can not be asked at its source; nothing was issued') : invalid([{ path: '/reference', message }]);
  return { ends: false, needs: () => [], judge: () => ruling };
};
