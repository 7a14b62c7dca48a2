/**
 * Rules that a trace does not have: OPA's index leaves out those whose comparisons with the input can't hold, before it tries
 * them. They are found in the source by their name at the beginning of a line, as `curfew policy fmt` writes rules.
 */
import type { Sources } from '../../policy/toolchain/toolchain.ts';
import type { PlacedRule } from './explain.ts';

interface Head {
  readonly file: string;
  readonly row: number;
  readonly line: string;
}

const PACKAGE = /^package\s+([A-Za-z_][\w.]*)/m;
const HEAD = /^(?!package\b|import\b|default\b)([A-Za-z_]\w*)(?=[\s.[(])/;

/** By full name, without `data.`. */
const headsOf = (sources: Sources): ReadonlyMap<string, readonly Head[]> => {
  const heads = new Map<string, Head[]>();
  for (const [file, text] of Object.entries(sources)) {
    const path = PACKAGE.exec(text)?.[1];
    if (!file.endsWith('.rego') || file.endsWith('_test.rego') || path === undefined) continue;
    for (const [index, line] of text.split('\n').entries()) {
      const name = HEAD.exec(line)?.[1];
      if (name === undefined) continue;
      const full = `${path}.${name}`;
      heads.set(full, [...(heads.get(full) ?? []), { file, row: index + 1, line: line.trim() }]);
    }
  }
  return heads;
};

const placesOf = (rules: readonly PlacedRule[]): readonly string[] => rules.flatMap(({ file, row, children }) => [`${file}:${row}`, ...placesOf(children)]);

/** The tree with the rules that were left out, beside the first of their name that was tried. */
export const withSkipped = (sources: Sources, rules: readonly PlacedRule[]): readonly PlacedRule[] => {
  const heads = headsOf(sources);
  const tried = new Set(placesOf(rules));
  const told = new Set<string>();
  const walk = (siblings: readonly PlacedRule[]): readonly PlacedRule[] => {
    const skipped = siblings.flatMap(({ rule }): readonly PlacedRule[] => {
      if (told.has(rule)) return [];
      told.add(rule);
      return (heads.get(rule) ?? [])
        .filter(({ file, row }) => !tried.has(`${file}:${row}`))
        .map((head) => ({ ...head, rule, held: 0, failed: [], children: [], skipped: true }));
    });
    return [...siblings.map((one) => ({ ...one, children: walk(one.children) })), ...skipped];
  };
  return walk(rules);
};
