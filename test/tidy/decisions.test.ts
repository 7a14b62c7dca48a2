/** The records of decisions in `docs/adr`: numbered without gaps and once each, headed by their number, all in the index. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../parts.ts';

const folder = join(repositoryRoot, 'docs/adr');
const files = readdirSync(folder).filter((name) => name !== 'README.md').toSorted();

test('every decision has a number of its own, in its name, its heading and the index', () => {
  const numbers = files.map((_, index) => String(index + 1).padStart(4, '0'));
  expect(files.map((name) => name.slice(0, 4))).toEqual(numbers);
  expect(files.map((name) => /^# (\d{4}) \S/.exec(readFileSync(join(folder, name), 'utf8'))?.[1])).toEqual(numbers);
  const index = readFileSync(join(folder, 'README.md'), 'utf8');
  expect([...index.matchAll(/^\| \[(\d{4})\]\((\S+)\) \|/gm)].map(([, number, name]) => [number, name])).toEqual(files.map((name) => [name.slice(0, 4), name]));
});
