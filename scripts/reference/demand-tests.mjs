/** Which tests name which demand: `demand(7)` in the name of a test or of a suite. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const LITERAL = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\\n]|\\.)*`/g;

const testFiles = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? testFiles(path) : entry.name.endsWith('.test.ts') ? [path] : [];
  });

/** The name without the demands in front of it, and with what a table of tests fills in left open. */
const plain = (literal) =>
  literal.slice(1, -1).replaceAll(/\\(.)/g, '$1').replaceAll(/,? ?demand\(\d+\)/g, '').replaceAll(/\$\{[^}]*\}|%[soidfj]|\$[a-z]+/g, '...').replace(/^[,:\s]+/, '').trim();

/** `{demand, file, name}` of every mention, by file and place in it; `root` is the repository's. */
export const demandTests = (root) =>
  testFiles(join(root, 'test')).toSorted().flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(LITERAL)].flatMap(([literal]) => {
      // A test of this generator holds tests as text.
      if (/\btest\(/.test(literal)) return [];
      const numbers = new Set([...literal.matchAll(/demand\((\d+)\)/g)].map(([, number]) => Number(number)));
      return [...numbers].map((demand) => ({ demand, file: path.slice(root.length).replace(/^\//, ''), name: plain(literal) }));
    }));

/** Of the threat model (A to G) and the invariants (I). */
const MARK = /\b(?:[A-G]\d{1,2}|I\d{1,2})\b/g;
const NAMED = /\b(?:test|describe\w*|onBothStores)\b[^'"`]*$/;

/** `{mark, file}` of every threat and invariant that the name of a test or of a suite begins with, after its demands. */
export const markTests = (root) =>
  testFiles(join(root, 'test')).toSorted().flatMap((path) => {
    const text = readFileSync(path, 'utf8');
    const file = path.slice(root.length).replace(/^\//, '');
    const marks = new Set([...text.matchAll(LITERAL)].flatMap(({ 0: literal, index }) => {
      const line = text.slice(text.lastIndexOf('\n', index) + 1, index);
      const [head = ''] = /^(?:[A-I]\d{1,2}(?:,? and |[, ]+)?)+(?=:)/.exec(plain(literal)) ?? [];
      return NAMED.test(line) || /^\s*\[$/.test(line) ? [...head.matchAll(MARK)].map(([mark]) => mark) : [];
    }));
    return [...marks].map((mark) => ({ mark, file }));
  });
