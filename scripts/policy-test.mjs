/** Tests policies/curfew in OPA's own tester: strict check, format, every test, every line covered. */
import { join } from 'node:path';
import { findOpa, root, runOpa } from './opa.mjs';

const folder = join(root, 'policies', 'curfew');
const opa = findOpa();
runOpa(opa, ['check', '--strict', '.'], folder);
const unformatted = runOpa(opa, ['fmt', '--list', '.'], folder).trim();
if (unformatted !== '') throw new Error(`not formatted (run opa fmt -w):\n${unformatted}`);
console.log(runOpa(opa, ['test', '--verbose', '.'], folder).trim().split('\n').filter((line) => /: (?:PASS|FAIL|ERROR|SKIPPED)|^(?:PASS|FAIL|ERROR): /.test(line)).join('\n'));
const { coverage, files } = JSON.parse(runOpa(opa, ['test', '--coverage', '.'], folder));
const missed = Object.entries(files).flatMap(([file, { not_covered: lines = [] }]) => lines.map(({ start }) => `${file}:${start.row}`));
console.log(`coverage: ${coverage} %`);
if (missed.length > 0) throw new Error(`not covered: ${missed.join(', ')}`);
