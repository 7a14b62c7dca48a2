/** More questions than there is time for are refused at once, explicitly, each as its protocol says no; none is ever allowed for it. */
import { createHash } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import type { Decision, Evaluation } from '../../src/decision/evaluation.ts';
import { createAdmission, type ShedCause } from '../../src/gateways/admission.ts';
import { createAuthzen } from '../../src/gateways/authzen/gateway.ts';
import { authzenConfig } from '../../src/gateways/authzen/config.ts';
import { createEnvoyGateway } from '../../src/gateways/envoy/gateway.ts';
import { envoyGatewayConfig } from '../../src/gateways/envoy/config.ts';
import { createKubernetes } from '../../src/gateways/kubernetes/gateway.ts';
import { kubernetesConfig } from '../../src/gateways/kubernetes/config.ts';
import { createOpa } from '../../src/gateways/opa/gateway.ts';
import { opaConfig } from '../../src/gateways/opa/config.ts';
import { createPepAuthenticator } from '../../src/gateways/pep.ts';
import type { GrpcCall, UnaryMethod } from '../../src/grpc/method.ts';
import { messageType } from '../../src/grpc/proto/schema.ts';
import { GRPC_STATUS } from '../../src/grpc/status.ts';
import { allowed } from '../gateways/envoy/harness.ts';
import { allowing, startGateway, type TestGateway } from '../support/http-gateway.ts';
import { until } from '../support/until.ts';

const shed: [protocol: string, cause: ShedCause][] = [];
let now = 0;
let gateway: TestGateway | undefined;
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
  shed.length = 0;
  now = 0;
});
const admissionOf = (underWayMax: number) =>
  createAdmission({ underWayMax, turnMsMax: 150, monotonicMs: () => now, onShed: (protocol, cause) => void shed.push([protocol, cause]) });

test('as many are under way as there may be, and places are free again when they end', async () => {
  const admission = admissionOf(2);
  expect([admission.enter('a'), admission.enter('a'), admission.enter('b'), admission.room('c')]).toEqual([true, true, false, false]);
  admission.leave();
  expect([admission.room('c'), admission.room('c'), admission.enter('c'), admission.enter('c')]).toEqual([true, true, true, false]);
  expect(shed).toEqual([['b', 'full'], ['c', 'full'], ['c', 'full']]);
  admission.leave();
  await expect(admission.during(Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(admission.enter('a')).toBe(true);
});

test('what is read when a turn of the loop has lasted past the deadline is shed; the next turn begins anew', async () => {
  const admission = admissionOf(10);
  expect(admission.enter('a')).toBe(true);
  now = 149;
  expect(admission.enter('a')).toBe(true);
  now = 150;
  expect(admission.enter('a')).toBe(false);
  expect(shed).toEqual([['a', 'late']]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(admission.enter('a')).toBe(true);
  now = Number.NaN;
  expect(admission.enter('a')).toBe(false);
});

const TOKEN = 'bench-token-0123456789';
const pep = { id: 'app', token: { sha256: createHash('sha256').update(TOKEN).digest('hex') }, asserts: ['spiffe://test/**'], hosts: ['*'] };

test('over HTTP each protocol says no in its own way, health is told as ever, and afterwards all is as before', async () => {
  let release: (decision: Decision) => void = () => undefined;
  let held: Evaluation | undefined;
  gateway = await startGateway({
    admission: admissionOf(1), peps: [pep],
    decide: (evaluation) => {
      if (held !== undefined) return allowing(evaluation);
      held = evaluation;
      return new Promise<Decision>((resolve) => { release = resolve; });
    },
    apis: (parts) => [
      createAuthzen({ ...parts, explain: () => Promise.reject(new Error('not here')), config: authzenConfig.parse({}), search: { data: () => undefined, scopesOf: () => Promise.resolve([]) } }),
      createKubernetes({ ...parts, onNoOpinion: () => undefined, config: kubernetesConfig.parse({ enabled: true, opinions: [{ users: ['*'] }] }) }),
      createOpa({ ...parts, config: opaConfig.parse({}), node: { version: '0', ready: () => ({ ready: true }), metrics: () => Promise.reject(new Error('not here')), bundle: () => undefined, serves: () => false } }),
    ],
  });
  const { port, evaluations } = gateway;
  const ask = (path: string, headers: Record<string, string> = {}, body?: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}${path}`, { headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}`, ...headers }, ...(body === undefined ? {} : { method: 'POST', body }) });
  const forwarded = { 'x-curfew-pep-token': TOKEN, 'x-forwarded-method': 'GET', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.local', 'x-forwarded-uri': '/orders/1' };
  const first = ask('/forward-auth', forwarded);
  await until('it is under way', () => held !== undefined);

  const told = async (response: Response): Promise<readonly unknown[]> => {
    await response.text();
    return [response.status, response.headers.get('x-curfew-reason'), response.headers.get('retry-after')];
  };
  expect(await told(await ask('/forward-auth', forwarded))).toEqual([429, 'unavailable', '1']);
  expect(await told(await ask('/ext-authz/orders/1'))).toEqual([429, 'unavailable', '1']);
  // nginx takes any other status than 401 and 403 for a failure.
  expect(await told(await ask('/forward-auth', { 'x-original-uri': '/orders/1' }))).toEqual([403, 'unavailable', '1']);
  expect(await told(await ask('/access/v1/evaluation', {}, '{}'))).toEqual([503, null, '1']);
  expect(await told(await ask('/v1/data/curfew/access/decision', {}, '{}'))).toEqual([503, null, '1']);
  // The API server asks the next authorizer after a failure; a final no it believes.
  const review = await ask('/kubernetes/v1/authorize', {}, '{}');
  expect([review.status, ((await review.json()) as any).status]).toEqual([200, expect.objectContaining({ allowed: false, denied: true })]);
  expect((await ask('/health/ready')).status).toBe(200);
  expect(evaluations).toHaveLength(1);
  expect(shed.map(([, cause]) => cause)).toEqual(Array.from({ length: 6 }, () => 'full'));

  release(allowing(held as unknown as Evaluation));
  expect((await first).status).toBe(200);
  expect((await ask('/forward-auth', forwarded)).status).toBe(200);
});

const envoyGateway = (admission: ReturnType<typeof admissionOf>, decide: (evaluation: Evaluation) => Decision | Promise<Decision>, waitedMs = 0) => {
  const made = createEnvoyGateway({
    admission, config: envoyGatewayConfig.parse({}), fineReasons: true, pep: createPepAuthenticator([], { readFile: () => '', env: () => undefined }),
    rulesFor: () => ({ routes: [], hosts: 'any' }), patience: { monotonicMs: () => now, deadlineMs: 150 },
    decide: async (evaluation) => decide(evaluation), turn: async () => { now += waitedMs; return 'turn' as const; },
  });
  return made.methods[0]?.[1] as UnaryMethod;
};
const call = (more: Partial<GrpcCall> = {}): GrpcCall => ({ path: '', metadata: {}, peer: { transport: 'plain', address: '127.0.0.1', certificate: undefined }, timeoutMs: undefined, over: () => false, ...more });
const CheckResponse = messageType('envoy.service.auth.v3.CheckResponse');

test('Envoy is told a denial, with 429, and not a status that it may be told to let pass', async () => {
  const decided: Evaluation[] = [];
  const check = envoyGateway(admissionOf(1), (evaluation) => {
    decided.push(evaluation);
    return new Promise(() => undefined);
  });
  void check.handle(Buffer.alloc(0), call(), () => true);
  await until('it is under way', () => decided.length === 1);
  const answer = CheckResponse.toObject(CheckResponse.decode(await check.handle(Buffer.alloc(0), call(), () => true))) as any;
  expect(answer).toMatchObject({ status: { code: GRPC_STATUS.RESOURCE_EXHAUSTED }, deniedResponse: { status: { code: 429 } } });
  expect(answer.okResponse).toBeUndefined();
  expect(decided).toHaveLength(1);
});

test.each([['its grpc-timeout has passed', { timeoutMs: 40 }, 40, true], ['there is time left', { timeoutMs: 41 }, 40, false], ['its caller has gone', { over: () => true }, 0, true]] as const)(
  'I15: a question over gRPC waits in line, and then %s: evaluated only if somebody waits for it', async (_name, more, waitedMs, expired) => {
    const decided: Evaluation[] = [];
    const check = envoyGateway(admissionOf(1), (evaluation) => {
      decided.push(evaluation);
      return allowed(evaluation);
    }, waitedMs);
    const answer = Promise.resolve(check.handle(Buffer.alloc(0), call(more), () => true));
    if (expired) await expect(answer).rejects.toMatchObject({ status: GRPC_STATUS.DEADLINE_EXCEEDED });
    else await answer;
    expect(decided).toHaveLength(expired ? 0 : 1);
    expect(shed).toEqual(expired ? [['ext-authz-grpc', 'expired']] : []);
    // Its place is free again.
    expect(await check.handle(Buffer.alloc(0), call(), () => true)).toBeDefined();
    expect(decided).toHaveLength(expired ? 1 : 2);
  });
