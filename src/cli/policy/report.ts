/** Results of Rego tests for people, for programs (JSON) and for CI (JUnit). */
import { join } from 'node:path';
import type { Difference } from '../../policy/toolchain/compare-engines.ts';
import type { Coverage, PolicyTest } from '../../policy/toolchain/toolchain.ts';
import { plain } from '../print.ts';

export interface TestRun {
  readonly tests: readonly PolicyTest[];
  readonly differences: readonly Difference[];
  readonly coverage?: Coverage;
}

export const countOf = ({ tests, differences }: TestRun): { readonly passed: number; readonly failed: number; readonly skipped: number } => {
  const differing = new Set(differences.map(({ test }) => test));
  const passed = tests.filter((test) => test.outcome === 'passed' && !differing.has(test)).length;
  const skipped = tests.filter(({ outcome }) => outcome === 'skipped').length;
  return { passed, skipped, failed: tests.length - passed - skipped };
};

const nameOf = ({ package: name, name: rule }: PolicyTest): string => `${name.replace(/^data\./, '')}.${rule}`;

/** Why a test did not pass, line by line. */
const whyOf = (test: PolicyTest, differences: readonly Difference[]): readonly string[] => [
  ...(test.outcome === 'failed' ? [(test.failed ?? []).length > 0 ? `failed for ${(test.failed ?? []).join(', ')}` : 'failed'] : []),
  ...(test.outcome === 'error' ? [test.message ?? 'error'] : []),
  ...differences.filter((difference) => difference.test === test).map(({ text }) => text),
];

/** `file:row` of every line that no test reached. */
export const notCovered = (coverage: Coverage): readonly string[] =>
  Object.entries(coverage.files).flatMap(([file, { not_covered: ranges = [] }]) => ranges.map(({ start }) => `${file}:${start.row}`));

const indented = (text: string): string => text.trimEnd().split('\n').map((line) => `    ${plain(line)}\n`).join('');

export const testText = (run: TestRun, folder: string): string => {
  const { passed, failed, skipped } = countOf(run);
  const lines = run.tests.flatMap((test) => {
    const why = whyOf(test, run.differences);
    if (why.length === 0) return [];
    const head = `${plain(join(folder, test.file))}:${test.row}:${test.col}: ${plain(nameOf(test))}: ${why.map(plain).join('; ')}\n`;
    return [head, ...(test.output === undefined || test.output === '' ? [] : [indented(test.output)]), ...(test.trace === undefined || test.trace === '' ? [] : [indented(test.trace)])];
  });
  const coverage = run.coverage === undefined ? '' : `coverage: ${run.coverage.coverage} %\n${notCovered(run.coverage).map((place) => `  not covered: ${plain(join(folder, place))}\n`).join('')}`;
  return `${lines.join('')}${coverage}${passed} passed, ${failed} failed, ${skipped} skipped\n`;
};

export const testJson = (run: TestRun): string => {
  const tests = run.tests.map((test) => ({ ...test, differences: run.differences.filter((difference) => difference.test === test).map(({ text }) => text) }));
  return `${JSON.stringify({ ...countOf(run), tests, ...(run.coverage === undefined ? {} : { coverage: run.coverage }) }, null, 2)}\n`;
};

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\n': '&#10;' };
const xml = (text: string): string =>
  // eslint-disable-next-line no-control-regex
  text.replaceAll(/[\u0000-\u0008\u000b-\u001f\ufffe\uffff]/g, '\ufffd').replaceAll(/[&<>"\n]/g, (char) => ENTITIES[char] ?? char);

export const testJunit = (run: TestRun): string => {
  const { failed, skipped } = countOf(run);
  const cases = run.tests.map((test) => {
    const why = whyOf(test, run.differences);
    const inner = test.outcome === 'skipped' ? '<skipped/>' : why.length === 0 ? '' : `<failure message="${xml(why.join('; '))}">${xml(test.output ?? '')}</failure>`;
    return `    <testcase classname="${xml(test.package.replace(/^data\./, ''))}" name="${xml(test.name)}" file="${xml(test.file)}" line="${test.row}" time="${(test.durationMs / 1000).toFixed(6)}">${inner}</testcase>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n  <testsuite name="curfew policy test" tests="${run.tests.length}" failures="${failed}" skipped="${skipped}">\n${cases.join('')}  </testsuite>\n</testsuites>\n`;
};
