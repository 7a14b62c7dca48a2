/** `explain` of OPA's API against the running program: it shows rules, facts and input to an operator; nobody else gets anything by it, and no question is decided otherwise. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import { describeWith, repositoryRoot } from '../parts.ts';
import { startCurfew, temporaryDirectory, type Curfew } from '../runtime/curfew.ts';

const PEP = 'explain-pep-0123456789';
const WORKLOAD = 'spiffe://dev.local/ci/deployer';
const CONFIG = `
limits: { decisionDeadlineMs: 5000 }
peps: [{ id: app, token: { env: APP_TOKEN }, asserts: ["spiffe://dev.local/**"], hosts: [shop.local] }]
policy: { bundle: { directory: policy } }
opa: { paths: [{ path: curfew/access/decision, question: authzen }] }
`;
const PATH = '/v1/data/curfew/access/decision';

describeWith(['go'], 'explain', () => {
  let curfew: Curfew;
  let operator: string;
  let workload: string;
  const directory = temporaryDirectory();
  beforeAll(async () => {
    buildToolchain();
    const policy = join(directory.path, 'policy');
    mkdirSync(policy);
    for (const name of ['access.rego', 'admin.rego']) copyFileSync(join(repositoryRoot, 'policies/curfew', name), join(policy, name));
    writeFileSync(join(directory.path, 'curfew.yaml'), CONFIG);
    curfew = await startCurfew({ directory: directory.path, args: ['--config', 'curfew.yaml'], env: { APP_TOKEN: PEP } });
    operator = readFileSync(join(directory.path, '.curfew/admin-token'), 'utf8').trim();
    workload = await curfew.mint(WORKLOAD);
    await curfew.grant(WORKLOAD, { ttlMs: 3_600_000 });
  }, 180_000);
  afterAll(async () => {
    await curfew?.stop();
    directory.remove();
  });

  interface Sent {
    readonly path?: string;
    readonly id?: string;
    readonly pep?: string | undefined;
    readonly tokens?: readonly string[];
  }
  const ask = async ({ path = `${PATH}?explain=full`, id = 'shop.local/orders/1', pep = PEP, tokens = [] }: Sent): Promise<{ readonly status: number; readonly value: any }> => {
    const headers = new Headers({ 'content-type': 'application/json', ...(pep === undefined ? {} : { authorization: `Bearer ${pep}` }) });
    for (const token of tokens) headers.append('x-curfew-operator-token', token);
    const input = { subject: { type: 'workload', id: WORKLOAD }, action: { name: 'GET' }, resource: { type: 'http', id } };
    const response = await fetch(`http://127.0.0.1:${curfew.ports.http}${path}`, { method: 'POST', headers, body: JSON.stringify({ input, query: 'data.curfew.access.decision' }) });
    return { status: response.status, value: await response.json() };
  };

  test('the operator has a trace with rules and facts, of an allow and of a denial', async () => {
    for (const id of ['shop.local/orders/1', 'shop.local/nobody/granted']) {
      const { value } = await ask({ tokens: [operator], id });
      expect(value.explanation.length, id).toBeGreaterThan(5);
      expect(value.warning).toBeUndefined();
    }
    const { value } = await ask({ tokens: [operator], path: `${PATH}?explain=full&pretty` });
    expect(JSON.stringify(value.explanation)).toContain('curfew.access');
  });

  test('G1: nobody else: one answer, whatever the token, the question and its outcome, and none of it says more than the question without explain', async () => {
    const plain = await ask({ path: PATH });
    const denied = await ask({ path: PATH, id: 'shop.local/nobody/granted' });
    for (const tokens of [[], ['wrong'], [PEP], [workload], [operator, operator], [`${operator} `.repeat(2)], [`Bearer ${operator}`], [operator.slice(0, -1)], ['x'.repeat(8_000)]]) {
      for (const [id, expected] of [['shop.local/orders/1', plain], ['shop.local/nobody/granted', denied]] as const) {
        const { status, value } = await ask({ tokens, id });
        const { explanation, warning, decision_id: _id, ...rest } = value;
        const { decision_id: _other, ...without } = expected.value;
        expect([status, rest, explanation, warning.code], String(tokens).slice(0, 40)).toEqual([200, without, [], 'api_usage_warning']);
        expect(warning.message).toMatch(/^no trace: that takes an operator/);
      }
    }
  });

  test('an operator who is no enforcement point asks nothing, and one is an enforcement point only by its own token', async () => {
    for (const pep of [undefined, operator, workload]) {
      const { status, value } = await ask({ pep: pep ?? 'none', tokens: [operator] });
      expect([status, value.code, value.explanation, value.result]).toEqual([401, 'unauthorized', undefined, undefined]);
    }
  });

  test('other forms of the question have none, and say so where there is room', async () => {
    const query = await ask({ path: '/v1/query?explain=full', tokens: [operator] });
    expect([query.value.explanation, query.value.warning.message]).toEqual([[], 'no trace: `explain` is not offered on /v1/query, only on /v1/data']);
    expect((await ask({ path: '/v0/data/curfew/access/decision?explain=full', tokens: [operator] })).value).not.toHaveProperty('explanation');
    // Refused before a rule was asked: an operator hears that, others do not.
    const twice = 'shop.local//orders/1';
    expect((await ask({ id: twice, tokens: [operator] })).value.warning.message).toBe('no trace: the question was refused before any rule was asked');
    expect((await ask({ id: twice, tokens: ['wrong'] })).value.warning.message).toMatch(/^no trace: that takes an operator/);
    for (const mode of ['', 'off', 'FULL', 'all', '__proto__']) expect(JSON.stringify((await ask({ path: `${PATH}?explain=${mode}`, tokens: [operator] })).value)).not.toContain('"op"');
  });

  test('E11: tracing uses nothing up, and decides nothing', async () => {
    const once = 'spiffe://dev.local/ci/once';
    await curfew.grant(once, { ttlMs: 3_600_000, uses: 1 });
    const input = { subject: { type: 'workload', id: once }, action: { name: 'GET' }, resource: { type: 'http', id: 'shop.local/orders/1' } };
    const use = async (): Promise<unknown> => {
      const response = await fetch(`http://127.0.0.1:${curfew.ports.http}${PATH}?explain=full`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${PEP}`, 'x-curfew-operator-token': operator }, body: JSON.stringify({ input }) });
      return ((await response.json()) as any).result.allow;
    };
    expect([await use(), await use()]).toEqual([true, false]);
  });

  test('a flood of such questions by who is no operator costs nobody else an answer', async () => {
    const flood = Promise.all(Array.from({ length: 60 }, () => ask({ tokens: ['wrong'] })));
    expect((await ask({ path: PATH })).value.result.allow).toBe(true);
    for (const { status, value } of await flood) expect([status, value.explanation]).toEqual([200, []]);
    expect((await ask({ tokens: [operator] })).value.explanation.length).toBeGreaterThan(5);
  });
});
