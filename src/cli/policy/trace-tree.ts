/**
 * OPA's trace of an evaluation, as a tree of rules: which was tried, whether it held, and where it stopped holding. The trace
 * is text, a line an event: place, depth as bars, what happened, expression, bindings.
 */
export interface TracedRule {
  /** As it is called in Rego, without `data.` and its arguments. */
  readonly rule: string;
  readonly file: string;
  /** Where it begins, from 1. */
  readonly row: number;
  /** How often it held: values of a set, or 1. */
  readonly held: number;
  /** Rows at which it stopped holding for something, in the order they were met. */
  readonly failedAt: readonly number[];
  readonly children: readonly TracedRule[];
}

interface Growing {
  readonly rule: string;
  readonly file: string;
  readonly row: number;
  held: number;
  readonly failedAt: number[];
  readonly children: Growing[];
}

interface Event {
  readonly file: string;
  readonly row: number;
  readonly depth: number;
  readonly what: string;
  readonly text: string;
}

const LINE = /^(\S.*?):(\d+)\s+((?:\| )*)([A-Z][a-z]+) ?(.*)$/;
/** Bindings stand in a column of their own. */
const BINDINGS = / {2,}\{.*\}\s*$/;

const read = (trace: string): readonly Event[] =>
  trace.split('\n').flatMap((line) => {
    const [, file, row, bars = '', what, text = ''] = LINE.exec(line) ?? [];
    if (file === undefined || what === undefined) return [];
    return [{ file, row: Number(row), depth: bars.length / 2, what, text: text.replace(BINDINGS, '').trimEnd() }];
  });

/** A query (the body of a comprehension, of `every` or of a `not`) is entered by its own text; a rule by its name. */
const isQuery = (entered: Event, next: Event | undefined): boolean =>
  !entered.text.startsWith('data.') || entered.text.includes(' = ') || (next?.depth === entered.depth + 1 && next.what === 'Eval' && entered.text.startsWith(next.text));

const nameOf = (text: string): string => text.replace(/^data\./, '');

/** What one place under a parent did in all its evaluations there. */
const merged = (rules: readonly Growing[]): readonly TracedRule[] => {
  const known = new Map<string, Growing>();
  for (const rule of rules) {
    const key = `${rule.file}:${rule.row} ${rule.rule}`;
    const before = known.get(key);
    if (before === undefined) {
      known.set(key, { ...rule, failedAt: [...rule.failedAt], children: [...rule.children] });
      continue;
    }
    before.held += rule.held;
    before.failedAt.push(...rule.failedAt);
    before.children.push(...rule.children);
  }
  return [...known.values()].map((rule) => ({ ...rule, failedAt: [...new Set(rule.failedAt)], children: merged(rule.children) }));
};

/** The rules that the query asked for, and below each those that it asked for in turn. */
export const traceTree = (trace: string): readonly TracedRule[] => {
  const events = read(trace);
  const roots: Growing[] = [];
  /** By depth: the rule in whose body events one deeper are; `undefined` for a query, whose rules are its parent's. */
  const at: { readonly own: Growing | undefined; readonly holder: Growing | undefined }[] = [];
  for (const [index, event] of events.entries()) {
    const { depth, what, text, file, row } = event;
    const parent = at[depth - 1];
    if (what === 'Enter') {
      at.length = depth;
      if (isQuery(event, events[index + 1])) {
        at[depth] = { own: undefined, holder: parent?.holder };
        continue;
      }
      const rule: Growing = { rule: nameOf(text), file, row, held: 0, failedAt: [], children: [] };
      (parent?.holder?.children ?? roots).push(rule);
      at[depth] = { own: rule, holder: rule };
    } else if (what === 'Exit' && parent?.own !== undefined) parent.own.held += 1;
    else if (what === 'Fail') parent?.own?.failedAt.push(row);
  }
  return merged(roots);
};
