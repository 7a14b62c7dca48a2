/** Clients of OPA against the real program: OPA's own SDK and curl, and a policy folder whose every rule can be asked. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OPAClient } from '@open-policy-agent/opa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import { describeWith, repositoryRoot } from '../parts.ts';
import { until } from '../support/until.ts';
import { startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const WORKLOAD = 'spiffe://dev.local/ci/deployer';
const TOKEN = 'opa-client-token-0123456789';

const SHOP = `package shop.authz

default allow := false

allow if {
	input.method == "GET"
	data.shop.open
}

roles := ["reader", "writer"]

verdict := {"allow": allow, "roles": roles}

greet(name) := sprintf("hello %s", [name])

broken := http.send({"method": "GET", "url": "http://127.0.0.1:1"})
`;

const PACK = join(repositoryRoot, 'policies/curfew');

const CONFIG = `
peps:
  - id: app
    token: { env: APP_TOKEN }
    asserts: ["*"]
    hosts: [shop.local]
policy: { bundle: { directory: policy } }
opa:
  paths:
    - { path: secret/**, question: authzen }
standing:
  - id: shop-roles
    match: { peps: [app], scopes: [{ actions: [query], resource: { type: opa, id: shop/** } }] }
    identity: optional
    owner: team:shop
    reason: rules that decide nothing by themselves
    end: 2099-01-01T00:00:00Z
  - id: public-articles
    match: { peps: [app], scopes: [{ actions: [read], resource: { type: kb, id: public/** } }] }
    identity: optional
    owner: team:shop
    reason: anybody may read them
    end: 2099-01-01T00:00:00Z
`;

describeWith(['go'], 'OPA clients', () => {
  let curfew: Curfew;
  let remove: () => void;
  let base: string;
  beforeAll(async () => {
    buildToolchain();
    const directory = temporaryDirectory();
    ({ remove } = directory);
    const policy = join(directory.path, 'policy');
    mkdirSync(policy);
    for (const [name, text] of [['shop.rego', SHOP.replace(/\nbroken .*\n/, '\n')], ['data.json', '{"shop":{"open":true,"list":[1,2,{"x":"y"}]},"secret":{"open":true,"rows":["r"]}}']] as const) writeFileSync(join(policy, name), text);
    for (const name of ['access.rego', 'admin.rego']) copyFileSync(join(PACK, name), join(policy, name));
    writeFileSync(join(directory.path, 'curfew.yaml'), CONFIG);
    curfew = await startCurfew({ directory: directory.path, args: ['--config', 'curfew.yaml'], env: { APP_TOKEN: TOKEN } });
    base = `http://127.0.0.1:${curfew.ports.http}`;
  }, 180_000);
  afterAll(async () => {
    await curfew?.stop();
    remove?.();
  });

  const client = (): OPAClient => new OPAClient(base, { headers: { authorization: `Bearer ${TOKEN}` } });

  test("OPA's SDK evaluates rules, packages' parts and data under a standing entry, and hears of what is undefined", async () => {
    expect(await client().evaluate('shop/authz/allow', { method: 'GET' })).toBe(true);
    expect(await client().evaluate('shop/authz/allow', { method: 'POST' })).toBe(false);
    expect(await client().evaluate('shop/authz/roles')).toEqual(['reader', 'writer']);
    expect(await client().evaluate('shop/authz/verdict/roles/1', { method: 'GET' })).toBe('writer');
    expect(await client().evaluate('shop/authz', { method: 'GET' })).toMatchObject({ allow: true, roles: ['reader', 'writer'] });
    expect(await client().evaluate('shop/list/2/x', {})).toBe('y');
    expect(await client().evaluate('shop/authz/nothing', {})).toBeUndefined();
    // Neither granted nor standing.
    expect(await client().evaluate('curfew/access/decision', {})).toBeUndefined();
    await expect(new OPAClient(base).evaluate('shop/authz/allow', { method: 'GET' })).rejects.toThrow();
  });

  test('a standing entry lets out no document but those it names, whatever an input asks about', async () => {
    const asked = (action: string, type: string, id: string) => ({ subject: { type: 'workload', id: WORKLOAD }, action: { name: action }, resource: { type, id } });
    // What the input asks about is excused, but it is not what is read.
    for (const path of ['secret/open', 'secret/rows', 'secret']) expect(await client().evaluate(path, asked('query', 'opa', 'shop/list')), path).toBeUndefined();
    expect(await client().evaluate('secret/rows', asked('read', 'kb', 'public/1'))).toBeUndefined();
    expect(await client().evaluate('secret', asked('read', 'kb', 'public/1'))).toBeUndefined();
  });

  test('curl, as its scripts do it; the metrics are those of the node', () => {
    const curl = (...args: string[]): string => execFileSync('curl', ['-s', '-H', `Authorization: Bearer ${TOKEN}`, ...args], { encoding: 'utf8' });
    expect(JSON.parse(curl(`${base}/v1/data/shop/authz/allow`, '-d', '{"input":{"method":"GET"}}'))).toMatchObject({ result: true });
    expect(curl(`${base}/v0/data/shop/authz/roles`, '-d', '{}')).toBe('["reader","writer"]');
    expect(JSON.parse(curl(`${base}/v1/query?q=x:=data.shop.list`))).toEqual({ result: [{ x: [1, 2, { x: 'y' }] }] });
    expect(curl(`${base}/health?bundles`)).toBe('{}');
    const metrics = curl(`${base}/metrics`);
    expect(metrics).toMatch(/curfew_decisions_total\{result="allow",reason="none",protocol="opa"\} \d+/);
    expect(metrics).toContain('curfew_workers_ready 1');
  });

  test('a rule that decides nothing and can not be served costs the bundle nothing but its other rules', async () => {
    writeFileSync(join(curfew.directory, 'policy/shop.rego'), SHOP);
    // Compiled without them: what the decision needs stays, and nothing is refused.
    await until('the bundle without every rule', async () => (await client().evaluate('shop/authz/roles')) === undefined);
    const { status } = await curfew.ask(await curfew.mint(WORKLOAD), '/orders/42', { 'x-curfew-pep-token': TOKEN });
    expect(status).toBe(403);
    // Nor is it evaluated for a trace: that could reach other servers.
    const operator = readFileSync(join(curfew.directory, '.curfew/admin-token'), 'utf8').trim();
    const traced = await fetch(`${base}/v1/data/shop/authz/broken?explain=full`, { method: 'POST', headers: { authorization: `Bearer ${TOKEN}`, 'x-curfew-operator-token': operator, 'content-type': 'application/json' }, body: '{"input":{}}' });
    expect(await traced.json()).toMatchObject({ explanation: [], warning: { code: 'api_usage_warning' } });
  });
});
