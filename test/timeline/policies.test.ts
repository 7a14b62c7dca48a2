/** What a story is told to: folders laid over one another, and what is wrong with them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { policiesOf } from '../../src/cli/policy/timeline-policies.ts';
import { SourcesRefused } from '../../src/policy/toolchain/fault.ts';
import type { Sources, Toolchain } from '../../src/policy/toolchain/toolchain.ts';
import { runTimeline } from '../../src/timeline/run-timeline.ts';
import { ASK, story } from './tell.ts';

let folder: string;
let compiled: Sources[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'curfew-layers-'));
  compiled = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Notes what it is given, and finds a fault in the second file. */
const compiler = (): Promise<Toolchain> =>
  Promise.resolve({
    compile: (sources: Sources) => {
      compiled.push(sources);
      return Promise.reject(new SourcesRefused([{ code: 'x', message: 'no good', file: 'own.rego', row: 3, col: 5 }]));
    },
  } as unknown as Toolchain);

const write = (name: string, text = 'package x\n'): void => {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), text);
};

const faultsOf = async (policy: string): Promise<string> => {
  const file = join(folder, 'stories/a.timeline.yaml');
  const policyOf = policiesOf(compiler, folder);
  const { faults } = await runTimeline({ name: file, text: story(`  - { ${ASK}, expect: allow }`, { head: policy }) }, (folders) => policyOf(file, folders));
  return faults.join('\n');
};

test('the default pack alone needs no compiler; a folder without Rego is told to it', async () => {
  expect(await faultsOf('')).toBe('');
  expect(await faultsOf('policy: [default]')).toBe('');
  expect(compiled).toEqual([]);
});

test('folders are relative to the story, tests stay out, and a fault has the file it is in', async () => {
  write('own/own.rego');
  write('own/own_test.rego');
  write('own/curfew/entitlements/mine/data.json', '{}');
  expect(await faultsOf('policy: [default, ../own]')).toBe(`${join(folder, 'stories/a.timeline.yaml')}:3: policy: ${join(folder, 'own/own.rego')}:3:5: no good`);
  expect(Object.keys(compiled[0] ?? {}).toSorted()).toEqual(['access.rego', 'admin.rego', 'curfew/entitlements/mine/data.json', 'data.json', 'lifecycle.rego', 'own.rego']);
});

test('two files of one name are refused by both names, a folder that is not there by its own', async () => {
  write('own/own.rego');
  write('own/data.json', '{}');
  expect(await faultsOf('policy: [default, ../own]')).toMatch(/:3: policy: .*own\/data\.json and .*policies\/curfew\/data\.json have one name/);
  expect(await faultsOf('policy: [../nowhere]')).toMatch(/:3: policy: .*nowhere is not a folder/);
  expect(compiled).toEqual([]);
});

test('without a list it is told to the folder under test, when that has Rego', async () => {
  write('own.rego');
  expect(await faultsOf('')).toContain(`${join(folder, 'own.rego')}:3:5: no good`);
});
