/** Objects, graphs and ranges of numbers. */
import type { RegoObject, RegoSet, RegoValue } from '../rego/value.ts';
import { notServed } from '../rego/not-served.ts';
import { bigInteger, collection, fail, isArray, isObject, isSet, object, string } from './operands.ts';
import { equalRego, member, regoText } from '../rego/order.ts';
import type { Builtins } from './builtin.ts';

const ITEMS_MAX = 1_000_000;

const contains = (items: Iterable<RegoValue>, wanted: RegoValue): boolean => {
  for (const item of items) if (equalRego(item, wanted)) return true;
  return false;
};

/** Does `sub` stand in `whole` in one piece? */
const arraySubset = (whole: readonly RegoValue[], sub: readonly RegoValue[]): boolean => {
  if (sub.length > whole.length) return false;
  // OPA's search goes on behind a mismatch without looking back further than one.
  let at = 0;
  let matched = 0;
  for (;;) {
    if (matched === sub.length) return true;
    if (at + matched === whole.length) return false;
    if (equalRego(whole[at + matched] as RegoValue, sub[matched] as RegoValue)) matched += 1;
    else [at, matched] = [at + 1, 0];
  }
};

const setSubset = (whole: RegoSet, sub: RegoSet): boolean => [...sub].every((item) => contains(whole, item));

const objectSubset = (whole: RegoObject, sub: RegoObject): boolean =>
  [...sub].every(([key, wanted]) => {
    const found = member(whole, key);
    if (found === undefined) return false;
    if (equalRego(found, wanted)) return true;
    if (isObject(found) && isObject(wanted)) return objectSubset(found, wanted);
    if (isSet(found) && isSet(wanted)) return setSubset(found, wanted);
    return isArray(found) && isArray(wanted) && arraySubset(found, wanted);
  });

const subset = (whole: RegoValue | undefined, sub: RegoValue | undefined): boolean => {
  if (isObject(whole) && isObject(sub)) return objectSubset(whole, sub);
  if (isSet(whole) && isSet(sub)) return setSubset(whole, sub);
  if (isArray(whole) && isArray(sub)) return arraySubset(whole, sub);
  if (!isArray(whole) || !isSet(sub)) return fail('operands must be of the same kind');
  // Counts members of the array, repeated ones too, and an empty array has none to stop at.
  let missing = sub.size;
  for (const item of whole) {
    if (contains(sub, item)) missing -= 1;
    if (missing === 0) return true;
  }
  return false;
};

const PATHS_MAX = 10_000;

/** Every path from the roots along the edges, without going in circles. */
const reachablePaths = (graph: RegoObject, roots: readonly RegoValue[]): RegoSet => {
  const paths = new Map<string, readonly RegoValue[]>();
  const add = (path: readonly RegoValue[]): void => {
    paths.set(regoText(path), path);
    if (paths.size > PATHS_MAX) notServed(`more than ${PATHS_MAX} paths`);
  };
  const neighbours = (node: RegoValue): readonly RegoValue[] | undefined => {
    const edges = member(graph, node);
    if (edges === undefined) return undefined;
    return isArray(edges) || isSet(edges) ? [...edges] : [];
  };
  const walk = (node: RegoValue, before: readonly RegoValue[], reached: readonly RegoValue[]): void => {
    const next = neighbours(node);
    if (next === undefined) {
      add(before);
      return;
    }
    const path = [...before, node];
    if (next.length === 0) add(path);
    const seen = [...reached, node];
    for (const neighbour of next) {
      if (contains(seen, neighbour)) add(path);
      else walk(neighbour, path, seen);
    }
  };
  for (const root of roots) {
    const next = neighbours(root);
    if (next === undefined) continue;
    if (next.length === 0) add([root]);
    for (const neighbour of next) walk(neighbour, [root], [root]);
  }
  return new Set(paths.values());
};

const rangeStep = (from: bigint, to: bigint, step: bigint): readonly bigint[] => {
  if (step <= 0n) return fail('the step must be positive');
  const span = from <= to ? to - from : from - to;
  if (span / step >= BigInt(ITEMS_MAX)) return notServed(`ranges of more than ${ITEMS_MAX} numbers`);
  const direction = from <= to ? step : -step;
  return Array.from({ length: Number(span / step) + 1 }, (_, index) => from + direction * BigInt(index));
};

export const collectionBuiltins: Builtins = {
  'object.subset': ([whole, sub]) => subset(whole, sub),
  'graph.reachable_paths': ([graph, roots]) => reachablePaths(object(graph), collection(roots)),
  'numbers.range_step': ([from, to, step]) => rangeStep(bigInteger(from), bigInteger(to), bigInteger(step)),
  'glob.quote_meta': ([pattern]) => string(pattern).replace(/[*?\\[\]{}]/g, '\\$&'),
};
