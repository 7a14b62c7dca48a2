/**
 * Runs every v1 case of the pinned OPA's own conformance suite through the engine that decides: compiled by the toolchain,
 * evaluated with the builtins that decisions have. Prints `passed N of M` and every other case with its reason, and writes
 * docs/reference/conformance.md. A defined value that OPA does not have is a bug: exit code 1. `npm run conformance [filter]`.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BundleRefused } from '../dist/policy/bundle/bundle-refused.js';
import { resolveBuiltins } from '../dist/policy/load-policy.js';
import { createInstance } from '../dist/policy/engine/instance.js';
import { parseResults } from '../dist/policy/engine/engine.js';
import { numberFault } from '../dist/policy/engine/number-fault.js';
import { valueFault } from '../dist/policy/engine/input-fault.js';
import { compareRego, equalRego, sortedUnique } from '../dist/policy/rego/order.js';
import { readRegoValue, writeRegoValue } from '../dist/policy/rego/value.js';
import { SourcesRefused } from '../dist/policy/toolchain/fault.js';
import { startOpaBuiltins } from '../dist/policy/toolchain/opa-builtins.js';
import { openToolchain } from '../dist/policy/toolchain/open-toolchain.js';
import { OPA_VERSION } from './opa.mjs';
import { buildToolchain } from './toolchain.mjs';

const root = dirname(import.meta.dirname);
const MEMORY_BYTES_MAX = 64 * 1024 * 1024;
const NOW = 1_700_000_000_000;

const passed = { kind: 'passed' };
const exception = (reason, detail = '') => ({ kind: 'exception', reason, detail });
const wrong = (detail) => ({ kind: 'wrong', reason: 'another value than OPA', detail });

/** Files of cases by path, from Go's module cache. */
const caseFiles = () => {
  const opa = execFileSync('go', ['list', '-m', '-f', '{{.Dir}}', 'github.com/open-policy-agent/opa'], { cwd: join(root, 'toolchain'), encoding: 'utf8' }).trim();
  const folder = join(opa, 'v1', 'test', 'cases', 'testdata', 'v1');
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && /\.ya?ml$/.test(entry.name)).map((entry) => join(entry.parentPath, entry.name)).toSorted();
};

/** Numbers keep their digits: every case is a Rego object. */
const readCases = async (toolchain, file) => (readRegoValue(await toolchain.yaml(readFileSync(file, 'utf8'))).get('cases') ?? []).map((one) => ({ file, get: (name) => one.get(name) }));

const isGenerated = (name) => name.startsWith('__local') || name.startsWith('$');

/** A set of bindings, compared as OPA's own runner does. */
const bindings = (rows, sort) => sortedUnique(rows.map((row) => new Map([...row].filter(([name]) => !isGenerated(name)).map(([name, value]) => [name, sort && Array.isArray(value) ? value.toSorted(compareRego) : value]))));

/** What the engine makes of it: `{ error, unserved }`, or `{ rows }`. */
const evaluate = async (wasm, dataText, inputText) => {
  try {
    const module = await WebAssembly.compile(wasm);
    const instance = createInstance({ module, dataText, memoryBytesMax: MEMORY_BYTES_MAX, resolveBuiltins: (needed) => resolveBuiltins(needed, opa) });
    const text = instance.evaluate(instance.entrypoints.get('eval') ?? 0, inputText, NOW);
    const results = parseResults(text);
    const fault = numberFault(text) ?? valueFault(results, 256);
    return fault === undefined ? { rows: readRegoValue(JSON.stringify(results)) } : { error: `the result ${fault}` };
  } catch (error) {
    if (error instanceof BundleRefused) return { unserved: error.message.replace('bundle refused: needs ', '') };
    return { error: error.message };
  }
};

const judge = async (toolchain, one) => {
  const wants = { result: one.get('want_result'), defined: one.get('want_defined'), error: one.get('want_error_code') ?? one.get('want_error'), strict: one.get('strict_error') === true };
  let wasm;
  try {
    wasm = await toolchain.compileQuery(one.get('query'), one.get('modules') ?? [], one.get('experimental_keywords') === true);
  } catch (error) {
    if (!(error instanceof SourcesRefused)) throw error;
    return wants.result !== undefined || wants.defined !== undefined ? exception('does not compile to WebAssembly', error.faults[0].message) : passed;
  }
  // Rego as people write it, with commas at the end and the like; inputs of decisions are JSON.
  const term = one.get('input_term');
  const written = term === undefined ? undefined : (await toolchain.builtin('array.concat', [`[${term}]`, '[]'])).slice(1, -1);
  const inputText = written ?? (one.get('input') === undefined ? undefined : writeRegoValue(one.get('input')));
  const { rows, error, unserved } = await evaluate(wasm, one.get('data') === undefined ? '{}' : writeRegoValue(one.get('data')), inputText ?? '');
  if (unserved !== undefined) return exception('a builtin that is not served', unserved);
  if (wants.result === undefined && wants.defined === undefined) {
    if (error !== undefined) return passed;
    if (rows.length > 0) return wrong(`${writeRegoValue(rows)} where OPA has the error ${wants.error}`);
    return wants.strict ? passed : exception('undefined where OPA has an error', wants.error);
  }
  if (error !== undefined) return exception('the evaluation ends as failed', error);
  if (wants.defined !== undefined) {
    if (rows.length > 0 === wants.defined) return passed;
    return wants.defined ? exception('undefined where OPA has a value') : wrong(`${writeRegoValue(rows)} where OPA is undefined`);
  }
  const sort = one.get('sort_bindings') === true;
  const [have, want] = [bindings(rows, sort), bindings(wants.result, sort)];
  if (equalRego(have, want)) return passed;
  return have.length === 0 ? exception('undefined where OPA has a value', writeRegoValue(want)) : wrong(`${writeRegoValue(have)}, not ${writeRegoValue(want)}`);
};

const line = (text) => text.replaceAll(/\s+/g, ' ').slice(0, 160);
const cell = (text) => line(text).replaceAll('\\', '\\\\').replaceAll('|', '\\|').replaceAll('`', "'");

const document = (count, total, found) => {
  const groups = Map.groupBy?.(found, ({ reason }) => reason) ?? found.reduce((map, one) => map.set(one.reason, [...(map.get(one.reason) ?? []), one]), new Map());
  const sections = [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([reason, list]) => `## ${reason[0].toUpperCase()}${reason.slice(1)} (${list.length})\n\n| case | detail |\n| --- | --- |\n${list.map(({ note, detail }) => `| \`${cell(note)}\` | ${cell(detail)} |\n`).join('')}`);
  return `<!-- Made by npm run conformance; not to be edited. -->\n# Conformance\n\nThe v1 cases of OPA ${OPA_VERSION}'s own suite, compiled by OPA's compiler to WebAssembly and evaluated by the engine that\ndecides, with its builtins and, for what it has none, with OPA's own implementation (\`opaBuiltins\`). The running service does so too\nwhere the toolchain is there, and refuses such a bundle by name where it is not. No case has another defined\nvalue than OPA; two are undefined where OPA has a value, which a policy that says \`not\` can turn around.\n\n**passed ${count} of ${total}** (${((100 * count) / total).toFixed(1)} %)\n\n${sections.join('\n')}`;
};

buildToolchain();
const filter = process.argv[2];
const toolchain = await openToolchain();
// Conformance is about answers, not about the time that a decision has.
const opa = await startOpaBuiltins({ waitMsMax: 10_000 });
let [count, total] = [0, 0];
const found = [];
for (const file of caseFiles()) {
  for (const one of await readCases(toolchain, file)) {
    const note = `${basename(dirname(file))}: ${one.get('note')}`;
    if (filter !== undefined && !note.includes(filter)) continue;
    total += 1;
    const outcome = await judge(toolchain, one);
    if (outcome.kind === 'passed') count += 1;
    else {
      found.push({ ...outcome, note });
      console.log(`${outcome.kind}: ${note}: ${outcome.reason}: ${line(outcome.detail)}`);
    }
  }
}
await toolchain.close();
const bugs = found.filter(({ kind }) => kind === 'wrong').length;
console.log(`passed ${count} of ${total}${bugs === 0 ? '' : `, ${bugs} with another value than OPA`}`);
if (filter === undefined && bugs === 0) writeFileSync(join(root, 'docs', 'reference', 'conformance.md'), document(count, total, found));
process.exitCode = bugs === 0 ? 0 : 1;
