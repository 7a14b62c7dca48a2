/** Access requests: what was asked, by whom, what approvals it has, and what became of it. What has been decided never changes again. */
import type { RecordRef } from '../grant-refs.ts';
import { raise, type Alert } from '../alert.ts';
import { isInstant, toRfc3339, type Instant } from '../instant.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts';
import { workloadSelectors, type Selector } from '../selector.ts';
import type { IssueGrant } from './grant-terms.ts';

export const REQUEST_STATES = ['pending', 'approved', 'denied', 'expired', 'cancelled'] as const;
export type RequestState = (typeof REQUEST_STATES)[number];

/** Into what a request may turn. The rules go by this table: what is not in it can't happen, and what has been decided leads nowhere. */
export const REQUEST_MOVES: Readonly<Record<RequestState, readonly RequestState[]>> = {
  pending: ['approved', 'denied', 'expired', 'cancelled'], approved: [], denied: [], expired: [], cancelled: [],
};
export const isDecided = ({ state }: Pick<AccessRequest, 'state'>): boolean => REQUEST_MOVES[state].length === 0;

export interface RequestApproval {
  readonly id: string;
  readonly approver: string;
  /** The approver, its teams and groups, as they were then. */
  readonly names: readonly string[];
  readonly at: Instant;
  /** Not before this position. */
  readonly sequence: number;
}

/** The value stored under `request/<id>`. */
export interface AccessRequest {
  readonly version: 1;
  readonly id: string;
  readonly state: RequestState;
  readonly requester: { readonly kind: 'workload' | 'person'; readonly id: string };
  readonly entitlement: string;
  /** Everything that is asked, with the entitlement's scopes filled in. */
  readonly terms: IssueGrant;
  /** SHA-256 over what is asked, by whom, and the text of the entitlement: what an approval is bound to. */
  readonly digest: string;
  readonly entitlementDigest: string;
  readonly bundleRevision: string;
  /** How many approvals it takes. */
  readonly needed: number;
  readonly maxTtlMs: number;
  /** Who owned workload and entitlement when it was asked: they don't approve. */
  readonly owners: readonly string[];
  readonly approvals: readonly RequestApproval[];
  readonly createdAt: Instant;
  /** Not decided by then, it has expired. */
  readonly decideBy: Instant;
  /** The grant that this would extend. */
  readonly extends?: string;
  readonly grant?: string;
  readonly decidedBy?: string;
  readonly decidedAt?: Instant;
  readonly reason?: string;
}

/** Told to those who may approve it: what is asked, and the digest that an approval names. */
export const waitsAlert = ({ id, digest, entitlement, terms, requester, needed, decideBy, createdAt, extends: extended }: AccessRequest, approvers: readonly string[]): Alert =>
  raise('request.pending', id, createdAt, {
    request: id, digest, entitlement, workload: terms.workload, scopes: terms.scopes as unknown as JsonValue, requester: requester.id, justification: terms.justification, needed, decideBy: toRfc3339(decideBy),
    ...(terms.reference === undefined ? {} : { reference: terms.reference }), ...(terms.task === undefined ? {} : { task: terms.task }), ...(extended === undefined ? {} : { extends: extended }),
    ...(terms.ttlMs === undefined ? {} : { ttlMs: terms.ttlMs }),
  }, approvers);

export const requestRef = (id: string): RecordRef => ({ kind: 'request', id });
/** The open requests of one who asks. */
export const askerRef = (id: string): RecordRef => ({ kind: 'asker', id });

export const readRequest = (value: JsonObject | undefined): AccessRequest | undefined =>
  value !== undefined && value['version'] === 1 && typeof value['id'] === 'string' && (REQUEST_STATES as readonly unknown[]).includes(value['state']) &&
  isJsonObject(value['requester']) && isJsonObject(value['terms']) && typeof value['digest'] === 'string' && Number.isSafeInteger(value['needed']) &&
  Array.isArray(value['approvals']) && Array.isArray(value['owners']) && isInstant(value['decideBy'])
    ? (value as unknown as AccessRequest)
    : undefined;

/** Endings of any of these end the request too, beside those of its workload's issuers and of its approvers. */
export const requestSelectors = ({ terms, entitlement, requester, bundleRevision, approvals, extends: extended }: AccessRequest, realm: string): readonly Selector[] => [
  { kind: 'realm', value: realm },
  ...workloadSelectors(terms.workload),
  ...(requester.kind === 'workload' ? (requester.id === terms.workload ? [] : workloadSelectors(requester.id)) : [{ kind: 'owner', value: requester.id } as const]),
  { kind: 'owner', value: terms.owner },
  { kind: 'entitlement', value: entitlement },
  { kind: 'bundle-revision', value: bundleRevision },
  ...(terms.task === undefined ? [] : [{ kind: 'task', value: terms.task } as const]),
  ...(extended === undefined ? [] : [{ kind: 'grant', value: extended } as const]),
  ...approvals.map(({ approver }): Selector => ({ kind: 'approver', value: approver })),
];
