/**
 * One YAML file, environment variables and flags over it: flags > variables > file > defaults. Validated whole before anything
 * starts; every fault is listed at once, with the line, the variable or the flag it comes from.
 */
import { isMap, LineCounter, parseDocument, type Document } from 'yaml';
import type { z } from 'zod';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import { spanFaults } from './checks.ts';
import type { ConfigFault } from './fault.ts';
import { nearest } from './nearest.ts';
import { configSchema, type Config } from './schema.ts';
import { knownKeysAt, schemaTree, type SchemaNode } from './schema-tree.ts';
import { fromEnvironment, fromFlags, type Overlay } from './variables.ts';

export interface ConfigSources {
  readonly file?: { readonly name: string; readonly text: string };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** By setting path, such as `http.port`. */
  readonly flags: Readonly<Record<string, string | undefined>>;
  /** Below the file: what a mode presets. */
  readonly presets?: JsonObject;
}

/** `raw` gives the same configuration again when parsed by `configSchema`; it can be sent to another process. */
export type LoadedConfig =
  | { readonly ok: true; readonly config: Config; readonly raw: JsonObject }
  | { readonly ok: false; readonly faults: readonly ConfigFault[] };

const FILE_CHARS_MAX = 4 * 1_048_576;

const merge = (below: JsonObject, above: JsonObject): JsonObject => {
  const merged = new Map(Object.entries(below));
  for (const [name, value] of Object.entries(above)) {
    const under = merged.get(name);
    merged.set(name, isJsonObject(value) && isJsonObject(under) ? merge(under, value) : value);
  }
  return Object.fromEntries(merged);
};

interface ReadFile {
  readonly value: JsonObject;
  readonly faults: readonly ConfigFault[];
  readonly lineOf: (path: readonly PropertyKey[]) => number | undefined;
}

const lineFinder = (document: Document, lines: LineCounter): ReadFile['lineOf'] => (path) => {
  // A missing or unknown member is at its own key if it is written, else where its parent is.
  for (let length = path.length; length > 0; length -= 1) {
    const parent = document.getIn(path.slice(0, length - 1), true) ?? (length === 1 ? document.contents : undefined);
    const last = path[length - 1];
    const pair = isMap(parent) ? parent.items.find(({ key }) => String(key) === last) : undefined;
    const node = (pair?.key ?? document.getIn(path.slice(0, length), true)) as { range?: readonly [number, number, number] } | undefined;
    if (node?.range !== undefined) return lines.linePos(node.range[0]).line;
  }
  return undefined;
};

const readFile = ({ name, text }: NonNullable<ConfigSources['file']>): ReadFile => {
  const nothing = { value: {}, lineOf: () => undefined };
  if (text.length > FILE_CHARS_MAX) return { ...nothing, faults: [{ where: name, path: '', message: 'is too large' }] };
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true, prettyErrors: false });
  const faults = document.errors.map(({ message, pos }) => ({ where: `${name}:${lines.linePos(pos[0]).line}`, path: '', message }));
  if (faults.length > 0) return { ...nothing, faults };
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch {
    return { ...nothing, faults: [{ where: name, path: '', message: 'has too many aliases' }] };
  }
  if (!isJsonObject(value)) return { ...nothing, faults: [{ where: `${name}:1`, path: '', message: 'must be a mapping of settings' }] };
  return { value, faults, lineOf: lineFinder(document, lines) };
};

type Issue = z.core.$ZodIssue;

/** Of the variants of a union, the one that was most likely meant: whose fixed values fit, then with the fewest faults. */
const likeliest = (variants: readonly (readonly Issue[])[]): readonly Issue[] => {
  const distance = (issues: readonly Issue[]): number =>
    issues.reduce((sum, issue) => sum + (issue.code === 'invalid_value' ? 100 : issue.code === 'invalid_type' && issue.path.length === 0 ? 50 : 1), 0);
  return variants.toSorted((a, b) => distance(a) - distance(b))[0] ?? [];
};

const describe = (issue: Issue, root: SchemaNode, base: readonly PropertyKey[]): readonly { path: readonly PropertyKey[]; message: string }[] => {
  const path = [...base, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeysAt(root, path);
    return issue.keys.map((key) => {
      const meant = nearest(key, known);
      return { path: [...path, key], message: `unknown setting${meant === undefined ? '' : `; did you mean \`${meant}\`?`}` };
    });
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) return likeliest(issue.errors).flatMap((inner) => describe(inner, root, path));
  if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined')) return [{ path, message: 'is required' }];
  return [{ path, message: issue.message.replace(/^Invalid (?:input|option): /, '') }];
};

const variablesNamed = (value: JsonValue | undefined): readonly string[] => {
  if (Array.isArray(value)) return (value as readonly JsonValue[]).flatMap(variablesNamed);
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([name, member]) => (name === 'env' && typeof member === 'string' ? [member] : variablesNamed(member)));
};

export const loadConfig = (sources: ConfigSources): LoadedConfig => {
  const root = schemaTree(configSchema);
  const file = sources.file === undefined ? { value: {}, faults: [], lineOf: () => undefined } : readFile(sources.file);
  const env = fromEnvironment(root, sources.env, new Set(variablesNamed(file.value)));
  const flags = fromFlags(root, sources.flags);
  const raw = [file.value, env.value, flags.value].reduce(merge, sources.presets ?? {});
  const faults: ConfigFault[] = [...file.faults, ...env.faults, ...flags.faults];

  const where = (path: readonly PropertyKey[]): string => {
    for (let length = path.length; length > 0; length -= 1) {
      const text = path.slice(0, length).map(String).join('.');
      const from = (overlay: Overlay): string | undefined => overlay.sources.get(text);
      const source = from(flags) ?? from(env);
      if (source !== undefined) return source;
    }
    const line = file.lineOf(path);
    return sources.file === undefined ? '' : line === undefined ? sources.file.name : `${sources.file.name}:${line}`;
  };

  if (file.faults.length === 0) {
    const parsed = configSchema.safeParse(raw);
    if (parsed.success) {
      const spanning = spanFaults(parsed.data).map(({ path, message }) => ({
        where: where(path.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part))), path, message,
      }));
      if (faults.length + spanning.length === 0) return { ok: true, config: parsed.data, raw };
      faults.push(...spanning);
    } else {
      for (const issue of parsed.error.issues) {
        for (const { path, message } of describe(issue, root, [])) faults.push({ where: where(path), path: path.map(String).join('.'), message });
      }
    }
  }
  return { ok: false, faults };
};
