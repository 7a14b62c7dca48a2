/**
 * Checks of JSON from outside, put together from small ones: each answers with everything that is wrong and where, by JSON pointer.
 * What passes has the checked shape, so that its reader may rely on it. Unknown members are faults, with the name that was probably meant.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts';
import { nearestName } from '../nearest-name.ts';
import type { Fault } from './change.ts';

export type Check = (value: JsonValue | undefined, path: string) => readonly Fault[];

const fault = (path: string, message: string): readonly Fault[] => [{ path, message }];

export const pointerStep = (name: string): string => name.slice(0, 64).replaceAll('~', '~0').replaceAll('/', '~1');

/** A string that `judge` has nothing against. */
export const text = (judge: (value: string) => string | undefined): Check => (value, path) => {
  if (typeof value !== 'string') return fault(path, 'must be a string');
  const message = judge(value);
  return message === undefined ? [] : fault(path, message);
};

export const oneOf = (values: readonly string[]): Check => (value, path) =>
  values.includes(value as string) ? [] : fault(path, `must be one of ${values.join(', ')}`);

export const whole = (least: number, most: number): Check => (value, path) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most ? [] : fault(path, `must be a whole number from ${least} to ${most}`);

export const flag: Check = (value, path) => (typeof value === 'boolean' ? [] : fault(path, 'must be true or false'));

export const anyObject: Check = (value, path) => (isJsonObject(value) ? [] : fault(path, 'must be an object'));

export const list = (item: Check, least: number, most: number): Check => (value, path) => {
  if (!Array.isArray(value)) return fault(path, 'must be a list');
  const items = value as readonly JsonValue[];
  if (items.length < least) return fault(path, least === 1 ? 'must not be empty' : `must have at least ${least} items`);
  if (items.length > most) return fault(path, `may have at most ${most} items`);
  return items.flatMap((member, index) => item(member, `${path}/${index}`));
};

/** Members by any name that `name` has nothing against. */
export const record = (name: (value: string) => string | undefined, item: Check, most: number): Check => (value, path) => {
  if (!isJsonObject(value)) return fault(path, 'must be an object');
  const names = Object.keys(value);
  if (names.length > most) return fault(path, `may have at most ${most} members`);
  return names.flatMap((key) => {
    const at = `${path}/${pointerStep(key)}`;
    const wrong = name(key);
    return wrong === undefined ? item(value[key], at) : fault(at, `as a name ${wrong}`);
  });
};

export interface Members {
  readonly required?: Readonly<Record<string, Check>>;
  readonly optional?: Readonly<Record<string, Check>>;
  /** What no single member can know; asked once the members are right. */
  readonly whole?: (value: JsonObject, path: string) => readonly Fault[];
}

export const object = ({ required = {}, optional = {}, whole: together }: Members): Check => {
  const known = [...Object.keys(required), ...Object.keys(optional)];
  return (value, path) => {
    if (!isJsonObject(value)) return fault(path, 'must be an object');
    const has = (name: string): boolean => Object.hasOwn(value, name) && value[name] !== undefined;
    const faults = [
      ...Object.keys(value).filter((name) => !known.includes(name)).flatMap((name) => {
        const meant = nearestName(name, known);
        return fault(`${path}/${pointerStep(name)}`, `is not known here${meant === undefined ? '' : `; did you mean ${meant}?`}`);
      }),
      ...Object.entries(required).flatMap(([name, check]) => (has(name) ? check(value[name], `${path}/${name}`) : fault(`${path}/${name}`, 'is missing'))),
      ...Object.entries(optional).flatMap(([name, check]) => (has(name) ? check(value[name], `${path}/${name}`) : [])),
    ];
    return faults.length > 0 || together === undefined ? faults : together(value, path);
  };
};
