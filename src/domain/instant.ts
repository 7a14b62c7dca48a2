/**
 * Points and lengths of time. An `Instant` is whole milliseconds since the Unix epoch (UTC), a `DurationMs` a whole number
 * of milliseconds. Both are brands, so that one can't be passed where the other is meant.
 */
declare const instantBrand: unique symbol;
declare const durationBrand: unique symbol;
export type Instant = number & { readonly [instantBrand]: true };
export type DurationMs = number & { readonly [durationBrand]: true };

/** What is known of "now": it lies somewhere in `[earliest, latest]`. Ends are compared with `latest`, starts with `earliest`. */
export interface TimeInterval {
  readonly earliest: Instant;
  readonly latest: Instant;
}

/** The largest instant that RFC 3339 writes with four digits of year: 9999-12-31T23:59:59.999Z. */
export const INSTANT_MAX = 253_402_300_799_999 as Instant;

/** Is `value` a whole number of milliseconds between the epoch and the year 9999? NaN, Infinity and fractions are not. */
export const isInstant = (value: unknown): value is Instant =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= INSTANT_MAX;

/** Is `value` a whole, positive number of milliseconds, at most `max`? */
export const isDuration = (value: unknown, max: number): value is DurationMs =>
  typeof value === 'number' && Number.isSafeInteger(value) && value > 0 && value <= max;

/** `instant + duration`, kept within the year 9999. */
export const plus = (instant: Instant, durationMs: number): Instant => Math.min(instant + durationMs, INSTANT_MAX) as Instant;

/** Milliseconds from `from` to `to`, never below 0. */
export const remainingMs = (from: Instant, to: Instant): DurationMs => Math.max(0, to - from) as DurationMs;

/** RFC 3339 in UTC with milliseconds: `2026-11-21T10:00:00.000Z`. */
export const toRfc3339 = (instant: Instant): string => new Date(instant).toISOString();

const RFC3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;

/** Reads an RFC 3339 date-time, to the millisecond (rounded down). Anything else, 30 February included, is `undefined`. */
export const fromRfc3339 = (text: string): Instant | undefined => {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour] = match;
  const lastDay = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  if (Number(month) < 1 || Number(month) > 12 || Number(day) < 1 || Number(day) > lastDay || Number(hour) > 23) return undefined;
  const ms = Date.parse(text.toUpperCase());
  return isInstant(ms) ? ms : undefined;
};
