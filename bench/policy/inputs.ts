/** Inputs as the gateway for Envoy and the pipeline make them: one live grant under an open task. */
import { policyInput } from '../../src/decision/input.ts';
import type { Identity } from '../../src/decision/evaluation.ts';
import type { Facts, GrantFact } from '../../src/domain/facts.ts';
import type { Grant } from '../../src/domain/grant.ts';
import type { Instant } from '../../src/domain/instant.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import type { Task } from '../../src/domain/task.ts';
import { envoyGatewayConfig } from '../../src/gateways/envoy/config.ts';
import { evaluationOf } from '../../src/gateways/envoy/evaluation.ts';
import { httpRules } from '../../src/gateways/http-question.ts';

export const NOW = 1_800_000_000_000 as Instant;
const END = (NOW + 300_000) as Instant;
const WORKLOAD = 'spiffe://bench.local/ci/deployer';

const grant: Grant = {
  version: 1, id: '01a20135-65e8-7e2c-8ca4-f2b0b30e06e5', realm: 'default', epoch: 'e1', workload: WORKLOAD, model: 'jit',
  scopes: [{ actions: ['GET', 'HEAD'], resource: { type: 'http', id: 'shop.local/orders/**' } }],
  conditions: {}, notBefore: NOW, expiresAt: END, owners: ['team:shop'], approvals: [], bundleRevision: 'bench', issuedBy: 'user:bench', issuedAt: NOW,
  direct: true, justification: 'release 42', tier: 'standard', chain: [], task: 'run-7', reference: 'SHOP-42', entitlement: 'shop-deploy',
};
const task: Task = { version: 1, id: 'run-7', kind: 'ci', owner: 'team:shop', openedBy: 'user:bench', openedAt: NOW, state: 'open', deadline: END };
const fact: GrantFact = { grant, version: 2, root: 1, ancestorsPresent: new Set() };
const facts: Facts = {
  epoch: 'e1', position: { epoch: 'e1', sequence: 9 }, endingsMark: { sequence: 0, hash: '' }, grants: [fact], ended: [],
  tasks: new Map([[task.id, { task, version: 1 }]]), endings: new Map(), deadlines: [], malformed: 0,
};

const identityWith = (claims: JsonObject): Identity => ({
  workload: WORKLOAD, kind: 'jwt-svid', issuer: 'spiffe://bench.local', audience: ['curfew'], confirmed: {},
  claims: { sub: WORKLOAD, aud: ['curfew'], exp: END / 1_000, iat: NOW / 1_000, ...claims },
  credential: { selectors: [], issuedAt: NOW, expiresAt: END, fingerprint: '0123456789abcdef' },
});

const QUESTION = { action: 'GET', resource: { type: 'http', id: 'shop.local/orders/42' } };

export const bytesOf = (input: JsonObject): number => Buffer.byteLength(JSON.stringify(input));

/** Exactly that many bytes as JSON; what is missing is filled with a claim. Throws when it is more without one. */
export const inputOf = (bytes: number): JsonObject => {
  const make = (jti: string): JsonObject =>
    policyInput(
      { id: 'bench', realm: 'default', protocol: 'forward-auth', pep: { id: 'gateway', obligations: [] }, presented: { kind: 'none' }, input: {} },
      QUESTION, identityWith({ jti }), [{ fact, until: END }], facts, NOW,
    );
  const missing = bytes - bytesOf(make(''));
  if (missing < 0) throw new Error(`an input needs ${-missing} bytes more`);
  return make('x'.repeat(missing));
};

const HEADERS: Readonly<Record<string, string>> = {
  ':authority': 'shop.local', ':method': 'GET', ':path': '/orders/42?page=1', ':scheme': 'https',
  accept: 'application/json', 'accept-encoding': 'gzip, br', 'accept-language': 'en', authorization: `Bearer ${'a'.repeat(400)}`, 'cache-control': 'no-cache',
  'content-type': 'application/json', origin: 'https://shop.local', referer: 'https://shop.local/', 'user-agent': 'shop-deployer/1.42', via: '1.1 edge',
  'x-b3-sampled': '1', 'x-b3-spanid': '00f067aa0ba902b7', 'x-b3-traceid': '4bf92f3577b34da6a3ce929d0e0e4736', 'x-forwarded-for': '192.0.2.7', 'x-forwarded-proto': 'https',
  'x-request-id': '5f0c2a52-7f5e-4c1b-9c0e-0b6f3c1f4a11',
};

/** What Envoy sends with a request of 20 headers, and what is made of it. */
export const envoyInput = (): JsonObject => {
  const { evaluation } = evaluationOf(
    {
      attributes: {
        source: { address: { socketAddress: { address: '192.0.2.7', portValue: 51_234 } }, principal: WORKLOAD },
        destination: { address: { socketAddress: { address: '198.51.100.9', portValue: 443 } } },
        request: { time: { seconds: '1800000000', nanos: 0 }, http: { method: 'GET', path: '/orders/42?page=1', host: 'shop.local', scheme: 'https', protocol: 'HTTP/2', size: -1, headers: HEADERS } },
      },
    },
    { id: 'bench', pep: { ok: true, pep: { id: 'gateway', obligations: [] }, config: undefined }, config: envoyGatewayConfig.parse({}), rulesFor: httpRules([]), sentWith: 'turn' },
  );
  if (evaluation.question === undefined || evaluation.refused !== undefined) throw new Error(`the request was refused: ${evaluation.refused}`);
  const sent = Object.keys((evaluation.input as { attributes: { request: { http: { headers: object } } } }).attributes.request.http.headers).length;
  if (sent !== 20) throw new Error(`${sent} headers`);
  return policyInput(evaluation, evaluation.question, identityWith({}), [{ fact, until: END }], facts, NOW);
};
