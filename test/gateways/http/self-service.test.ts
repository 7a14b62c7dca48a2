/** Self-service: what a workload does, it does with its own credential, to its own grants and tasks, on exactly these paths (THREATS B5). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Identity, Presented } from '../../../src/decision/evaluation.ts';
import type { Instant } from '../../../src/domain/instant.ts';
import type { Reason } from '../../../src/domain/reasons.ts';
import type { SelfAnswer, SelfCaller } from '../../../src/gateways/self-service/port.ts';
import { NOW, startGateway, type TestGateway } from '../../support/http-gateway.ts';
import { askOnce, openRaw, requestText, type RawResponse } from '../../support/raw-socket.ts';

const identity: Identity = {
  workload: 'spiffe://dev.local/ci', kind: 'jwt-svid', issuer: 'spiffe://dev.local', audience: ['curfew'], claims: {},
  credential: { selectors: [], expiresAt: (NOW + 60_000) as Instant, fingerprint: '0123456789abcdef' }, confirmed: {},
};

let gateway: TestGateway;
let presented: Presented[] = [];
let calls: { readonly name: string; readonly caller: SelfCaller; readonly argument: unknown }[] = [];
let covered: Reason | undefined;
let answer: SelfAnswer = { ok: true, value: { items: [] } };
let now = NOW;
let trusted = true;

const called = (name: string) => async (caller: SelfCaller, argument: unknown): Promise<SelfAnswer> => {
  calls.push({ name, caller, argument });
  return answer;
};

const asking = { askForAccess: called('ask'), showRequest: called('show'), cancelRequest: called('cancel'), askForMore: called('more'), delegate: called('delegate') };

beforeAll(async () => {
  gateway = await startGateway({
    selfService: {
      realm: 'default', fineReasons: true,
      service: { listOwnGrants: called('list'), beatTask: called('beat'), closeTask: called('close'), ...asking },
      clock: { now: () => ({ earliest: now, latest: now, trusted }), monotonicMs: () => 0 },
      authenticator: {
        authenticate: (given) => {
          presented.push(given);
          if (given.kind === 'none') return { ok: false, reason: 'credential.missing' };
          return given.kind === 'bearer' && given.token === 'good' ? { ok: true, identity } : { ok: false, reason: 'credential.signature' };
        },
      },
      admit: async () => covered,
    },
  });
});
afterAll(() => gateway.close());
beforeEach(() => {
  presented = [];
  calls = [];
  covered = undefined;
  answer = { ok: true, value: { items: [] } };
  now = NOW;
  trusted = true;
});

const ask = async (method: string, target: string, lines: readonly string[] = ['Authorization: Bearer good'], body = ''): Promise<RawResponse> => {
  const framing = body === '' ? [] : [`Content-Length: ${body.length}`];
  const response = await askOnce(gateway.port, requestText(target, [...lines, ...framing], method) + body);
  if (response === undefined) throw new Error('no answer');
  return response;
};

describe('with its own credential', () => {
  test('it lists its grants, beats and closes its tasks', async () => {
    answer = { ok: true, value: { items: [{ id: 'g1' }], next: 'c2' } };
    const listed = await ask('GET', '/self/v1/grants?limit=10&after=c1', ['Authorization: Bearer good', 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01']);
    expect([listed.status, listed.body]).toEqual([200, '{"items":[{"id":"g1"}],"next":"c2"}']);
    expect(listed.headers.get('cache-control')).toEqual(['no-store']);
    expect((await ask('POST', '/self/v1/tasks/t-1/heartbeat', ['Authorization: Bearer good', 'Idempotency-Key: k1'], '{"ignored":true}')).status).toBe(200);
    expect((await ask('POST', '/self/v1/tasks/t-1/close')).status).toBe(200);
    expect(calls.map(({ name, argument }) => [name, argument])).toEqual([['list', { limit: 10, after: 'c1' }], ['beat', 't-1'], ['close', 't-1']]);
    expect(calls[0]?.caller).toEqual({ identity, realm: 'default', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' });
    expect(calls[1]?.caller.idempotencyKey).toBe('k1');
  });

  test("the port's refusals leave as problems", async () => {
    answer = { ok: false, status: 409, code: 'task.closed', detail: 'the task is closed' };
    const response = await ask('POST', '/self/v1/tasks/t-1/close');
    expect([response.status, JSON.parse(response.body)]).toEqual([409, { title: 'the task is closed', status: 409, code: 'task.closed', detail: 'the task is closed' }]);
  });

  test('a DPoP proof is for this very request', async () => {
    await ask('POST', '/self/v1/tasks/t-1/close?x=1', ['Host: Curfew.Local:80', 'Authorization: DPoP good', 'DPoP: proof']);
    expect(presented[0]).toEqual({ kind: 'bearer', token: 'good', proof: { dpop: { proofs: ['proof'], method: 'POST', url: 'http://curfew.local/self/v1/tasks/t-1/close' } } });
  });
});

describe('otherwise nothing happens', () => {
  test.each([
    ['no credential', [], 401], ['a bad one', ['Authorization: Bearer bad'], 401], ['two', ['Authorization: Bearer good', 'Authorization: Bearer good'], 401], ['another scheme', ['Authorization: Basic Z29vZA=='], 401],
  ] as const)('%s', async (_name, lines, status) => {
    for (const [method, target] of [['GET', '/self/v1/grants'], ['POST', '/self/v1/tasks/t-1/heartbeat'], ['POST', '/self/v1/tasks/t-1/close']] as const) {
      const response = await ask(method, target, lines);
      expect(response.status).toBe(status);
      expect(response.headers.get('www-authenticate')?.[0]).toMatch(/^Bearer /);
    }
    expect(calls).toEqual([]);
  });

  test('an ending that covers it, an untrusted clock, a credential that expires meanwhile', async () => {
    covered = 'subject.revoked';
    expect((await ask('GET', '/self/v1/grants')).status).toBe(403);
    covered = undefined;
    trusted = false;
    expect((await ask('GET', '/self/v1/grants')).status).toBe(403);
    trusted = true;
    now = (NOW + 60_000) as Instant;
    const expired = await ask('GET', '/self/v1/grants');
    expect([expired.status, JSON.parse(expired.body).code]).toEqual([401, 'credential.expired']);
    expect(calls).toEqual([]);
  });

  test('bad pages, ids and keys', async () => {
    for (const query of ['limit=0', 'limit=-1', 'limit=1e3', 'limit=201', 'limit=', 'limit=1&limit=2', 'after=', 'after=%0a', `after=${'a'.repeat(600)}`, 'owner=team:x', '__proto__=1']) {
      expect((await ask('GET', `/self/v1/grants?${query}`)).status, query).toBe(400);
    }
    for (const id of ['a%20b', 'a'.repeat(200), '*', 'a,b']) expect((await ask('POST', `/self/v1/tasks/${id}/close`)).status, id).toBe(404);
    for (const lines of [['Idempotency-Key: a', 'Idempotency-Key: b'], ['Idempotency-Key:'], [`Idempotency-Key: ${'k'.repeat(200)}`], ['Idempotency-Key: a b']]) {
      expect((await ask('POST', '/self/v1/tasks/t-1/close', ['Authorization: Bearer good', ...lines])).status, lines.join()).toBe(400);
    }
    expect(calls).toEqual([]);
  });

  test('B5: every other spelling and method of a path is 404 and reaches no handler', async () => {
    const spellings = [
      '/self/v1/grants/', '//self/v1/grants', '/self//v1/grants', '/self/./v1/grants', '/self/x/../v1/grants', '/self/v1%2fgrants', '/self%2Fv1/grants', '/%73elf/v1/grants', '/SELF/v1/grants',
      '/self/v1/grants;x', '/self/v1/grants%00', '/self/v1\\grants', '/self/v1/grants%20', '/self/v1/grants.', '/self/v1/tasks/t-1%2f..%2f/close', '/self/v1/tasks/../grants', '/self/v1/tasks//close',
      '/self/v1/tasks/t-1/close/', '/self/v1/tasks/t-1/pause', '/forward-auth/../self/v1/grants', 'http://x/self/v1/grants',
    ];
    for (const target of spellings) {
      for (const method of ['GET', 'POST']) expect((await ask(method, target)).status, `${method} ${target}`).toBe(404);
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) expect((await ask(method, '/self/v1/grants')).status, method).toBe(404);
    expect((await ask('GET', '/self/v1/tasks/t-1/close')).status).toBe(404);
    expect(calls).toEqual([]);
    expect(presented).toEqual([]);
  });

  test('access is asked for with a strict body, and only by a verified caller', async () => {
    const json = ['Authorization: Bearer good', 'Content-Type: application/json'];
    const body = { entitlement: 'kb-read', ttlMs: 1_000, justification: 'x' };
    expect((await ask('POST', '/self/v1/requests', json, JSON.stringify(body))).status).toBe(200);
    expect((await ask('POST', '/self/v1/grants/g-1/delegations', json, JSON.stringify({ workload: 'spiffe://a/b', ttlMs: 1, justification: 'x' }))).status).toBe(200);
    expect((await ask('POST', '/self/v1/grants/g-1/extensions', json, JSON.stringify({ ttlMs: 1, justification: 'x' }))).status).toBe(200);
    expect((await ask('GET', '/self/v1/requests/r-1')).status).toBe(200);
    expect(calls.map(({ name, argument }) => [name, argument])).toEqual([['ask', body], ['delegate', 'g-1'], ['more', 'g-1'], ['show', 'r-1']]);
    calls = [];
    // Another workload can't be named; nor can what is not listed, by no form of body.
    const named = await ask('POST', '/self/v1/requests', json, JSON.stringify({ ...body, workload: 'spiffe://dev.local/other' }));
    expect([named.status, named.body]).toEqual([400, expect.stringContaining('/workload is not known here')]);
    for (const text of ['', '[]', '{"entitlement":1}', '{', JSON.stringify({ ...body, x: 1 }), '{"entitlement":"a","entitlement":"b","justification":"x"}']) expect((await ask('POST', '/self/v1/requests', json, text)).status, text).toBe(400);
    expect((await ask('POST', '/self/v1/requests', ['Authorization: Bearer good'], JSON.stringify(body))).status).toBe(400);
    expect((await ask('POST', '/self/v1/requests', ['Authorization: Bearer bad', 'Content-Type: application/json'], JSON.stringify(body))).status).toBe(401);
    expect(calls).toEqual([]);
  });

  test('B4: a body with a transfer coding beside chunked is refused, and not read as it is', async () => {
    const text = JSON.stringify({ entitlement: 'kb-read', justification: 'x' });
    const send = (codings: readonly string[]) =>
      askOnce(gateway.port, `${requestText('/self/v1/requests', ['Authorization: Bearer good', 'Content-Type: application/json', ...codings.map((coding) => `Transfer-Encoding: ${coding}`)], 'POST')}${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`);
    for (const codings of [['gzip, chunked'], ['gzip', 'chunked'], ['identity, chunked']]) expect((await send(codings))?.status, codings.join('; ')).toBe(400);
    expect(calls).toEqual([]);
    expect((await send(['Chunked']))?.status).toBe(200);
  });

  test('a port that fails says nothing of why, and the connection goes on', async () => {
    const failing = await startGateway({
      selfService: {
        realm: 'default', fineReasons: true,
        service: { listOwnGrants: () => Promise.reject(new Error('secret path /var/lib')), beatTask: called('beat'), closeTask: called('close'), ...asking },
        clock: { now: () => ({ earliest: NOW, latest: NOW, trusted: true }), monotonicMs: () => 0 },
        authenticator: { authenticate: () => ({ ok: true, identity }) },
        admit: async () => undefined,
      },
    });
    const connection = await openRaw(failing.port);
    for (let round = 0; round < 2; round += 1) {
      const response = await connection.ask(requestText('/self/v1/grants', ['Authorization: Bearer good']));
      expect(response?.status).toBe(503);
      expect(response?.body).not.toContain('secret');
    }
    connection.close();
    await failing.close();
  });
});
