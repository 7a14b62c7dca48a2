/**
 * Is a token in time? Ends are compared with the latest possible now, beginnings with the earliest, all in allow form: a
 * missing or odd number is never in time. Leeway makes a token begin later and end earlier, never the reverse.
 */
import type { Identity } from '../decision/evaluation.ts';
import type { Instant, TimeInterval } from '../domain/instant.ts';
import { isInstant } from '../domain/instant.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import type { Reason } from '../domain/reasons.ts';

/** `expiresAt` and `beginsAt` have the leeway taken in; `issuedAt` is what the token says. */
export interface TokenTimes {
  readonly issuedAt?: Instant;
  /** The later of `nbf` and `iat`. */
  readonly beginsAt: Instant;
  readonly expiresAt: Instant;
  /** `exp` less the longest life a token may have: neither its issue nor any use may lie before. */
  readonly boundedFrom: number;
}

/** Whole seconds since the epoch as an instant. Strings, fractions and numbers beyond the year 9999 are none. */
export const numericDate = (value: JsonValue | undefined): Instant | undefined => {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) return undefined;
  const instant = value * 1000;
  return isInstant(instant) ? instant : undefined;
};

/** The times of verified claims, or `undefined` when `exp` is missing or any of them is not a whole number of seconds. */
export const tokenTimes = (claims: JsonObject, maxAgeMs: number, leewayMs: number): TokenTimes | undefined => {
  const read = (name: string) => (Object.hasOwn(claims, name) ? numericDate(claims[name]) : undefined);
  const [issuedAt, notBefore, expiresAt] = [read('iat'), read('nbf'), read('exp')];
  if (expiresAt === undefined || expiresAt < leewayMs) return undefined;
  if (issuedAt === undefined && Object.hasOwn(claims, 'iat')) return undefined;
  if (notBefore === undefined && Object.hasOwn(claims, 'nbf')) return undefined;
  return {
    ...(issuedAt === undefined ? {} : { issuedAt }),
    beginsAt: (Math.max(issuedAt ?? 0, notBefore ?? 0) + leewayMs) as Instant,
    expiresAt: (expiresAt - leewayMs) as Instant,
    boundedFrom: expiresAt - maxAgeMs,
  };
};

/** What `tokenTimes` said of a token, from what its identity keeps anyway. Without an end it is never in time. */
export const keptTimes = ({ issuedAt, notBefore, expiresAt = Number.NaN as Instant }: Identity['credential'], maxAgeMs: number, leewayMs: number): TokenTimes => {
  const times = { beginsAt: notBefore ?? (0 as Instant), expiresAt, boundedFrom: expiresAt + leewayMs - maxAgeMs };
  return issuedAt === undefined ? times : { issuedAt, ...times };
};

/** `undefined` when the token is in time at `now`; otherwise why not. */
export const timeFault = (times: TokenTimes, now: TimeInterval): Reason | undefined => {
  if (!(now.earliest >= times.beginsAt)) return 'credential.not_yet';
  if (!(now.latest < times.expiresAt)) return 'credential.expired';
  const bounded = now.earliest >= times.boundedFrom && (times.issuedAt === undefined || times.issuedAt >= times.boundedFrom);
  return bounded ? undefined : 'credential.too_old';
};
