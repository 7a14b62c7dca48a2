/** Entitlements of the active bundle for people: what may be asked for, by whom, and who approves. */
import { createHash } from 'node:crypto';
import type { Policy } from '../decision/ports.ts';
import { canonicalJson, type JsonObject } from '../domain/json.ts';
import { readEntitlement, type Entitlement } from '../domain/lifecycle/entitlement.ts';
import { entitlementCovers } from '../domain/lifecycle/entitlement-scope.ts';
import type { ResourceRef } from '../domain/scope.ts';

/** What an approval is bound to: it tells one text of the entitlement from another. */
export const entitlementDigest = (data: JsonObject): string => createHash('sha256').update(canonicalJson(data)).digest('hex');

export type ActiveEntitlements = Pick<Policy, 'entitlement' | 'entitlementIds'>;

export interface EntitlementFilter {
  readonly action?: string | undefined;
  readonly resource?: ResourceRef | undefined;
}

const view = (entitlement: Entitlement, data: JsonObject): JsonObject => ({ ...(entitlement as unknown as JsonObject), digest: entitlementDigest(data) });

export const entitlementView = (policy: ActiveEntitlements | undefined, id: string): JsonObject | undefined => {
  const data = policy?.entitlement(id);
  const read = data === undefined ? undefined : readEntitlement(id, data);
  return data !== undefined && read?.ok === true ? view(read.entitlement, data) : undefined;
};

/** All of them by name, or those that could let somebody do this. */
export const entitlementsOf = (policy: ActiveEntitlements | undefined, { action, resource }: EntitlementFilter = {}): readonly Entitlement[] =>
  (policy?.entitlementIds() ?? []).toSorted().flatMap((id) => {
    const data = policy?.entitlement(id);
    const read = data === undefined ? undefined : readEntitlement(id, data);
    if (read?.ok !== true) return [];
    return action === undefined || resource === undefined || entitlementCovers(read.entitlement, action, resource) ? [read.entitlement] : [];
  });
