/**
 * APISIX's `opa` plugin against the real program: the question as its helper.lua builds it, the answer judged as its opa.lua does. It can set no header
 * but the content type, so it proves nothing of itself, and the end client's own credential is all that counts.
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import { describeWith, repositoryRoot } from '../parts.ts';
import { startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const WORKLOAD = 'spiffe://dev.local/ci/deployer';
/** The plugin wants an object; beside `allow` it passes on `reason`, `headers` and `status_code` of a no. */
const GATE = `package gate

default allow := false

allow if count(input.curfew.grants) > 0

reason := {"why": "nobody granted it"} if not allow

headers := {"x-why": "no grant"} if not allow

status_code := 402 if not allow
`;
const CONFIG = `
limits: { decisionDeadlineMs: 5000 }
policy: { bundle: { directory: policy } }
opa: { paths: [{ path: gate, question: apisix }] }
`;

interface Sent {
  readonly token?: string | undefined;
  readonly path?: string;
  readonly headers?: Record<string, unknown>;
  readonly more?: Record<string, unknown>;
}
/** What APISIX then tells its client; `passed`: the upstream is asked. */
type Outcome = { readonly passed: true } | { readonly status: number; readonly reason?: unknown; readonly headers?: unknown };

/** As opa.lua: `data.result` must be there (503), and what is no table can't be indexed, which is an error of the gateway (500). */
const judged = (data: any): Outcome => {
  if (typeof data !== 'object' || data === null) return { status: 503 };
  const { result } = data;
  if (result === undefined || result === null || result === false) return { status: 503 };
  if (typeof result !== 'object') return { status: 500 };
  if (result.allow !== undefined && result.allow !== null && result.allow !== false) return { passed: true };
  return { status: result.status_code ?? 403, ...(result.reason === undefined ? {} : { reason: result.reason }), ...(result.headers === undefined ? {} : { headers: result.headers }) };
};

describeWith(['go'], "APISIX's plugin", () => {
  let curfew: Curfew;
  const directory = temporaryDirectory();
  beforeAll(async () => {
    buildToolchain();
    const policy = join(directory.path, 'policy');
    mkdirSync(policy);
    writeFileSync(join(policy, 'gate.rego'), GATE);
    for (const name of ['access.rego', 'admin.rego']) copyFileSync(join(repositoryRoot, 'policies/curfew', name), join(policy, name));
    writeFileSync(join(directory.path, 'curfew.yaml'), CONFIG);
    curfew = await startCurfew({ directory: directory.path, args: ['--config', 'curfew.yaml'] });
  }, 180_000);
  afterAll(async () => {
    await curfew?.stop();
    directory.remove();
  });

  const ask = async ({ token, path = '/orders/42', headers = {}, more = {} }: Sent): Promise<Outcome> => {
    const request = {
      scheme: 'http', method: 'GET', host: 'shop.local', port: 9080, path, query: { all: true, tag: ['a', 'b'] },
      headers: { host: 'shop.local', accept: '*/*', 'user-agent': 'curl/8', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
    };
    const input = { type: 'http', request, var: { server_addr: '127.0.0.1', server_port: '9080', remote_addr: '127.0.0.1', remote_port: '50124', timestamp: 1_796_000_000 }, ...more };
    const response = await fetch(`http://127.0.0.1:${curfew.ports.http}/v1/data/gate`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ input }) });
    return judged(await response.json());
  };
  const NO = { status: 402, reason: { why: 'nobody granted it' }, headers: { 'x-why': 'no grant' } };

  test('demand(1) as the plugin asks and judges: allowed under a grant, denied in the words of the policy before it and once it is revoked', async () => {
    const token = await curfew.mint(WORKLOAD);
    expect(await ask({ token })).toEqual(NO);
    const grant = await curfew.grant(WORKLOAD);
    expect(await ask({ token })).toEqual({ passed: true });
    expect(await ask({ token, more: { route: { id: '1', value: { uri: '/*' } }, service: { id: 's' }, consumer: { username: 'jack' } } })).toEqual({ passed: true });
    await curfew.admin('POST', '/v1/revocations', { selector: { kind: 'grant', value: grant.id }, reason: 'test' });
    expect(await ask({ token })).toEqual(NO);
  });

  test('whatever is no good question passes nowhere: no token, a bad one, two, a path of two readings, input.curfew, a name of its own', async () => {
    await curfew.grant(WORKLOAD);
    const token = await curfew.mint(WORKLOAD);
    expect(await ask({ token })).toEqual({ passed: true });
    const attempts: readonly Sent[] = [
      {}, { token: 'x.y.z' }, { token, headers: { authorization: [`Bearer ${token}`, 'Bearer x'] } }, { token, headers: { Authorization: 'Bearer x' } }, { token, path: '/orders/../admin' }, { token, path: '/orders//42' },
      { token, path: '/orders/a/b%2fc' }, { token, headers: { host: ['shop.local', 'other.local'] } }, { token, headers: { host: 'other.local' } }, { token, headers: { 'x-http-method-override': 'DELETE' } },
      { token: undefined, more: { curfew: { grants: [{ id: 'x' }] } } }, { token: undefined, more: { credential: 'x', subject: { type: 'workload', id: WORKLOAD } } },
    ];
    for (const attempt of attempts) expect(await ask(attempt), JSON.stringify(attempt).slice(0, 200)).not.toHaveProperty('passed');
  });
});
