/**
 * Entitlements as the bundle's data has them (`data.curfew.entitlements[id]`): what may be granted at all, who may ask, who approves,
 * who is told, and what becomes of it when nobody looks. One without owner, approver rule, alert recipient or orphan rule is none:
 * its bundle is refused, and nothing is granted by it.
 */
import { MODELS, type Conditions, type Model } from '../grant.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts';
import { SCOPES_MAX, type Scope } from '../scope.ts';
import type { Fault } from './change.ts';
import { idFault, isPerson, personFault, textFault } from './fields.ts';
import { conditionFaults, scopeFaults, USES_MAX } from './grant-terms.ts';
import { anyObject, flag, list, object, oneOf, pointerStep, record, text, whole, type Check } from './shape.ts';
import { workloadPatternFault } from './workload-pattern.ts';

export const LOGGING = ['none', 'basic', 'full'] as const;
export const AUTOMATION = ['manual', 'partial', 'full'] as const;
export const REFERENCE_KINDS = ['none', 'ticket', 'change', 'incident'] as const;
export type ReferenceKind = (typeof REFERENCE_KINDS)[number];

/** Who may ask. Absent members: nobody of that sort, so that without `workloads` the flow is for people alone, and the other way round. */
export interface RequestRule {
  /** Workloads that may ask for themselves. */
  readonly workloads?: readonly string[];
  /** People who may ask for a workload of `for`. */
  readonly persons?: readonly string[];
  readonly for?: readonly string[];
}

export interface ApprovalRule {
  /** How many distinct persons; the floor of the configuration may ask for more. */
  readonly count: number;
  /** `user:`, `team:` or `group:`. */
  readonly by: readonly string[];
  /** A request that is not decided by then has expired. */
  readonly withinMs?: number;
}

export interface Entitlement {
  readonly id: string;
  readonly description?: string;
  readonly owner: string;
  readonly fallbackOwner: string;
  readonly model: Model;
  readonly tier: string;
  /** Operators may issue it without a request. */
  readonly direct: boolean;
  readonly maxTtlMs?: number;
  /** A grant's scopes must lie within these; a segment `{name}` stands for a parameter. */
  readonly scopes: readonly Scope[];
  /** Values by parameter; without `oneOf` any one segment. */
  readonly parameters?: Readonly<Record<string, { readonly oneOf?: readonly string[] }>>;
  /** Every grant has at least these. */
  readonly conditions?: Conditions;
  readonly logging: (typeof LOGGING)[number];
  readonly automation: (typeof AUTOMATION)[number];
  readonly uses?: number;
  readonly request?: RequestRule;
  readonly approval?: ApprovalRule;
  readonly reference: ReferenceKind;
  /** Who is told when its access is given, ended, reused or bypassed: persons, teams or names of channels. */
  readonly alerts: readonly string[];
  /** Who looks at each use afterwards, and by when. Break-glass needs one. */
  readonly review?: { readonly by: string; readonly withinMs: number };
  readonly recertify?: { readonly everyMs: number; readonly graceMs?: number };
  /** Back-to-back grants of one workload with overlapping scope may last so long together, and then not again for `cooldownMs`. */
  readonly maxContinuousMs?: number;
  readonly cooldownMs?: number;
  /** How many times a grant may be handed on; 0 or absent: not at all. */
  readonly delegation?: { readonly depth: number };
  /** Systems that must end it too. */
  readonly downstream: readonly string[];
  readonly orphan: { readonly unusedMs: number; readonly unseenMs?: number; readonly action: 'flag' | 'end' };
}

export const ENTITLEMENTS_MAX = 10_000;
const YEAR = 365 * 24 * 3_600_000;
const span = whole(1, YEAR);
const person = text(personFault);
const name = text(idFault);

const approverFault = (value: string): string | undefined =>
  isPerson(value) || (value.startsWith('group:') && textFault(value, 500) === undefined) ? undefined : 'must be user:..., team:... or group:...';
const people = (least: number): Check => list(text(approverFault), least, 64);
const workloads = list(text(workloadPatternFault), 1, 64);

const PARAMETER = /^\{([a-z][a-zA-Z0-9]{0,31})\}$/;
const parameterName = (segment: string): string | undefined => PARAMETER.exec(segment)?.[1];
const PARAMETER_VALUE = /^[A-Za-z0-9._~-]{1,128}$/;
export const parameterValueFault = (value: string): string | undefined =>
  PARAMETER_VALUE.test(value) && value !== '.' && value !== '..' ? undefined : 'must be one segment of A-Z a-z 0-9 . _ ~ -';

const scope: Check = (value, path) => {
  const faults = object({
    required: { actions: list(text(() => undefined), 1, 64), resource: object({ required: { type: text(() => undefined), id: text(() => undefined) } }) },
  })(value, path);
  return faults.length > 0 ? faults : scopeFaults(value as unknown as Scope, path);
};

const conditions: Check = (value, path) => {
  const values = list(text(() => undefined), 1, 64);
  const faults = object({ optional: { audience: values, pep: values, source: values } })(value, path);
  return faults.length > 0 ? faults : conditionFaults(value as unknown as Conditions).map((fault) => ({ ...fault, path: `${path}${fault.path.slice('/conditions'.length)}` }));
};

const segmentsOf = (value: JsonObject): readonly string[] => (value['scopes'] as unknown as readonly Scope[]).flatMap(({ resource }) => resource.id.split('/'));

const parameterFaults = (value: JsonObject, path: string): readonly Fault[] => {
  const declared = isJsonObject(value['parameters']) ? Object.keys(value['parameters']) : [];
  const segments = segmentsOf(value);
  const used = segments.flatMap((segment) => parameterName(segment) ?? []);
  return [
    ...segments.filter((segment) => /[{}]/.test(segment) && parameterName(segment) === undefined).map((segment) => ({ path: `${path}/scopes`, message: `has ${segment}; a parameter is a whole segment such as {env}` })),
    ...used.filter((parameter) => !declared.includes(parameter)).map((parameter) => ({ path: `${path}/parameters/${parameter}`, message: 'is missing: a scope names it' })),
    ...declared.filter((parameter) => !used.includes(parameter)).map((parameter) => ({ path: `${path}/parameters/${parameter}`, message: 'is in no scope' })),
  ];
};

const together = (value: JsonObject, path: string): readonly Fault[] => {
  const { request, approval, model, review, owner, fallbackOwner, direct = false } = value;
  const by = isJsonObject(approval) ? (approval['by'] as readonly string[]) : [];
  const asked = isJsonObject(request) ? request : undefined;
  const rules: readonly (readonly [boolean, string, string])[] = [
    [owner === fallbackOwner, 'fallbackOwner', 'must be another than the owner'],
    [asked === undefined && direct !== true, 'request', 'is missing: who may ask for it? (or mark it direct)'],
    [asked !== undefined && approval === undefined, 'approval', 'is missing: who approves?'],
    [asked === undefined && approval !== undefined, 'approval', 'is for requests, and nobody may ask'],
    [asked !== undefined && asked['workloads'] === undefined && asked['persons'] === undefined, 'request', 'names nobody who may ask (workloads or persons)'],
    [asked?.['persons'] !== undefined && asked['for'] === undefined, 'request/for', 'is missing: for which workloads may these persons ask?'],
    [isJsonObject(approval) && by.length === 0 && approval['count'] !== 0, 'approval/by', 'names nobody who could approve'],
    [by.length > 0 && by.every((one) => one === owner || one === fallbackOwner), 'approval/by', 'names owners only, and owners never approve their own entitlement'],
    [model === 'break-glass' && review === undefined, 'review', 'is missing: an emergency is looked at afterwards'],
    [model === 'break-glass' && value['delegation'] !== undefined, 'delegation', 'is not for break-glass'],
    [model === 'break-glass' && value['reference'] !== undefined && value['reference'] !== 'incident', 'reference', 'must be incident for break-glass'],
    [value['cooldownMs'] !== undefined && value['maxContinuousMs'] === undefined, 'maxContinuousMs', 'is missing: a cooldown follows it'],
  ];
  return [...rules.flatMap(([wrong, at, message]) => (wrong ? [{ path: `${path}/${at}`, message }] : [])), ...parameterFaults(value, path)];
};

const entitlement = object({
  required: {
    owner: person, fallbackOwner: person, model: oneOf(MODELS), scopes: list(scope, 1, SCOPES_MAX),
    alerts: list(text((value) => (isPerson(value) ? undefined : idFault(value))), 1, 16),
    orphan: object({ required: { unusedMs: span, action: oneOf(['flag', 'end']) }, optional: { unseenMs: span } }),
  },
  optional: {
    description: text((value) => textFault(value)), tier: name, direct: flag, maxTtlMs: span, conditions, uses: whole(1, USES_MAX),
    parameters: record((value) => (parameterName(`{${value}}`) === undefined ? 'must begin with a small letter and have at most 32 letters and digits' : undefined),
      object({ optional: { oneOf: list(text(parameterValueFault), 1, 256) } }), 16),
    logging: oneOf(LOGGING), automation: oneOf(AUTOMATION), reference: oneOf(REFERENCE_KINDS),
    request: object({ optional: { workloads, persons: people(1), for: workloads } }),
    approval: object({ required: { count: whole(0, 16), by: people(0) }, optional: { withinMs: span } }),
    review: object({ required: { by: person, withinMs: span } }),
    recertify: object({ required: { everyMs: span }, optional: { graceMs: span } }),
    maxContinuousMs: span, cooldownMs: span, delegation: object({ required: { depth: whole(0, 8) } }),
    downstream: list(name, 0, 64),
    /** For the bundle's own rules; nothing here looks into it. */
    extra: anyObject,
  },
  whole: together,
});

export type ReadEntitlement = { readonly ok: true; readonly entitlement: Entitlement } | { readonly ok: false; readonly faults: readonly Fault[] };

export const readEntitlement = (id: string, data: JsonObject, path = ''): ReadEntitlement => {
  const wrongName = idFault(id);
  const faults = [...(wrongName === undefined ? [] : [{ path, message: `as a name ${wrongName}` }]), ...entitlement(data, path)];
  if (faults.length > 0) return { ok: false, faults };
  const { extra: _extra, ...known } = data;
  const reference: ReferenceKind = known['model'] === 'break-glass' ? 'incident' : 'none';
  return { ok: true, entitlement: { tier: 'standard', direct: false, logging: 'basic', automation: 'partial', reference, downstream: [], ...known, id } as unknown as Entitlement };
};

/** Everything that is wrong with the entitlements of a bundle's data; nothing where there are none. */
export const entitlementFaults = (data: JsonValue | undefined): readonly Fault[] => {
  const curfew = isJsonObject(data) && Object.hasOwn(data, 'curfew') ? data['curfew'] : undefined;
  const all = isJsonObject(curfew) && Object.hasOwn(curfew, 'entitlements') ? curfew['entitlements'] : undefined;
  if (all === undefined) return [];
  const path = '/curfew/entitlements';
  if (!isJsonObject(all)) return [{ path, message: 'must be an object' }];
  if (Object.keys(all).length > ENTITLEMENTS_MAX) return [{ path, message: `may have at most ${ENTITLEMENTS_MAX} members` }];
  return Object.entries(all).flatMap(([id, value]) => {
    const at = `${path}/${pointerStep(id)}`;
    if (!isJsonObject(value)) return [{ path: at, message: 'must be an object' }];
    const read = readEntitlement(id, value, at);
    return read.ok ? [] : read.faults;
  });
};
