/** Results of tests as JUnit's XML, which CI systems read. */
import { countOf, nameOf, whyOf, whyOfTimeline, type TestRun } from './report.ts';

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\n': '&#10;' };
const xml = (text: string): string =>
  // eslint-disable-next-line no-control-regex
  text.replaceAll(/[\u0000-\u0008\u000b-\u001f\ufffe\uffff]/g, '\ufffd').replaceAll(/[&<>"\n]/g, (char) => ENTITIES[char] ?? char);

const failure = (why: readonly string[], output = ''): string => (why.length === 0 ? '' : `<failure message="${xml(why.join('; '))}">${xml(output)}</failure>`);

const regoCases = ({ tests, differences }: TestRun): readonly string[] =>
  tests.map((test) => {
    const inner = test.outcome === 'skipped' ? '<skipped/>' : failure(whyOf(test, differences), test.output);
    return `    <testcase classname="${xml(nameOf(test).package)}" name="${xml(test.name)}" file="${xml(test.file)}" line="${test.row}" time="${(test.durationMs / 1000).toFixed(6)}">${inner}</testcase>\n`;
  });

/** Without a time: what they take is not what they tell of, and two runs are alike. */
const timelineCases = ({ timelines }: TestRun): readonly string[] =>
  timelines.map((told) => `    <testcase classname="timelines" name="${xml(told.title)}" file="${xml(told.file)}" line="${told.failures[0]?.line ?? 1}">${failure(whyOfTimeline(told))}</testcase>\n`);

export const testJunit = (runs: readonly TestRun[]): string => {
  const suites = runs.map((run) => {
    const { failed, skipped } = countOf(run);
    const name = runs.length === 1 ? 'curfew policy test' : run.folder;
    return `  <testsuite name="${xml(name)}" tests="${run.tests.length + run.timelines.length}" failures="${failed}" skipped="${skipped}">\n${[...regoCases(run), ...timelineCases(run)].join('')}  </testsuite>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join('')}</testsuites>\n`;
};
