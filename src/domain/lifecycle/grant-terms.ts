/** The terms of a grant as asked for, checked field by field without any state. Everything that is wrong is named, with its place. */
import { isCidr } from '../cidr.ts';
import type { Model } from '../grant.ts';
import { ACTIONS_MAX, resourcePatternFault, SCOPES_MAX, type Scope } from '../scope.ts';
import { parseSpiffeId } from '../spiffe-id.ts';
import type { Fault } from './change.ts';
import { faultsOf, idFault, isOidcId, personFault, REFERENCE_CHARS_MAX, textFault } from './fields.ts';

/** `Conditions` and `Binding` as asked for. */
export interface AskedConditions {
  readonly audience?: readonly string[] | undefined;
  readonly pep?: readonly string[] | undefined;
  readonly source?: readonly string[] | undefined;
}
export interface AskedBinding {
  readonly x5t?: string | undefined;
  readonly jkt?: string | undefined;
}

export interface IssueGrant {
  readonly workload: string;
  readonly model: Model;
  readonly scopes: readonly Scope[];
  /** Either this, from now on, or both instants. */
  readonly ttlMs?: number | undefined;
  readonly notBefore?: number | undefined;
  readonly expiresAt?: number | undefined;
  readonly owner: string;
  readonly justification: string;
  readonly reference?: string | undefined;
  readonly task?: string | undefined;
  readonly entitlement?: string | undefined;
  readonly conditions?: AskedConditions | undefined;
  readonly binding?: AskedBinding | undefined;
  readonly uses?: number | undefined;
}

export const USES_MAX = 1_000_000;
export const CONDITION_VALUES_MAX = 64;
export const ACTION_CHARS_MAX = 128;

const CANONICAL = 'must be a SPIFFE ID (spiffe://trust-domain/path) or an oidc: id, in its one canonical spelling';

/** A workload is one canonical URI; another spelling of it would be another workload. */
export const workloadFault = (workload: string): string | undefined =>
  (parseSpiffeId(workload)?.path ?? '') !== '' || isOidcId(workload) ? undefined : CANONICAL;

const TYPE = /^[a-z][a-z0-9._-]{0,63}$/;
const ACTION = /^[\x21-\x7e]+$/;

const actionFault = (action: string): string | undefined => {
  if (!ACTION.test(action) || action.length > ACTION_CHARS_MAX) return `must be 1 to ${ACTION_CHARS_MAX} visible ASCII characters`;
  return action.includes('*') && action !== '*' ? 'must be a literal, or `*` alone' : undefined;
};

export const scopeFaults = (scope: Scope, at: string): Fault[] => {
  const { actions, resource } = scope;
  const pattern = resourcePatternFault(resource.id);
  const faults = faultsOf({
    [`${at}/actions`]: actions.length === 0 ? 'must name at least one action' : actions.length > ACTIONS_MAX ? `may name at most ${ACTIONS_MAX} actions` : undefined,
    [`${at}/resource/type`]: TYPE.test(resource.type) ? undefined : 'must be a short lower-case word such as http',
    [`${at}/resource/id`]: pattern ?? textFault(resource.id),
  });
  for (const [index, action] of actions.slice(0, ACTIONS_MAX).entries()) faults.push(...faultsOf({ [`${at}/actions/${index}`]: actionFault(action) }));
  return faults;
};

const KEY_THUMBPRINT = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;
const thumbprintFault = (value: string | undefined): string | undefined =>
  value === undefined || KEY_THUMBPRINT.test(value) ? undefined : 'must be a SHA-256 in base64url (43 characters)';

const bindingFaults = (binding: AskedBinding | undefined): Fault[] =>
  binding === undefined ? [] : faultsOf({
    '/binding': binding.x5t === undefined && binding.jkt === undefined ? 'must have x5t or jkt' : undefined,
    '/binding/x5t': thumbprintFault(binding.x5t),
    '/binding/jkt': thumbprintFault(binding.jkt),
  });

const listFaults = (name: string, values: readonly string[] | undefined, fault: (value: string) => string | undefined): Fault[] => {
  if (values === undefined) return [];
  const at = `/conditions/${name}`;
  if (values.length === 0) return [{ path: at, message: 'must not be empty; leave it out when it does not restrict' }];
  if (values.length > CONDITION_VALUES_MAX) return [{ path: at, message: `may have at most ${CONDITION_VALUES_MAX} values` }];
  return values.flatMap((value, index) => faultsOf({ [`${at}/${index}`]: fault(value) }));
};

export const conditionFaults = (conditions: AskedConditions | undefined): Fault[] => [
  ...listFaults('audience', conditions?.audience, (value) => textFault(value, REFERENCE_CHARS_MAX)),
  ...listFaults('pep', conditions?.pep, idFault),
  ...listFaults('source', conditions?.source, (value) => (isCidr(value) ? undefined : 'must be a CIDR block with zero host bits, such as 10.0.0.0/8')),
];

const timeFaults = (terms: IssueGrant): Fault[] => {
  const { ttlMs, notBefore, expiresAt, model } = terms;
  if (ttlMs !== undefined && (notBefore !== undefined || expiresAt !== undefined)) return [{ path: '/ttlMs', message: 'excludes notBefore and expiresAt' }];
  if (ttlMs === undefined && expiresAt === undefined) return [{ path: '/ttlMs', message: 'is missing: a grant needs an end (ttlMs, or notBefore and expiresAt)' }];
  if (ttlMs === undefined && notBefore === undefined) return [{ path: '/notBefore', message: 'is missing: expiresAt needs notBefore (or use ttlMs)' }];
  if (ttlMs === undefined && model === 'break-glass') return [{ path: '/notBefore', message: 'is not for break-glass: its timer starts at issuance (use ttlMs)' }];
  return [];
};

/** The reference that the model demands. */
const referenceFaults = (terms: IssueGrant): Fault[] => {
  const { model, reference, task } = terms;
  if (model === 'time-boxed' && reference === undefined && task === undefined) return [{ path: '/reference', message: 'is missing: time-boxed access needs a reference or a task' }];
  if (model === 'jit' && task === undefined) return [{ path: '/task', message: 'is missing: jit access ends with its task' }];
  if (model === 'break-glass' && reference === undefined) return [{ path: '/reference', message: 'is missing: break-glass access needs the reference of an incident' }];
  return [];
};

export const termFaults = (terms: IssueGrant): readonly Fault[] => [
  ...faultsOf({
    '/workload': workloadFault(terms.workload),
    '/scopes': terms.scopes.length === 0 ? 'must have at least one scope' : terms.scopes.length > SCOPES_MAX ? `may have at most ${SCOPES_MAX} scopes` : undefined,
    '/owner': personFault(terms.owner),
    '/justification': textFault(terms.justification),
    '/reference': terms.reference === undefined ? undefined : textFault(terms.reference, REFERENCE_CHARS_MAX),
    '/task': terms.task === undefined ? undefined : idFault(terms.task),
    '/entitlement': terms.entitlement === undefined ? undefined : idFault(terms.entitlement),
    '/uses': terms.uses === undefined || (Number.isSafeInteger(terms.uses) && terms.uses >= 1 && terms.uses <= USES_MAX) ? undefined : `must be a whole number from 1 to ${USES_MAX}`,
  }),
  ...terms.scopes.slice(0, SCOPES_MAX).flatMap((scope, index) => scopeFaults(scope, `/scopes/${index}`)),
  ...timeFaults(terms),
  ...referenceFaults(terms),
  ...conditionFaults(terms.conditions),
  ...bindingFaults(terms.binding),
];
