/**
 * Workload ids built from verified claims: `oidc:{issuer}/repo/{repository_id}`. A placeholder names a claim; `/` enters
 * objects and `~1`, `~0` stand for `/` and `~` in a name, as in JSON pointers. Values are percent-encoded, so none can add a
 * segment; a missing, empty or composed value builds nothing. `{issuer}` is the issuer's host and path, as configured.
 */
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { isJsonObject } from '../domain/json.ts';
import { isOidcId, WORKLOAD_CHARS_MAX } from '../domain/lifecycle/fields.ts';

const PLACEHOLDER = /\{([^{}]+)\}/g;

/** Host (with port, if not 443) and path of an issuer URL, without a trailing slash. */
export const issuerHostAndPath = (issuer: string): string => {
  const url = new URL(issuer);
  return `${url.host}${url.pathname}`.replace(/\/$/, '');
};

/** Why a template builds no canonical ids for this issuer, or `undefined` when it does. */
export const templateFault = (template: string, issuer: string): string | undefined => {
  if (!template.startsWith('oidc:')) return 'must begin with oidc:';
  if (![...template.matchAll(PLACEHOLDER)].some(([, name]) => name !== 'issuer')) return 'must name at least one claim in braces';
  const sample = template.replaceAll('{issuer}', issuerHostAndPath(issuer)).replaceAll(PLACEHOLDER, 'x');
  return isOidcId(sample) ? undefined : 'must be oidc:, a host and a path, with nothing that needs encoding outside of {claims}';
};

/** Could two templates (with `{issuer}` filled in) build one id? Compared by segments; a segment with a claim counts as any. */
export const templatesCollide = (a: string, b: string): boolean => {
  const [left, right] = [a, b].map((one) => one.replaceAll(PLACEHOLDER, '{}').split('/')) as [string[], string[]];
  return left.length === right.length && left.every((segment, at) => segment === right[at] || segment.includes('{}') || right[at]?.includes('{}'));
};

/** The claim a path names; own members only. */
export const claimAt = (claims: JsonObject, path: string): JsonValue | undefined => {
  let value: JsonValue | undefined = claims;
  for (const step of path.split('/')) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
    if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
};

const encode = (value: JsonValue | undefined): string | undefined => {
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text !== 'string' || text === '') return undefined;
  const encoded = encodeURIComponent(text);
  return encoded === '.' || encoded === '..' ? undefined : encoded;
};

/** The workload id, or `undefined` when a claim it needs is not there. */
export const buildId = (template: string, issuer: string, claims: JsonObject): string | undefined => {
  let complete = true;
  const id = template.replaceAll(PLACEHOLDER, (_, name: string) => {
    const value = name === 'issuer' ? issuerHostAndPath(issuer) : encode(claimAt(claims, name));
    if (value === undefined) complete = false;
    return value ?? '';
  });
  return complete && id.length <= WORKLOAD_CHARS_MAX ? id : undefined;
};
