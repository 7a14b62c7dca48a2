/** What timelines write as one word: offsets from the start, lengths of time, scopes, resources. */
import { z } from 'zod';

/** A year and a day: no story is longer. */
export const SPAN_MS_MAX = 366 * 86_400_000;

const UNITS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
const WHOLE = /^(?:\d{1,15}(?:\.\d{1,3})?(?:d|h|ms|m|s))+$/;
const PART = /(\d{1,15}(?:\.\d{1,3})?)(d|h|ms|m|s)/g;

/** `10m`, `1h30m`, `599.999s`, `1ms`; whole milliseconds, at most `SPAN_MS_MAX`. */
export const readSpan = (text: string): number | undefined => {
  if (!WHOLE.test(text)) return undefined;
  // Thousandths of a millisecond, so that `599.999s` is exact.
  const total = [...text.matchAll(PART)].reduce((sum, [, count, unit]) => sum + Math.round(Number(count) * 1_000) * (UNITS[unit ?? ''] ?? Number.NaN), 0) / 1_000;
  return Number.isSafeInteger(total) && total <= SPAN_MS_MAX ? total : undefined;
};

const reading = <T>(read: (text: string) => T | undefined, expected: string) =>
  z.string().max(2_048).transform((text, context): T => {
    const value = read(text);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: `must be ${expected}` });
    return z.NEVER;
  });

/** Milliseconds after the start of the story. */
export const offset = reading((text) => (text.startsWith('+') ? readSpan(text.slice(1)) : undefined), 'an offset from the start such as +0s, +90s, +1h30m or +599.999s, at most +366d');

export const span = reading((text) => {
  const ms = readSpan(text);
  return ms === undefined || ms === 0 ? undefined : ms;
}, 'a length of time such as 500ms, 30s, 10m or 1h30m');

export interface ResourceText {
  readonly type: string;
  readonly id: string;
}

const readResource = (text: string): ResourceText | undefined => {
  const colon = text.indexOf(':');
  return colon > 0 && colon < text.length - 1 && !/\s/.test(text) ? { type: text.slice(0, colon), id: text.slice(colon + 1) } : undefined;
};

export const resource = reading(readResource, 'a resource such as http:shop.local/orders/1');

export const scope = reading((text) => {
  const [actions = '', id = '', ...more] = text.trim().split(/\s+/);
  const found = more.length > 0 ? undefined : readResource(id);
  return found === undefined ? undefined : { actions: actions.split(','), resource: found };
}, 'actions and a resource such as "GET,POST http:shop.local/orders/**"');

const NEXT: readonly (readonly [string, number])[] = [['d', 86_400_000], ['h', 3_600_000], ['m', 60_000]];

/** `+10m`, `+1h30m`, `+599.999s`: how offsets are shown. */
export const shownOffset = (ms: number): string => {
  if (ms < 0) return `-${shownOffset(-ms).slice(1)}`;
  let rest = ms;
  let text = '';
  for (const [unit, size] of NEXT) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return `+${text}${rest > 0 || text === '' ? `${rest / 1_000}s` : ''}`;
};
