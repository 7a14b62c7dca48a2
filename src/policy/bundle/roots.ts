/** A manifest's roots: which paths under `data` the bundle owns. */
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { BundleRefused, quoted } from './bundle-refused.ts';

const segmentsOf = (root: string): readonly string[] => root.split('/').filter((segment) => segment !== '');

const isPrefix = (short: readonly string[], long: readonly string[]): boolean => short.every((segment, index) => long[index] === segment);

/** Has one of the two roots the other one in it? */
const overlap = (one: string, other: string): boolean => isPrefix(segmentsOf(one), segmentsOf(other)) || isPrefix(segmentsOf(other), segmentsOf(one));

/** The longer one of two roots that overlap, if any do. */
export const rootsOverlap = (some: readonly string[], others: readonly string[]): string | undefined =>
  some.flatMap((one) => others.filter((other) => overlap(one, other)).map((other) => (other.length > one.length ? other : one)))[0];

/** Lies the path under one of the roots? */
export const underRoots = (roots: readonly string[], path: string): boolean => roots.some((root) => isPrefix(segmentsOf(root), segmentsOf(path)));

/** Is everything in `value`, which lies at `path`, under one of the roots? */
const covered = (value: JsonValue | undefined, path: readonly string[], roots: readonly (readonly string[])[]): boolean => {
  if (roots.some((root) => isPrefix(root, path))) return true;
  if (!isJsonObject(value) || !roots.some((root) => isPrefix(path, root))) return false;
  return Object.entries(value).every(([name, inner]) => covered(inner, [...path, name], roots));
};

/** Throws when roots overlap or the data, as messages call it, lies outside of them. */
export const checkRoots = (roots: readonly string[], data: JsonObject, what = 'data.json'): void => {
  const split = roots.map(segmentsOf);
  for (const [index, one] of split.entries()) {
    const other = split.findIndex((candidate, at) => at !== index && isPrefix(one, candidate));
    if (other !== -1) throw new BundleRefused('roots.conflict', `roots ${quoted(roots[index] ?? '')} and ${quoted(roots[other] ?? '')} overlap`);
  }
  if (!covered(data, [], split)) throw new BundleRefused('roots.conflict', `${what} has members outside the roots of the manifest`);
};
