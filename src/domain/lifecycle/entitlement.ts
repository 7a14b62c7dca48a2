/** Entitlements as the bundle's data has them (`data.curfew.entitlements[id]`): what may be granted at all. */
import { MODELS, type Model } from '../grant.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts';
import type { Scope } from '../scope.ts';

export interface Entitlement {
  readonly id: string;
  readonly owner: string;
  readonly model: Model;
  readonly tier: string;
  /** Operators may issue it without a request. */
  readonly direct: boolean;
  readonly maxTtlMs?: number;
  /** A grant's scopes must lie within these. */
  readonly scopes: readonly Scope[];
}

const texts = (value: JsonValue | undefined): readonly string[] | undefined =>
  Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined;

const scopesOf = (value: JsonValue | undefined): readonly Scope[] | undefined => {
  if (!Array.isArray(value)) return undefined;
  const scopes: Scope[] = [];
  for (const item of value as readonly JsonValue[]) {
    if (!isJsonObject(item) || !isJsonObject(item['resource'])) return undefined;
    const { type, id } = item['resource'];
    const actions = texts(item['actions']);
    if (actions === undefined || typeof type !== 'string' || typeof id !== 'string') return undefined;
    scopes.push({ actions, resource: { type, id } });
  }
  return scopes;
};

/** `undefined` when it can't be understood; then nothing is granted by it. */
export const readEntitlement = (id: string, data: JsonObject): Entitlement | undefined => {
  const { owner, model, tier = 'standard', direct = false, maxTtlMs } = data;
  const scopes = scopesOf(data['scopes']);
  const known = MODELS.find((name) => name === model);
  if (typeof owner !== 'string' || known === undefined || typeof tier !== 'string' || typeof direct !== 'boolean' || scopes === undefined) return undefined;
  if (maxTtlMs !== undefined && !(typeof maxTtlMs === 'number' && Number.isSafeInteger(maxTtlMs) && maxTtlMs > 0)) return undefined;
  return { id, owner, model: known, tier, direct, scopes, ...(maxTtlMs === undefined ? {} : { maxTtlMs }) };
};
