/** A manifest's roots: which paths under `data` the bundle owns. */
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { BundleRefused, quoted } from './bundle-refused.ts';

const segmentsOf = (root: string): readonly string[] => root.split('/').filter((segment) => segment !== '');

const isPrefix = (short: readonly string[], long: readonly string[]): boolean => short.every((segment, index) => long[index] === segment);

/** Is everything in `value`, which lies at `path`, under one of the roots? */
const covered = (value: JsonValue | undefined, path: readonly string[], roots: readonly (readonly string[])[]): boolean => {
  if (roots.some((root) => isPrefix(root, path))) return true;
  if (!isJsonObject(value) || !roots.some((root) => isPrefix(path, root))) return false;
  return Object.entries(value).every(([name, inner]) => covered(inner, [...path, name], roots));
};

/** Throws when roots overlap or the data lies outside of them. */
export const checkRoots = (roots: readonly string[], data: JsonObject): void => {
  const split = roots.map(segmentsOf);
  for (const [index, one] of split.entries()) {
    const other = split.findIndex((candidate, at) => at !== index && isPrefix(one, candidate));
    if (other !== -1) throw new BundleRefused('roots.conflict', `roots ${quoted(roots[index] ?? '')} and ${quoted(roots[other] ?? '')} overlap`);
  }
  if (!covered(data, [], split)) throw new BundleRefused('roots.conflict', 'data.json has members outside the roots of the manifest');
};
