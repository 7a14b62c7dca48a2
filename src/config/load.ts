/**
 * One YAML file, environment variables and flags over it: flags > variables > file > defaults. Validated whole before anything
 * starts; every fault is listed at once, with the line, the variable or the flag it comes from.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import { spanFaults } from './checks.ts';
import type { ConfigFault } from './fault.ts';
import { configSchema, type Config } from './schema.ts';
import { schemaFaults } from './schema-faults.ts';
import { schemaTree } from './schema-tree.ts';
import { fromEnvironment, fromFlags, type Overlay } from './variables.ts';
import { readYaml } from './yaml-file.ts';

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

const merge = (below: JsonObject, above: JsonObject): JsonObject => {
  const merged = new Map(Object.entries(below));
  for (const [name, value] of Object.entries(above)) {
    const under = merged.get(name);
    merged.set(name, isJsonObject(value) && isJsonObject(under) ? merge(under, value) : value);
  }
  return Object.fromEntries(merged);
};

const variablesNamed = (value: JsonValue | undefined): readonly string[] => {
  if (Array.isArray(value)) return (value as readonly JsonValue[]).flatMap(variablesNamed);
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([name, member]) => (name === 'env' && typeof member === 'string' ? [member] : variablesNamed(member)));
};

export const loadConfig = (sources: ConfigSources): LoadedConfig => {
  const root = schemaTree(configSchema);
  const file = sources.file === undefined ? { value: {}, faults: [], lineOf: () => undefined } : readYaml(sources.file);
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
      for (const { path, message } of schemaFaults(parsed.error, root)) faults.push({ where: where(path), path: path.map(String).join('.'), message });
    }
  }
  return { ok: false, faults };
};
