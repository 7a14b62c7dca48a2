/** Results of tests for people and for programs (JSON). */
import { join } from 'node:path';
import type { Difference } from '../../policy/toolchain/compare-engines.ts';
import type { Coverage, PolicyTest } from '../../policy/toolchain/toolchain.ts';
import { plain } from '../print.ts';
import type { ToldTimeline } from './timelines.ts';

export interface TestRun {
  readonly folder: string;
  readonly tests: readonly PolicyTest[];
  readonly differences: readonly Difference[];
  readonly coverage?: Coverage;
  readonly timelines: readonly ToldTimeline[];
}

interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Each Rego test and each timeline is one. */
export const countOf = ({ tests, differences, timelines }: TestRun): Count => {
  const differing = new Set(differences.map(({ test }) => test));
  const told = timelines.filter(({ faults, failures }) => faults.length + failures.length === 0).length;
  const passed = told + tests.filter((test) => test.outcome === 'passed' && !differing.has(test)).length;
  const skipped = tests.filter(({ outcome }) => outcome === 'skipped').length;
  return { passed, skipped, failed: tests.length + timelines.length - passed - skipped };
};

export const nameOf = ({ package: name, name: rule }: PolicyTest): { readonly package: string; readonly full: string } => {
  const short = name.replace(/^data\./, '');
  return { package: short, full: `${short}.${rule}` };
};

/** Why a test did not pass, line by line. */
export const whyOf = (test: PolicyTest, differences: readonly Difference[]): readonly string[] => [
  ...(test.outcome === 'failed' ? [(test.failed ?? []).length > 0 ? `failed for ${(test.failed ?? []).join(', ')}` : 'failed'] : []),
  ...(test.outcome === 'error' ? [test.message ?? 'error'] : []),
  ...differences.filter((difference) => difference.test === test).map(({ text }) => text),
];

/** Each with its place. */
export const whyOfTimeline = ({ file, faults, failures, steps, stepsRun }: ToldTimeline): readonly string[] => [
  ...faults,
  ...failures.map(({ line, at, expected, actual }) => `${file}:${line}: ${at}: expected ${expected}; got ${actual}`),
  ...(failures.length > 0 && stepsRun < steps ? [`${file}: ${steps - stepsRun} of ${steps} steps were not run`] : []),
];

/** `file:row` of every line that no test reached. */
export const notCovered = (coverage: Coverage): readonly string[] =>
  Object.entries(coverage.files).flatMap(([file, { not_covered: ranges = [] }]) => ranges.map(({ start }) => `${file}:${start.row}`));

const indented = (text: string): string => text.trimEnd().split('\n').map((line) => `    ${plain(line)}\n`).join('');

const linesOf = (run: TestRun): string => {
  const { folder, tests, differences, timelines, coverage } = run;
  const lines = tests.flatMap((test) => {
    const why = whyOf(test, differences);
    if (why.length === 0) return [];
    const head = `${plain(join(folder, test.file))}:${test.row}:${test.col}: ${plain(nameOf(test).full)}: ${why.map(plain).join('; ')}\n`;
    return [head, ...(test.output === undefined || test.output === '' ? [] : [indented(test.output)]), ...(test.trace === undefined || test.trace === '' ? [] : [indented(test.trace)])];
  });
  const told = timelines.flatMap(whyOfTimeline).flatMap((text) => text.split('\n')).map((line) => `${plain(line)}\n`);
  const covered = coverage === undefined ? '' : `coverage: ${coverage.coverage} %\n${notCovered(coverage).map((place) => `  not covered: ${plain(join(folder, place))}\n`).join('')}`;
  return `${lines.join('')}${told.join('')}${covered}`;
};

const summed = (runs: readonly TestRun[]): Count =>
  runs.map(countOf).reduce((sum, one) => ({ passed: sum.passed + one.passed, failed: sum.failed + one.failed, skipped: sum.skipped + one.skipped }), { passed: 0, failed: 0, skipped: 0 });

export const testText = (runs: readonly TestRun[]): string => {
  const { passed, failed, skipped } = summed(runs);
  return `${runs.map(linesOf).join('')}${passed} passed, ${failed} failed, ${skipped} skipped\n`;
};

const asObject = (run: TestRun): object => {
  const { tests, differences, coverage, timelines } = run;
  return {
    ...countOf(run),
    tests: tests.map((test) => ({ ...test, differences: differences.filter((difference) => difference.test === test).map(({ text }) => text) })),
    timelines: timelines.map((told) => ({ ...told, outcome: told.faults.length > 0 ? 'error' : told.failures.length > 0 ? 'failed' : 'passed' })),
    ...(coverage === undefined ? {} : { coverage }),
  };
};

/** Of several folders: the sums, and each under `folders`. */
export const testJson = (runs: readonly TestRun[]): string => {
  const [only] = runs;
  const value = runs.length === 1 && only !== undefined ? asObject(only) : { ...summed(runs), folders: runs.map((run) => ({ folder: run.folder, ...asObject(run) })) };
  return `${JSON.stringify(value, null, 2)}\n`;
};
