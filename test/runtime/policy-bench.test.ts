/** `curfew policy bench` through the real program. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import { createRecordEncoder } from '../../src/audit/encode-record.ts';
import { sampleRecord } from '../audit/sample-record.ts';
import { describeWith, repositoryRoot } from '../parts.ts';
import { runCurfew, temporaryDirectory, type Ended } from './curfew.ts';

const BUNDLE = join(repositoryRoot, 'bundles/curfew.tar.gz');
const GRANT = { id: 'g1', model: 'jit', tier: 'standard' };
const INPUT = { curfew: { now_ms: 1_764_000_000_000, action: 'GET', resource: { type: 'http', id: 'shop.local/1' }, grants: [GRANT], tasks: [] } };

const directory = temporaryDirectory();
const at = (name: string): string => join(directory.path, name);
const bench = (...args: readonly string[]): Promise<Ended> => runCurfew(['policy', 'bench', ...args, '--count', '50'], { directory: directory.path });
beforeAll(() => {
  const encode = createRecordEncoder({ redactHeaders: [], recordBytesMax: 65_536 });
  const record = { ...sampleRecord('r1', INPUT), policy: { revision: 'r', digest: 'd', result: { allow: true, grant: 'g1' } } };
  writeFileSync(at('input.json'), JSON.stringify(INPUT));
  writeFileSync(at('record.json'), encode(record));
  writeFileSync(at('log'), `${encode(record).toString()}\n${encode(sampleRecord('r2')).toString()}\n`);
});
afterAll(() => directory.remove());

test('times documents, records and the decisions of a log in the engine that decides, with the answers', async () => {
  const { code, stdout } = await bench(BUNDLE, '--input', 'input.json', 'record.json', '--log', 'log');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^curfew-\w+, curfew\/access\/decision, 50 evaluations each\ncalibration loop: [\d.]+ ms before, [\d.]+ ms after/);
  const rows = stdout.trim().split('\n').slice(4);
  expect(rows.map((row) => row.split(/\s+/)[0])).toEqual(['input.json', 'record.json', 'r1']);
  for (const row of rows) expect(row).toMatch(/\s+\d+\s+[\d.]+\s+[\d.]+\s+[\d.]+\s+\{"allow":true,"grant":"g1"\}$/);
  const json = JSON.parse((await bench(BUNDLE, '-i', 'input.json', '--json')).stdout) as unknown;
  expect(json).toMatchObject({ calibration: { beforeMs: expect.any(Number) }, inputs: [{ input: 'input.json', evaluations: 50, p50Us: expect.any(Number), p99Us: expect.any(Number), outcome: 'value' }] });
});

test.each([
  ['no input', [BUNDLE], 1, 'no input'],
  ['an input that is not JSON', [BUNDLE, '-i', 'log'], 1, 'log is not JSON'],
  ['a bundle that is not there', ['nowhere', '-i', 'input.json'], 2, 'nowhere is not there'],
  ['a log that is not there', [BUNDLE, '--log', 'nowhere'], 1, 'nowhere can not be read'],
] as const)('%s', async (_, args, code, message) => {
  expect(await bench(...args)).toMatchObject({ code, stderr: expect.stringContaining(message) });
});

describeWith(['go'], 'from sources', () => {
  beforeAll(() => void buildToolchain(), 600_000);
  test('what never ends is told instead of measured', async () => {
    writeFileSync(at('endless.rego'), 'package curfew.access\n\ndecision := {"allow": false} if {\n\tn := numbers.range(1, 4000)\n\tsome a in n\n\tsome b in n\n\tsome c in n\n\ta > b\n\tb > c\n\tc > a\n}\n');
    expect(await bench('.', '-i', 'input.json')).toMatchObject({ code: 2, stderr: expect.stringContaining('takes longer than') });
  });
});
