/** Claims that must be there: equal to a value or to one of several, or beginning with a prefix. A list claim matches by any item. */
import type { JsonObject, JsonValue } from '../domain/json.ts';
import type { Matcher } from './config.ts';
import { claimAt } from './id-template.ts';

const fits = (value: JsonValue, matcher: Matcher): boolean => {
  if (Array.isArray(matcher)) return matcher.some((one) => one === value);
  if (typeof matcher === 'object') return typeof value === 'string' && value.startsWith(matcher.prefix);
  return value === matcher;
};

export const claimsMatch = (claims: JsonObject, matchers: Readonly<Record<string, Matcher>>): boolean =>
  Object.entries(matchers).every(([path, matcher]) => {
    const value = claimAt(claims, path);
    if (value === undefined) return false;
    return Array.isArray(value) ? (value as readonly JsonValue[]).some((item) => fits(item, matcher)) : fits(value, matcher);
  });
