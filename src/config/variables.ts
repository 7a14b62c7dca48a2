/**
 * Environment variables and flags as an overlay. `http.port` is `CURFEW_HTTP_PORT`, `limits.decisionDeadlineMs` is
 * `CURFEW_LIMITS_DECISION_DEADLINE_MS`; a value is YAML where the setting is not plain text. An unknown `CURFEW_*` is an error:
 * a mistyped limit must not be silently without effect.
 */
import { parse } from 'yaml';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import type { ConfigFault } from './fault.ts';
import { nearest } from './nearest.ts';
import { leafIsText, leavesOf, type Leaf, type SchemaNode } from './schema-tree.ts';

export const variableName = (path: readonly string[]): string =>
  `CURFEW_${path.map((part) => part.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').replaceAll('-', '_').toUpperCase()).join('_')}`;

export interface Overlay {
  readonly value: JsonObject;
  /** By path text: which variable or flag it came from. */
  readonly sources: ReadonlyMap<string, string>;
  readonly faults: readonly ConfigFault[];
}

/** Read by the command line or by tests, not settings. */
const RESERVED = /^CURFEW_(?:CONFIG|SERVER|TOKEN|REALM|TEST_.*)$/;
/** What Kubernetes and Docker put into a container beside a service named curfew: by its name alone, or by name and value. */
const SERVICE_LINK = /^CURFEW(?:_[A-Z0-9_]+)?_(?:SERVICE_(?:HOST|PORT(?:_.+)?)|PORT_\d+_(?:TCP|UDP)(?:_(?:PROTO|PORT|ADDR))?)$/;
const LINKED_PORT = /^CURFEW(?:_[A-Z0-9_]+)?_PORT$/;
const LINKED_ADDRESS = /^(?:tcp|udp|sctp):\/\//;

const setAt = (target: Record<string, JsonValue>, path: readonly string[], value: JsonValue): void => {
  const [name, ...rest] = path as [string, ...string[]];
  if (rest.length === 0) {
    target[name] = value;
    return;
  }
  const child = (target[name] ??= {}) as Record<string, JsonValue>;
  setAt(child, rest, value);
};

const parseValue = (leaf: Leaf, text: string): JsonValue => (leafIsText(leaf) ? text : (parse(text, { maxAliasCount: 0 }) as JsonValue));

const overlay = (entries: readonly (readonly [source: string, leaf: Leaf, text: string])[], faults: ConfigFault[]): Overlay => {
  const value: Record<string, JsonValue> = {};
  const sources = new Map<string, string>();
  for (const [source, leaf, text] of entries) {
    sources.set(leaf.path.join('.'), source);
    try {
      setAt(value, leaf.path, parseValue(leaf, text));
    } catch {
      faults.push({ where: source, path: leaf.path.join('.'), message: 'is not a well-formed value' });
    }
  }
  return { value, sources, faults };
};

/** `alsoKnown`: variables that the configuration itself names, such as that of a token. */
export const fromEnvironment = (root: SchemaNode, env: Readonly<Record<string, string | undefined>>, alsoKnown: ReadonlySet<string>): Overlay => {
  const leaves = new Map(leavesOf(root).map((leaf) => [variableName(leaf.path), leaf]));
  const faults: ConfigFault[] = [];
  const entries: [string, Leaf, string][] = [];
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('CURFEW_') || text === undefined || text === '') continue;
    const leaf = leaves.get(name);
    if (leaf !== undefined) {
      if (!LINKED_ADDRESS.test(text)) entries.push([name, leaf, text]);
    } else if (!RESERVED.test(name) && !SERVICE_LINK.test(name) && !(LINKED_PORT.test(name) && LINKED_ADDRESS.test(text)) && !alsoKnown.has(name)) {
      const meant = nearest(name, leaves.keys());
      faults.push({ where: name, path: '', message: `is not a known variable${meant === undefined ? '' : `; did you mean ${meant}?`}` });
    }
  }
  return overlay(entries, faults);
};

/** `flags`: by setting path (`http.port`); `undefined` values are skipped. */
export const fromFlags = (root: SchemaNode, flags: Readonly<Record<string, string | undefined>>): Overlay => {
  const leaves = new Map(leavesOf(root).map((leaf) => [leaf.path.join('.'), leaf]));
  const faults: ConfigFault[] = [];
  const entries: [string, Leaf, string][] = [];
  for (const [path, text] of Object.entries(flags)) {
    if (text === undefined) continue;
    const leaf = leaves.get(path);
    if (leaf !== undefined) entries.push([`flag for ${path}`, leaf, text]);
    else {
      const meant = nearest(path, leaves.keys());
      faults.push({ where: 'flags', path, message: `is not a known setting${meant === undefined ? '' : `; did you mean ${meant}?`}` });
    }
  }
  return overlay(entries, faults);
};
