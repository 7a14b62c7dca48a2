/** Where two persons or more are to approve and did not, as by a direct issue, somebody hears of it, in the commit that issues. */
import { raise, type Alert } from '../alert.ts';
import type { Grant } from '../grant.ts';
import type { TimeInterval } from '../instant.ts';
import type { IssueSetting } from './issue-grant.ts';

const TWO = 2;

/** Earlier approvals, which an extension brings along, are of another grant. */
export const skippedApprovals = ({ id, workload, model, issuedBy }: Grant, { entitlement, basis, caps: { tiers } }: IssueSetting, now: TimeInterval): readonly Alert[] => {
  if (typeof entitlement !== 'object') return [];
  const floor = Object.hasOwn(tiers, entitlement.tier) ? (tiers[entitlement.tier]?.minApprovals?.[model] ?? 0) : 0;
  const needed = Math.max(entitlement.approval?.count ?? 0, floor);
  const given = basis?.approvals.length ?? 0;
  if (needed < TWO || given >= needed) return [];
  return [raise('two-person.skipped', id, now.latest, { grant: id, workload, entitlement: entitlement.id, needed, given, by: issuedBy }, entitlement.alerts)];
};
