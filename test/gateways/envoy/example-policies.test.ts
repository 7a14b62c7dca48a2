/**
 * What the examples and documents of opa-envoy-plugin show a policy doing, each by a policy of the same shape (their packages, our words), behind one real
 * Envoy whose routes name them: none is changed for Curfew, all stand under one entry that says so. The quick start has its own file.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildToolchain } from '../../../scripts/toolchain.mjs';
import { hmacSigned, jwksOf, newKey, signed } from '../../identity/forge.ts';
import { describeWith } from '../../parts.ts';
import { startCurfew, temporaryDirectory, type Curfew } from '../../runtime/curfew.ts';
import { connectionManager, extAuthz, shippedConfiguration, startEnvoy, type RunningEnvoy } from '../../support/envoy.ts';
import { rawRequest, type RawAnswer } from '../../support/raw-http.ts';
import { startService, type Service } from '../../support/service.ts';
import { askingBy, MESH_TOKEN, stockConfig } from './stock-node.ts';
import { until } from '../../support/until.ts';

const TOKEN_RULES = `
token := {"valid": valid, "payload": payload} if {
	[_, encoded] := split(http_request.headers.authorization, " ")
	[valid, _, payload] := io.jwt.decode_verify(encoded, {"secret": "secret"})
}

is_token_valid if {
	token.valid
	now := time.now_ns() / 1000000000
	token.payload.nbf <= now
	now < token.payload.exp
}
`;

/** By the last part of their packages; those of the first version of Rego begin with `v0`. */
const POLICIES: Readonly<Record<string, string>> = {
  // Envoy Gateway: one path.
  v0gateway: 'import input.attributes.request.http as http_request\n\ndefault allow = false\n\nallow {\n\taction_allowed\n}\n\naction_allowed {\n\thttp_request.path == "/headers"\n}\n',
  // Gloo Edge, of the repository: one method.
  v0gloo: 'import input.attributes.request.http as http_request\n\ndefault allow = false\n\nallow {\n\taction_allowed\n}\n\naction_allowed {\n\thttp_request.method == "GET"\n}\n',
  // Istio: users of a Basic header, roles as sets.
  v0istio: `import input.attributes.request.http as http_request
import input.parsed_path

default allow = false

allow {
	parsed_path[0] == "health"
	http_request.method == "GET"
}

allow {
	roles_for_user[r]
	required_roles[r]
}

roles_for_user[r] {
	r := user_roles[user_name][_]
}

required_roles[r] {
	perm := role_perms[r][_]
	perm.method = http_request.method
	perm.path = http_request.path
}

user_name = parsed {
	[_, encoded] := split(http_request.headers.authorization, " ")
	[parsed, _] := split(base64url.decode(encoded), ":")
}

user_roles = {"alice": ["guest"], "bob": ["admin"]}

role_perms = {
	"guest": [{"method": "GET", "path": "/productpage"}],
	"admin": [{"method": "GET", "path": "/productpage"}, {"method": "GET", "path": "/api/v1/products"}],
}
`,
  // gRPC: a method by its path.
  v0grpc: 'default allow = false\n\nallow {\n\tinput.parsed_path = ["test.KitchenSink", "Ping"]\n}\n',
  // Gloo Edge, of the documents: roles of a token.
  glootoken: `import input.attributes.request.http as http_request

default allow := false

allow if {
	is_token_valid
	action_allowed
}

action_allowed if {
	http_request.method == "GET"
	token.payload.role in ["guest", "admin"]
}

action_allowed if {
	http_request.method == "POST"
	token.payload.role == "admin"
}
${TOKEN_RULES}`,
  // Over a Unix socket: a glob without separators, which takes the query and what follows along.
  uds: `import input.attributes.request.http as http_request

default allow = false

allow if {
	is_token_valid
	glob.match("/people*", [], http_request.path)
	http_request.method == "GET"
}
${TOKEN_RULES}`,
  path: 'default allow := false\n\nallow if input.parsed_path == ["people"]\n',
  query: 'default allow := false\n\nallow if {\n\tinput.parsed_path == ["people"]\n\tinput.parsed_query.lang == ["en"]\n\tinput.parsed_query.id == ["1", "2"]\n}\n',
  body: 'default allow := false\n\nallow if {\n\tinput.parsed_body.firstname == "Charlie"\n\tinput.parsed_body.lastname == "Opa"\n}\n',
  version: 'default allow := false\n\nallow if input.version == {"ext_authz": "v3", "encoding": "protojson"}\n',
  // What jwt_authn verified, passed on as metadata.
  metadata: 'default allow := false\n\nallow if input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"].verified_jwt.email == "alice@example.com"\n',
  // The primer's policy with additional controls: a result made of parts, with a status that depends on why.
  controls: `import input.attributes.request.http as http_request

default allow := false

allow if {
	is_token_valid
	http_request.method == "GET"
	token.payload.role == "guest"
}

headers["x-ext-auth-allow"] := "yes"

headers["x-validated-by"] := "security-checkpoint"

request_headers_to_remove := ["one-auth-header", "another-auth-header"]

response_headers_to_add["x-foo"] := "bar"

query_parameters_to_set := {"user-role": token.payload.role, "tags": ["main-flow", "auth-enabled"]}

query_parameters_to_remove := ["debug"]

status_code := 200 if {
	allow
} else := 401 if {
	not is_token_valid
} else := 403

body := "Authentication Failed" if status_code == 401

body := "Unauthorized Request" if status_code == 403

dynamic_metadata := {"foo": "bar"}

result["allowed"] := allow

result["headers"] := headers

result["response_headers_to_add"] := response_headers_to_add

result["request_headers_to_remove"] := request_headers_to_remove

result["body"] := body

result["http_status"] := status_code

result["dynamic_metadata"] := dynamic_metadata

result["query_parameters_to_remove"] := query_parameters_to_remove

result["query_parameters_to_set"] := query_parameters_to_set
${TOKEN_RULES}`,
};
const ruleOf = (name: string): string => `examples/${name}/${name === 'controls' ? 'result' : 'allow'}`;

const CONFIG = `limits: { decisionDeadlineMs: 5000, policyMaySet: ["query:user-role", "query:tags", "query:debug"] }
${stockConfig({ entrypoint: 'examples/path/allow', rules: Object.keys(POLICIES).map(ruleOf) })}`;

const jwt = (role: string): string => hmacSigned({ alg: 'HS256', typ: 'JWT' }, { nbf: 1_514_851_139, exp: 4_000_000_000, role, sub: 'YWxpY2U' }, 'secret');
const key = newKey('RS256', 'k');
const verified = (email: string): string => signed({ alg: 'RS256', typ: 'JWT', kid: 'k' }, { iss: 'example', exp: 4_000_000_000, email, name: 'Alice' }, key);

interface Case {
  readonly policy: string;
  readonly method?: string;
  readonly path: string;
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly status: number;
}
const bearer = (role: string): readonly string[] => [`authorization: Bearer ${jwt(role)}`];
const basic = (user: string): readonly string[] => [`authorization: Basic ${Buffer.from(`${user}:password`).toString('base64')}`];
const person = (lastname: string): string => JSON.stringify({ firstname: 'Charlie', lastname });
const CASES: readonly Case[] = [
  { policy: 'v0gateway', path: '/headers', status: 200 }, { policy: 'v0gateway', path: '/get', status: 403 },
  { policy: 'v0gloo', path: '/get', status: 200 }, { policy: 'v0gloo', method: 'POST', path: '/post', status: 403 },
  { policy: 'v0istio', path: '/productpage', headers: basic('alice'), status: 200 }, { policy: 'v0istio', path: '/api/v1/products', headers: basic('alice'), status: 403 },
  { policy: 'v0istio', path: '/api/v1/products', headers: basic('bob'), status: 200 }, { policy: 'v0istio', method: 'POST', path: '/productpage', headers: basic('bob'), status: 403 },
  { policy: 'v0istio', path: '/productpage', headers: basic('carol'), status: 403 }, { policy: 'v0istio', path: '/productpage', status: 403 }, { policy: 'v0istio', path: '/health', status: 200 },
  { policy: 'v0grpc', method: 'POST', path: '/test.KitchenSink/Ping', status: 200 }, { policy: 'v0grpc', method: 'POST', path: '/test.KitchenSink/Exchange', status: 403 },
  { policy: 'glootoken', path: '/get', headers: bearer('guest'), status: 200 }, { policy: 'glootoken', method: 'POST', path: '/post', headers: bearer('guest'), status: 403 },
  { policy: 'glootoken', method: 'POST', path: '/post', headers: bearer('admin'), status: 200 }, { policy: 'glootoken', path: '/get', status: 403 },
  { policy: 'uds', path: '/people', headers: bearer('guest'), status: 200 }, { policy: 'uds', path: '/people/1?x=1', headers: bearer('guest'), status: 200 }, { policy: 'uds', path: '/other', headers: bearer('guest'), status: 403 },
  { policy: 'path', path: '/people?lang=en', status: 200 }, { policy: 'path', path: '/people/1', status: 403 },
  { policy: 'query', path: '/people?lang=en&id=1&id=2', status: 200 }, { policy: 'query', path: '/people?lang=en&id=2&id=1', status: 403 }, { policy: 'query', path: '/people?lang=en&id=1', status: 403 },
  { policy: 'body', method: 'POST', path: '/people', body: person('Opa'), status: 200 }, { policy: 'body', method: 'POST', path: '/people', body: person('Opal'), status: 403 }, { policy: 'body', method: 'POST', path: '/people', status: 403 },
  { policy: 'version', path: '/', status: 200 },
  { policy: 'metadata', path: '/', headers: [`x-jwt: ${verified('alice@example.com')}`], status: 200 }, { policy: 'metadata', path: '/', headers: [`x-jwt: ${verified('bob@example.com')}`], status: 403 }, { policy: 'metadata', path: '/', status: 403 },
];

describeWith(['envoy', 'go'], 'example policies', () => {
  let service: Service;
  let curfew: Curfew;
  let envoy: RunningEnvoy;
  const directory = temporaryDirectory();

  beforeAll(async () => {
    buildToolchain();
    const policy = join(directory.path, 'policy');
    mkdirSync(policy);
    for (const [name, text] of Object.entries(POLICIES)) writeFileSync(join(policy, `${name}.rego`), `package examples.${name}\n\n${text}`);
    const old = Object.keys(POLICIES).filter((name) => name.startsWith('v0'));
    writeFileSync(join(policy, '.manifest'), JSON.stringify({ rego_version: 1, file_rego_versions: Object.fromEntries(old.map((name) => [`/${name}.rego`, 0])) }));
    writeFileSync(join(directory.path, 'curfew.yaml'), CONFIG);
    service = await startService();
    curfew = await startCurfew({ directory: directory.path, args: ['--config', 'curfew.yaml'], env: { MESH_TOKEN } });
    const settings = shippedConfiguration({ curfew: curfew.ports.grpc, service: service.port });
    const filter = extAuthz(settings);
    filter.grpc_service.initial_metadata = [{ key: 'x-curfew-pep-token', value: MESH_TOKEN }];
    filter.with_request_body = { max_request_bytes: 8_192, allow_partial_message: true };
    filter.metadata_context_namespaces = ['envoy.filters.http.jwt_authn'];
    const manager = connectionManager(settings);
    const [virtual] = manager.route_config.virtual_hosts;
    const [route] = virtual.routes;
    virtual.routes = Object.keys(POLICIES).map((name) => ({
      ...route, match: { prefix: '/', headers: [{ name: 'x-example', string_match: { exact: name } }] },
      typed_per_filter_config: askingBy(ruleOf(name)),
    }));
    manager.http_filters.unshift({
      name: 'envoy.filters.http.jwt_authn',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication',
        providers: { example: { issuer: 'example', from_headers: [{ name: 'x-jwt' }], payload_in_metadata: 'verified_jwt', local_jwks: { inline_string: JSON.stringify(jwksOf(key)) } } },
        rules: [{ match: { prefix: '/' }, requires: { requires_any: { requirements: [{ provider_name: 'example' }, { allow_missing: {} }] } } }],
      },
    });
    envoy = await startEnvoy(settings);
  }, 240_000);
  afterAll(async () => {
    await envoy?.stop();
    await curfew?.stop();
    await service?.close();
    directory.remove();
  });
  beforeEach(() => void (service.hits.length = 0));

  const ask = ({ policy, method = 'GET', path, headers = [], body = '' }: Omit<Case, 'status'>): Promise<RawAnswer> =>
    rawRequest(envoy.port(), `${method} ${path} HTTP/1.1\r\n${['host: shop.local', `x-example: ${policy}`, ...headers, ...(body === '' ? [] : ['content-type: application/json', `content-length: ${body.length}`])].join('\r\n')}\r\n\r\n${body}`);

  test('each says what its example says, and either answer has its decision id', async () => {
    // OPA's own builtins are waited for only so long, and the first call of one may take longer.
    await until('the first token to be verified', async () => (await ask({ policy: 'uds', path: '/people', headers: bearer('guest') })).status === 200);
    service.hits.length = 0;
    const told = [];
    for (const given of CASES) {
      const { status, headers } = await ask(given);
      told.push(`${given.policy} ${given.method ?? 'GET'} ${given.path} ${status}`);
      expect(status === 200 ? service.hits.at(-1)?.headers['x-curfew-decision-id'] : headers.get('x-curfew-decision-id'), given.policy).toMatch(/^[0-9a-f-]{36}$/);
    }
    expect(told).toEqual(CASES.map(({ policy, method = 'GET', path, status }) => `${policy} ${method} ${path} ${status}`));
    expect(service.hits).toHaveLength(CASES.filter(({ status }) => status === 200).length);
  });

  test('additional controls: what goes to the service and to the client on a yes, status and body by why it is a no', async () => {
    await until('the first token to be verified', async () => (await ask({ policy: 'controls', path: '/people', headers: bearer('guest') })).status === 200);
    service.hits.length = 0;
    const allowed = await ask({ policy: 'controls', path: '/people?debug=1&lang=en', headers: [...bearer('guest'), 'one-auth-header: a', 'another-auth-header: b', 'kept: c'] });
    expect([allowed.status, allowed.headers.get('x-foo'), allowed.body]).toEqual([200, 'bar', 'served']);
    expect(service.hits[0]?.headers).toMatchObject({ 'x-ext-auth-allow': 'yes', 'x-validated-by': 'security-checkpoint', kept: 'c' });
    expect(service.hits[0]?.headers).not.toHaveProperty('one-auth-header');
    expect(service.hits[0]?.headers).not.toHaveProperty('another-auth-header');
    const { searchParams } = new URL(service.hits[0]?.target ?? '', 'http://h');
    expect([searchParams.get('lang'), searchParams.get('debug'), searchParams.get('user-role'), searchParams.getAll('tags').length > 0]).toEqual(['en', null, 'guest', true]);
    const denied = await ask({ policy: 'controls', method: 'POST', path: '/people', headers: bearer('guest') });
    expect([denied.status, denied.body, denied.headers.get('x-ext-auth-allow'), denied.headers.get('x-foo')]).toEqual([403, 'Unauthorized Request', 'yes', undefined]);
    const unknown = await ask({ policy: 'controls', path: '/people' });
    expect([unknown.status, unknown.body]).toEqual([401, 'Authentication Failed']);
    expect(service.hits).toHaveLength(1);
  });
});
