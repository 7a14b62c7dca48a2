/** What people type on the command line, read strictly: durations, scopes, instants. Every fault says what was expected. */
import { InvalidArgumentError } from 'commander';
import { fromRfc3339, toRfc3339 } from '../domain/instant.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `5m`, `1h`, `1h30m`, or whole milliseconds. */
export const durationMs = (text: string): number => {
  const parts = [...text.matchAll(/(\d{1,15})(ms|s|m|h|d)/g)];
  const total = /^\d{1,15}$/.test(text) ? Number(text) : parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS[unit ?? ''] ?? Number.NaN), 0);
  const whole = /^\d{1,15}$/.test(text) || (parts.length > 0 && parts.map(([part]) => part).join('') === text);
  if (whole && Number.isSafeInteger(total) && total > 0) return total;
  throw new InvalidArgumentError('expected a duration such as 60s, 5m, 1h or whole milliseconds');
};

/** Seconds when it is a bare number, as the lifetimes of tokens usually are. */
export const secondsAsMs = (text: string): number => durationMs(/^\d+$/.test(text) ? `${text}s` : text);

/** An RFC 3339 date-time, brought to UTC with milliseconds. */
export const instantText = (text: string): string => {
  const instant = fromRfc3339(text);
  if (instant !== undefined) return toRfc3339(instant);
  throw new InvalidArgumentError('expected an RFC 3339 date-time such as 2026-11-21T10:00:00Z');
};

export const wholeNumber = (text: string): number => {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number');
};

export interface ScopeText {
  readonly actions: readonly string[];
  readonly resource: { readonly type: string; readonly id: string };
}

/** `type:id`, such as `http:shop.local/orders/**`. */
export const resource = (text: string): ScopeText['resource'] => {
  const colon = text.indexOf(':');
  if (colon > 0 && colon < text.length - 1) return { type: text.slice(0, colon), id: text.slice(colon + 1) };
  throw new InvalidArgumentError('expected a resource such as http:shop.local/orders/**');
};

/** `GET,POST http:shop.local/orders/**`; repeated for several scopes. */
export const scope = (text: string, before: readonly ScopeText[] = []): readonly ScopeText[] => {
  const [actions = '', id = '', ...more] = text.trim().split(/\s+/);
  if (id === '' || more.length > 0) throw new InvalidArgumentError('expected actions and a resource such as "GET,POST http:shop.local/orders/**"');
  return [...before, { actions: actions.split(','), resource: resource(id) }];
};

/** `name=value`, repeated; names from a closed list. */
export const pairs = (names: readonly string[]) => (text: string, before: Readonly<Record<string, readonly string[]>> = {}): Readonly<Record<string, readonly string[]>> => {
  const equals = text.indexOf('=');
  const name = text.slice(0, Math.max(0, equals));
  if (!names.includes(name) || equals === text.length - 1) throw new InvalidArgumentError(`expected ${names.map((known) => `${known}=...`).join(' or ')}`);
  return { ...before, [name]: [...(before[name] ?? []), text.slice(equals + 1)] };
};

/** `name=value`, repeated; any name. */
export const parameter = (text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> => {
  const equals = text.indexOf('=');
  if (equals < 1 || equals === text.length - 1) throw new InvalidArgumentError('expected name=value');
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) };
};

/** One more of a repeated option. */
export const words = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];
