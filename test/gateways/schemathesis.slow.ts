/**
 * What Schemathesis finds when it asks a real node everything that docs/reference/decisions-openapi.json describes, and much that it forbids: no 5xx, no
 * answer whose status, media type or body the document does not describe. And with no grant anywhere, whatever was asked: not one allow.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { repositoryRoot } from '../parts.ts';
import { startCurfew, temporaryDirectory, type Curfew } from '../runtime/curfew.ts';
import { RUN_MS_MAX, schemathesis, shown } from '../support/schemathesis.ts';

const TOKEN = 'schemathesis-0123456789';
const CONFIG = `
peps: [{ id: app, token: { env: APP_TOKEN }, asserts: ["*"], hosts: ["*"] }]
kubernetes: { enabled: true, opinions: [{ users: ["*"] }] }
decisionLog: { to: file, path: decisions.jsonl }
opa: { paths: [{ path: curfew/access/decision, question: authzen }] }
`;

let curfew: Curfew;
let folder: string;
const directory = temporaryDirectory();
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'curfew-schemathesis-'));
  writeFileSync(join(directory.path, 'curfew.yaml'), CONFIG);
  curfew = await startCurfew({ directory: directory.path, args: ['--config', 'curfew.yaml'], env: { APP_TOKEN: TOKEN } });
});
afterAll(async () => {
  await curfew?.stop();
  directory.remove();
  rmSync(folder, { recursive: true, force: true });
});

test('decisions over HTTP are answered as their document says, whatever is asked, and nothing is allowed that nobody granted', async () => {
  const document = join(repositoryRoot, 'docs/reference/decisions-openapi.json');
  const { code, output } = await schemathesis({ folder, document, url: `http://127.0.0.1:${curfew.ports.http}`, token: TOKEN, refusesNegative: false });
  process.stdout.write(`${shown(output)}\n`);
  expect(code).toBe(0);
  const [, tested] = /Tested: (\d+)/.exec(output) ?? [];
  expect(Number(tested)).toBeGreaterThanOrEqual(20);
  const records = readFileSync(join(directory.path, 'decisions.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line)).filter(({ result }) => result !== undefined);
  expect(records.length).toBeGreaterThan(500);
  expect(records.filter(({ result }) => result.allow !== false)).toEqual([]);
}, RUN_MS_MAX);
