/**
 * Takes secrets out of what is written down. A value is a secret when its member, header or query parameter has a name that
 * carries secrets; it becomes `sha256:` and 16 hex characters, so that equal secrets stay recognisable. What the names don't
 * tell (a password in a free text) is not found.
 */
import { hash } from 'node:crypto';
import type { JsonObject, JsonValue } from '../domain/json.ts';

export const SECRET_HEADERS: readonly string[] = [
  'authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'dpop', 'x-api-key', 'x-curfew-pep-token', 'x-amz-security-token',
  'x-auth-token', 'x-csrf-token', 'x-forwarded-access-token', 'x-gitlab-token', 'x-vault-token',
];
const SECRET_PARAMETERS: readonly string[] = [
  'access_token', 'api_key', 'apikey', 'client_assertion', 'client_secret', 'code', 'id_token', 'password', 'refresh_token', 'sig', 'token',
];
const IN_QUERY = new RegExp(`([?&;](?:${SECRET_PARAMETERS.join('|')})=)([^&;#\\s"]+)`, 'gi');
const DEPTH_MAX = 64;
/** Stands for what is nested deeper than is written down. */
export const TOO_DEEP = 'left out: too deep';
const REMEMBERED_MAX = 1_000;

export const secretHash = (secret: string): string => `sha256:${hash('sha256', secret, 'hex').slice(0, 16)}`;

export interface Secrets {
  /** Does a member, header or parameter of this name carry a secret? */
  isSecret(name: string): boolean;
  /** What stands in the place of a secret. */
  mask(value: JsonValue): JsonValue;
  /** A text with the secret parameters of a query in it masked. */
  maskedText(text: string): string;
}

/** `extra`: header names, any case. */
export const createSecrets = (extra: readonly string[] = []): Secrets => {
  const secretNames = new Set([...SECRET_HEADERS, ...SECRET_PARAMETERS, ...extra.map((name) => name.toLowerCase())]);
  const lowered = new Map<string, boolean>();
  const hashes = new Map<string, string>();

  // Names and secrets repeat from record to record; both memories are small and start anew when full.
  const isSecret = (name: string): boolean => {
    let known = lowered.get(name);
    if (known === undefined) {
      known = secretNames.has(name.toLowerCase());
      if (lowered.size >= REMEMBERED_MAX) lowered.clear();
      if (name.length <= 128) lowered.set(name, known);
    }
    return known;
  };
  const hashOf = (secret: string): string => {
    let hash = hashes.get(secret);
    if (hash === undefined) {
      hash = secretHash(secret);
      if (hashes.size >= REMEMBERED_MAX) hashes.clear();
      if (secret.length <= 16_384) hashes.set(secret, hash);
    }
    return hash;
  };
  return {
    isSecret,
    mask: (value) => (typeof value === 'string' ? hashOf(value) : value === null ? null : hashOf(JSON.stringify(value))),
    maskedText: (text) => (text.includes('=') ? text.replace(IN_QUERY, (_, name: string, secret: string) => name + hashOf(secret)) : text),
  };
};

/** As `createRedactor`, of a value that stands `depth` levels down; adds to `masked` where something was replaced: JSON Pointers (RFC 6901), in the order of the members. */
export const createMaskingRedactor = ({ isSecret, mask, maskedText }: Secrets): ((value: JsonObject, masked: string[], depth?: number) => JsonObject) => {
  /** Of each replaced place the names on the way to it, the last one first. */
  let places: string[][] = [];

  /** Names the step to what was replaced since there were `before` places; a value that was itself replaced is a new place. */
  const note = (name: string, before: number): void => {
    if (places.length === before) places.push([name]);
    else for (let index = before; index < places.length; index += 1) (places[index] as string[]).push(name);
  };
  const walk = (value: JsonValue, depth: number): JsonValue => {
    if (typeof value === 'string') return maskedText(value);
    if (typeof value !== 'object' || value === null) return value;
    if (depth > DEPTH_MAX) return TOO_DEEP;
    return Array.isArray(value) ? walkArray(value as readonly JsonValue[], depth) : walkObject(value as JsonObject, depth);
  };
  const walkArray = (items: readonly JsonValue[], depth: number): JsonValue => {
    let copy: JsonValue[] | undefined;
    for (let index = 0; index < items.length; index += 1) {
      const item = items[index] as JsonValue;
      const before = places.length;
      const next = walk(item, depth + 1);
      if (next === item) continue;
      note(String(index), before);
      (copy ??= [...items])[index] = next;
    }
    return copy ?? items;
  };
  const walkObject = (value: JsonObject, depth: number): JsonObject => {
    // Envoy's header_map: `{key, value | rawValue}`.
    const pairIsSecret = typeof value['key'] === 'string' && isSecret(value['key']);
    let copy: Record<string, JsonValue | undefined> | undefined;
    for (const name in value) {
      const member = value[name];
      if (member === undefined) continue;
      const before = places.length;
      const next = isSecret(name) || (pairIsSecret && name !== 'key') ? mask(member) : walk(member, depth + 1);
      if (next === member) continue;
      note(name, before);
      copy ??= { ...value };
      // An assignment to `__proto__` would not set a member.
      if (name === '__proto__') Object.defineProperty(copy, name, { value: next, enumerable: true, configurable: true, writable: true });
      else copy[name] = next;
    }
    return copy ?? value;
  };

  return (value, masked, depth = 0) => {
    places = [];
    const clean = walkObject(value, depth);
    for (const place of places) masked.push(`/${place.toReversed().map(pointerPart).join('/')}`);
    return clean;
  };
};

/** A function that copies what it changes and keeps the rest as it is. `extra`: header names, any case. */
export const createRedactor = (extra: readonly string[] = []): ((value: JsonObject) => JsonObject) => {
  const redact = createMaskingRedactor(createSecrets(extra));
  return (value) => redact(value, []);
};

/** As it stands in a JSON Pointer (RFC 6901). */
const pointerPart = (name: string): string =>
  name.includes('~') || name.includes('/') ? name.replaceAll('~', '~0').replaceAll('/', '~1') : name;

/** JSON Pointers of what a redactor replaced. It copies what it changes and keeps the rest, so only copies are looked at. */
export const replacedIn = (original: JsonValue | undefined, clean: JsonValue | undefined, at = ''): readonly string[] => {
  if (original === clean) return [];
  if (typeof original !== 'object' || original === null || typeof clean !== 'object' || clean === null) return [at];
  const [before, after] = [original as JsonObject, clean as JsonObject];
  const changed = Object.keys(after).filter((name) => before[name] !== after[name]);
  return changed.flatMap((name) => replacedIn(before[name], after[name], `${at}/${pointerPart(name)}`));
};

const isMask = (value: JsonValue): value is string => typeof value === 'string' && /^sha256:[0-9a-f]{16}$/.test(value);

/** Is a value from a log, in which secrets were replaced, what this value would have become there, whatever names were secret? */
export const sameUnderMasks = (logged: JsonValue | undefined, value: JsonValue | undefined): boolean => {
  if (logged === value) return true;
  if (logged === undefined || value === undefined) return false;
  if (isMask(logged)) return logged === secretHash(typeof value === 'string' ? value : JSON.stringify(value));
  if (typeof logged !== 'object' || logged === null || typeof value !== 'object' || value === null || Array.isArray(logged) !== Array.isArray(value)) return false;
  const [a, b] = [logged as JsonObject, value as JsonObject];
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && sameUnderMasks(a[name], b[name]));
};
