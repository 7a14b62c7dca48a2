/** The data files of a bundle, and of several bundles, as one document. Numbers keep their digits. */
import type { JsonObject } from '../../domain/json.ts';
import { BundleRefused, quoted } from '../bundle/bundle-refused.ts';
import { isDataFile } from '../bundle/entry-name.ts';
import { BUNDLE_LIMITS } from '../bundle/limits.ts';
import { parseJsonObject } from '../bundle/parse-json.ts';
import { checkRoots } from '../bundle/roots.ts';
import { readRegoValue, writeRegoValue, type RegoObject, type RegoValue } from '../rego/value.ts';
import type { SourceBundle } from './bundle-source.ts';

/** YAML as OPA reads it, as JSON text. */
export type ReadYaml = (text: string) => Promise<string>;

type Members = Map<RegoValue, RegoValue>;

const isMembers = (value: RegoValue | undefined): value is RegoObject => value instanceof Map;

/** Adds `more` to `into`, which is changed; `at` is its path. */
const add = (into: Members, more: RegoObject, at: readonly string[], from: string): void => {
  for (const [name, value] of more) {
    const path = [...at, typeof name === 'string' ? name : JSON.stringify(name)];
    const there = into.get(name);
    if (there === undefined) into.set(name, isMembers(value) ? new Map(value) : value);
    else if (isMembers(there) && isMembers(value)) add(there as Members, value, path, from);
    else throw new BundleRefused('data.malformed', `${from} has ${quoted(path.join('/'))}, which another data file has too`);
  }
};

const decode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

const readOne = async ({ name: bundle, files }: SourceBundle, name: string, yaml: ReadYaml): Promise<RegoObject> => {
  const file = `${bundle}: ${name}`;
  const bytes = files.get(name) as Uint8Array;
  const text = name.endsWith('.json') ? bytes : Buffer.from(await yaml(decode(bytes)));
  const read = readRegoValue(parseJsonObject(text, 'data.malformed', file, BUNDLE_LIMITS).text) as RegoObject;
  const folders = name.split('/').slice(0, -1);
  return folders.reduceRight<RegoObject>((inner, folder) => new Map([[folder, inner]]), read);
};

/** Rejects with `BundleRefused` for data that is malformed, there twice, or outside of its bundle's roots. */
export const mergeData = async (bundles: readonly SourceBundle[], yaml: ReadYaml): Promise<string> => {
  const merged: Members = new Map();
  for (const bundle of bundles) {
    const own: Members = new Map();
    for (const name of bundle.files.keys()) if (isDataFile(name)) add(own, await readOne(bundle, name, yaml), [], `${bundle.name}: ${name}`);
    checkRoots(bundle.manifest.roots, JSON.parse(writeRegoValue(own)) as JsonObject, `bundle ${quoted(bundle.name)}`);
    add(merged, own, [], bundle.name);
  }
  return writeRegoValue(merged);
};
