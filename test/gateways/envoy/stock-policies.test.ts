/** Policies written for opa-envoy-plugin, unchanged, behind a real Envoy: they decide under a standing entry that says so, and end with it; a route names another rule. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildToolchain } from '../../../scripts/toolchain.mjs';
import { hmacSigned } from '../../identity/forge.ts';
import { describeWith } from '../../parts.ts';
import { startCurfew, temporaryDirectory, type Curfew } from '../../runtime/curfew.ts';
import { connectionManager, extAuthz, shippedConfiguration, startEnvoy, type RunningEnvoy } from '../../support/envoy.ts';
import { rawRequest, type RawAnswer } from '../../support/raw-http.ts';
import { startService, type Service } from '../../support/service.ts';
import { until } from '../../support/until.ts';
import { askingBy, MESH_TOKEN, stockConfig } from './stock-node.ts';

/** The shape of the plugin's quick start: people and roles of a token that is the policy's own business; in the first version of Rego, as the plugin's examples are. */
const QUICK_START = `package envoy.authz

import input.attributes.request.http

default allow = false

allow {
	is_token_valid
	action_allowed
}

is_token_valid {
	token.valid
	now := time.now_ns() / 1000000000
	token.payload.nbf <= now
	now < token.payload.exp
}

action_allowed {
	http.method == "GET"
	token.payload.role == "guest"
	glob.match("/people/*", ["/"], http.path)
}

action_allowed {
	http.method == "GET"
	token.payload.role == "admin"
	glob.match("/people/*", ["/"], http.path)
}

action_allowed {
	http.method == "POST"
	token.payload.role == "admin"
	glob.match("/people", ["/"], http.path)
	lower(input.parsed_body.firstname) != base64url.decode(token.payload.sub)
}

token = {"valid": valid, "payload": payload} {
	[_, encoded] := split(http.headers.authorization, " ")
	[valid, _, payload] := io.jwt.decode_verify(encoded, {"secret": "secret"})
}
`;

/** The plugin's other form of result. */
const OBJECT = `package envoy.other

default allow := {"allowed": false, "headers": {"x-ext-auth-allow": "no"}, "body": "Unauthorized Request", "http_status": 401}

allow := {
	"allowed": true,
	"headers": {"x-ext-auth-allow": "yes", "x-path": concat("+", input.parsed_path)},
	"response_headers_to_add": {"x-added": "for the client"},
	"request_headers_to_remove": ["x-secret"],
	"dynamic_metadata": {"who": "stock"},
} if {
	input.attributes.request.http.method == "GET"
	input.parsed_query.pass == ["yes"]
}
`;

const jwt = (claims: Record<string, unknown>, secret = 'secret'): string => hmacSigned({ alg: 'HS256', typ: 'JWT' }, { nbf: 1_514_851_139, exp: 4_000_000_000, ...claims }, secret);

describeWith(['envoy', 'go'], 'stock policies', () => {
  let service: Service;
  let curfew: Curfew;
  let envoy: RunningEnvoy;
  let remove: () => void;

  beforeAll(async () => {
    buildToolchain();
    const directory = temporaryDirectory();
    ({ remove } = directory);
    mkdirSync(join(directory.path, 'policy'));
    writeFileSync(join(directory.path, 'policy/policy.rego'), QUICK_START);
    writeFileSync(join(directory.path, 'policy/other.rego'), OBJECT);
    writeFileSync(join(directory.path, 'policy/.manifest'), JSON.stringify({ rego_version: 0, file_rego_versions: { '/other.rego': 1 } }));
    writeFileSync(join(directory.path, 'curfew.yaml'), stockConfig({ entrypoint: 'envoy/authz/allow', rules: ['envoy/other/allow'] }));
    service = await startService();
    curfew = await startCurfew({ directory: directory.path, args: ['--config', 'curfew.yaml'], env: { MESH_TOKEN } });
    const settings = shippedConfiguration({ curfew: curfew.ports.grpc, service: service.port });
    extAuthz(settings).grpc_service.initial_metadata = [{ key: 'x-curfew-pep-token', value: MESH_TOKEN }];
    extAuthz(settings).with_request_body = { max_request_bytes: 8_192, allow_partial_message: true };
    const { virtual_hosts: [virtual] } = connectionManager(settings).route_config;
    const [route] = virtual.routes;
    virtual.routes = [
      {
        ...route, match: { prefix: '/other' },
        typed_per_filter_config: askingBy('envoy/other/allow'),
      },
      ...virtual.routes,
    ];
    envoy = await startEnvoy(settings);
  }, 180_000);
  afterAll(async () => {
    await envoy?.stop();
    await curfew?.stop();
    await service?.close();
    remove?.();
  });
  beforeEach(() => void (service.hits.length = 0));

  const ask = (method: string, path: string, headers: readonly string[] = [], body = ''): Promise<RawAnswer> =>
    rawRequest(envoy.port(), `${method} ${path} HTTP/1.1\r\n${['host: shop.local', ...headers, ...(body === '' ? [] : ['content-type: application/json', `content-length: ${body.length}`])].join('\r\n')}\r\n\r\n${body}`);
  const as = (role: string, secret?: string, more = {}): readonly string[] => [`authorization: Bearer ${jwt({ role, sub: Buffer.from('alice').toString('base64url'), ...more }, secret)}`];

  test('the quick start: guests read, admins write, tokens of others and no token do neither', async () => {
    // OPA's own builtins are waited for only so long, and the first call of one may take longer.
    await until('the first token to be verified', async () => (await ask('GET', '/people/1', as('guest'))).status === 200);
    expect((await ask('POST', '/people', as('guest'), '{"firstname":"Charlie"}')).status).toBe(403);
    expect((await ask('POST', '/people', as('admin'), '{"firstname":"Charlie"}')).status).toBe(200);
    expect((await ask('POST', '/people', as('admin'), '{"firstname":"Alice"}')).status).toBe(403);
    for (const headers of [[], as('guest', 'other'), as('guest', 'secret', { exp: 1_600_000_000 }), ['authorization: Bearer x']]) expect((await ask('GET', '/people/1', headers)).status).toBe(403);
    expect((await ask('GET', '/elsewhere', as('guest'))).status).toBe(403);
    expect(service.hits.map(({ method, target }) => `${method} ${target}`)).toEqual(['GET /people/1', 'POST /people']);
    expect(await curfew.metrics()).toMatch(/curfew_standing_uses_total\{entry="stock"\} 2/);
  });

  test('a rule that a route names: its headers, body and status, and the decision id of either answer', async () => {
    const allowed = await ask('GET', '/other/a%20b?pass=yes', ['x-secret: s']);
    expect([allowed.status, allowed.headers.get('x-added')]).toEqual([200, 'for the client']);
    expect(allowed.headers.get('x-curfew-decision-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(service.hits[0]?.headers).toMatchObject({ 'x-ext-auth-allow': 'yes', 'x-path': 'other+a b' });
    expect(service.hits[0]?.headers['x-secret']).toBeUndefined();
    const denied = await ask('GET', '/other/x');
    expect([denied.status, denied.body, denied.headers.get('x-ext-auth-allow')]).toEqual([401, 'Unauthorized Request', 'no']);
    expect(denied.headers.get('x-curfew-decision-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(service.hits).toHaveLength(1);
  });
});
