/** `curfew policy explain` of decisions of the real program: by id, from its log, and of a live question; secrets in none of them. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import { describeWith, repositoryRoot } from '../parts.ts';
import { until } from '../support/until.ts';
import { runCurfew, startCurfew, temporaryDirectory, type Curfew, type Ended } from './curfew.ts';

const WORKLOAD = 'spiffe://dev.local/agent/helper';
const CANARY = 'canary-9c1f07';
const LOG = '.curfew/decisions.jsonl';

const directory = temporaryDirectory();
const policy = join(directory.path, 'policy');
let curfew: Curfew | undefined;
const explain = (...args: readonly string[]): Promise<Ended> =>
  runCurfew(['policy', 'explain', policy, ...args], { directory: directory.path, env: { CURFEW_SERVER: `http://127.0.0.1:${curfew?.ports.admin}` } });

describeWith(['go'], 'curfew policy explain', () => {
  let token: string;
  let denied: string;
  let ended: string;
  beforeAll(async () => {
    buildToolchain();
    mkdirSync(policy);
    for (const file of ['access.rego', 'admin.rego', 'data.json', '.manifest']) cpSync(join(repositoryRoot, 'policies/curfew', file), join(policy, file));
    writeFileSync(join(policy, 'own.rego'), 'package curfew.access\n\nrefusals contains "orders 3 is closed" if endswith(input.curfew.resource.id, "/orders/3")\n');
    curfew = await startCurfew({ directory: directory.path, args: ['--set', `policy.bundle.directory=${policy}`] });
    token = await curfew.mint(WORKLOAD);
    const grant = await curfew.grant(WORKLOAD);
    const ask = async (path: string): Promise<string> => (await curfew?.ask(token, path, { 'x-api-key': CANARY }))?.headers.get('x-curfew-decision-id') ?? '';
    denied = await ask(`/orders/3?access_token=${CANARY}`);
    await curfew.admin('POST', '/v1/revocations', { selector: { kind: 'grant', value: grant.id }, reason: 'x' });
    ended = await ask('/orders/1');
    await curfew.grant(WORKLOAD, { reference: 'T-2' });
    await until('the records', () => readFileSync(join(directory.path, LOG), 'utf8').includes(ended));
  }, 600_000);
  afterAll(async () => {
    await curfew?.stop();
    directory.remove();
  });

  test('by the id that the answer carried: the same from the running program and from its log', async () => {
    const live = await explain('--decision', denied);
    expect(live.code, live.stderr).toBe(0);
    expect(live.stdout).toMatch(/^deny: policy\.denied \(the policy said no\)\n {2}asked {6}GET http:shop\.local\/orders\/3\n/);
    expect(live.stdout).toContain('said       {"allow":false,"reasons":["orders 3 is closed"]}\n');
    expect(live.stdout).toContain('here       {"allow":false,"reasons":["orders 3 is closed"]}\n  match      as recorded\n');
    expect(live.stdout).toMatch(/yes {2}refusals {2}own\.rego:3 {2}refusals contains "orders 3 is closed"/);
    expect(live.stdout).toMatch(/grants, as of \S+\n {2}yes {2}\S+ {2}time-boxed, until \S+, reference T-1\n/);
    expect((await explain('--decision', denied, '--log', LOG)).stdout).toBe(live.stdout);
    expect(Math.max(...live.stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
  });

  test('of a grant that does not count it says why', async () => {
    const { stdout } = await explain('--decision', ended, '--log', LOG);
    expect(stdout).toMatch(/^deny: grant\.revoked /);
    expect(stdout).toMatch(/ {2}no {3}\S+ {2}grant\.revoked: a revocation covers the grant\n/);
    expect(stdout).toContain('yes  reasons  access.rego:58');
  });

  test('of a live question, with the grant that the answer would rest on', async () => {
    const { stdout, stderr } = await explain('--action', 'GET', '--resource', 'http:shop.local/orders/5', '--workload', WORKLOAD);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^allow\n/);
    expect(stdout).toMatch(/ {2}used \S+ {2}time-boxed, until \S+, reference T-2\n {2}no {3}\S+ {2}grant\.revoked: /);
  });

  test('other sources than those that decided are told as such', async () => {
    const { stdout } = await runCurfew(['policy', 'explain', join(repositoryRoot, 'policies/curfew'), '--decision', ended, '--log', LOG], { directory: directory.path });
    expect(stdout).toContain('as recorded');
    const other = await runCurfew(['policy', 'explain', join(repositoryRoot, 'policies/curfew'), '--decision', denied, '--log', LOG], { directory: directory.path });
    expect(other.stdout).toContain('not as recorded');
  });

  test('G4: secrets of the request are nowhere, neither in text nor in trace nor in JSON', async () => {
    for (const args of [['--trace'], ['--trace', '--json']]) {
      const { stdout, stderr } = await explain('--decision', denied, ...args);
      expect(stdout).toContain('/attributes/request/http/headers/x-api-key');
      for (const secret of [CANARY, token.split('.')[2] ?? '']) expect(stdout + stderr).not.toContain(secret);
    }
  });

  test.each([
    ['a decision that nobody knows', ['--decision', '00000000-0000-4000-8000-000000000000'], 1, 'decision'],
    ['a decision that is not in the log', ['--decision', 'x', '--log', LOG], 1, 'has no decision x'],
    ['nothing', [], 1, 'nothing to explain'],
  ] as const)('%s', async (_, args, code, message) => {
    expect(await explain(...args)).toMatchObject({ code, stderr: expect.stringContaining(message) as string });
  });
});
