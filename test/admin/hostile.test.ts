/** Bad input to the admin API over its real listener: 4xx, what was wrong and where, and nothing written. */
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { listenAdmin } from '../../src/admin/listen.ts';
import type { HttpServer } from '../../src/gateways/http/server.ts';
import { rawRequest } from '../support/raw-http.ts';
import { StoreUnavailable } from '../../src/store/port.ts';
import { WORKLOAD } from '../lifecycle/world.ts';
import { createAdminWorld, type AdminWorld } from './world.ts';

let world: AdminWorld;
let server: HttpServer;
let events = 0;
beforeAll(async () => {
  world = await createAdminWorld({ metrics: async () => ({ contentType: 'text/plain', text: 'x 1\n' }), live: () => ({ ok: true }), ready: () => ({ ok: true }) });
  server = await listenAdmin({ host: '127.0.0.1', port: 0, drainMs: 100, fetch: (request) => world.app.fetch(request) });
});
afterAll(async () => {
  await server.close();
  await world.close();
});
beforeEach(() => {
  events = world.events();
});

const GRANT = {
  workload: WORKLOAD, model: 'time-boxed', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/orders/**' } }],
  ttlMs: 60_000, owner: 'team:shop', justification: 'deploy', reference: 'CHG-1',
};
const post = (path: string, body: string | Buffer, headers: readonly string[] = []) =>
  rawRequest(server.port, Buffer.concat([
    Buffer.from([`POST ${path} HTTP/1.1`, 'host: localhost', 'authorization: Bearer all', 'content-type: application/json', `content-length: ${Buffer.byteLength(body)}`, ...headers].join('\r\n') + '\r\n\r\n'),
    Buffer.from(body),
  ]));

test('B8: a request that can not be read, or whose headers are too large, is refused with a problem like any other', async () => {
  const lines = ['host: localhost', 'authorization: Bearer all'];
  for (const [code, status, request] of [
    ['headers-too-large', 431, `GET /v1/tasks?after=${'%C2'.repeat(8_000)} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`],
    ['malformed', 400, `GET /v1/tasks HTTP/1.1\r\n${lines.join('\r\n')}\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`],
  ] as const) {
    const answer = await rawRequest(server.port, request);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(JSON.parse(answer.body)).toMatchObject({ type: `urn:curfew:problem:${code}`, status, code });
  }
});

test('B4: a body with a transfer coding beside chunked is refused, and not read as it is', async () => {
  const text = JSON.stringify(GRANT);
  const send = (codings: readonly string[], path = '/v1/grants') =>
    rawRequest(server.port, `POST ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer all\r\ncontent-type: application/json\r\n${codings.map((coding) => `transfer-encoding: ${coding}\r\n`).join('')}\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`);
  for (const codings of [['gzip, chunked'], ['gzip', 'chunked'], ['identity, chunked'], ['chunked, chunked'], ['chunked', 'chunked'], ['GZIP , Chunked']]) {
    const answer = await send(codings);
    expect(answer.status, codings.join('; ')).toBe(400);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(world.events(), codings.join('; ')).toBe(events);
  }
  expect((await send(['Chunked'])).status).toBe(201);
});

describe('B5: every route answers nothing without a credential, however its path is written', () => {
  const encodings: readonly ((path: string) => string)[] = [
    (path) => path, (path) => `/${path}`, (path) => `${path}/`, (path) => `${path}//`, (path) => `${path}?x=1`, (path) => `${path}%00`, (path) => `${path}%20`, (path) => `${path};x=1`, (path) => `${path}/.`,
    (path) => `/.${path}`, (path) => `/x/..${path}`, (path) => path.replace('/v1', '/%761'), (path) => path.replace('/v1', '/V1'), (path) => path.replace('/v1/', '/v1%2f'), (path) => path.replace('/v1/', '/v1%252f'),
    (path) => path.replace('/v1/', '/v1//'), (path) => path.replace('/v1/', '/v1/./'), (path) => path.replace('/v1/', '/v1\\'), (path) => `http://localhost${path}`, (path) => `${path}#x`, (path) => path.toUpperCase(), (path) => `${path}%2e`,
  ];
  const routes = (): readonly (readonly [string, string])[] =>
    world.app.routes.filter(({ path, method }) => path.startsWith('/v1') && method !== 'ALL').map(({ method, path }) => [method, path.replaceAll(':realm', 'default').replaceAll(/:\w+/g, grantId)] as const);
  let grantId = '';

  test('20 encodings and more of each of them', async () => {
    const issued = JSON.parse((await post('/v1/grants', JSON.stringify(GRANT))).body) as { id: string };
    grantId = issued.id;
    const before = world.events();
    const all = routes();
    expect(all.length).toBeGreaterThanOrEqual(36);
    expect(encodings.length).toBeGreaterThanOrEqual(20);
    let asked = 0;
    for (const [method, path] of all) {
      for (const encode of encodings) {
        for (const credential of ['', 'authorization: Bearer \r\n', 'authorization: Basic YWxsOmFsbA==\r\n']) {
          const answer = await rawRequest(server.port, `${method} ${encode(path)} HTTP/1.1\r\nhost: localhost\r\n${credential}content-length: 0\r\n\r\n`);
          asked += 1;
          expect([400, 401, 404], `${method} ${encode(path)} ${answer.status}`).toContain(answer.status);
          expect(answer.body).not.toContain(WORKLOAD);
          if (credential === '' && encode === encodings[0]) expect(answer.status).toBe(401);
          if (answer.status === 401) expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="curfew"');
        }
      }
    }
    expect(asked).toBe(all.length * encodings.length * 3);
    expect(world.events()).toBe(before);
    // Positive control: the same grant is there for who may see it.
    expect((await rawRequest(server.port, `GET /v1/grants/${grantId} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer all\r\n\r\n`)).body).toContain(WORKLOAD);
  });

  test('a wrong, doubled or split credential is none', async () => {
    for (const lines of ['authorization: Bearer wrong', 'authorization: Bearer all\r\nauthorization: Bearer all', 'authorization: Bearer all\r\nauthorization: Bearer wrong', 'authorization: bearer all', 'authorization: Bearer  all', 'authorization: Bearer all,all', 'x-authorization: Bearer all', 'cookie: token=all']) {
      const answer = await rawRequest(server.port, `GET /v1/grants HTTP/1.1\r\nhost: localhost\r\n${lines}\r\n\r\n`);
      expect(answer.status, lines).toBe(401);
    }
  });
});

describe('B7: JSON with one reading only', () => {
  const text = JSON.stringify(GRANT);
  const cases: readonly (readonly [string, string, number, string])[] = [
    ['a member twice', text.replace('"ttlMs":60000', '"ttlMs":60000,"ttlMs":1'), 400, 'malformed'],
    ['a nested member twice', text.replace('"type":"http"', '"type":"http","type":"x"'), 400, 'malformed'],
    ['a member twice, once escaped', text.replace('"ttlMs":60000', '"ttlMs":60000,"ttl\\u004ds":1'), 400, 'malformed'],
    ['__proto__', text.replace('"ttlMs":60000', '"ttlMs":60000,"__proto__":{"polluted":1}'), 400, 'malformed'],
    ['constructor', text.replace('"ttlMs":60000', '"ttlMs":60000,"constructor":{"prototype":{"polluted":1}}'), 400, 'invalid'],
    ['prototype', text.replace('"ttlMs":60000', '"ttlMs":60000,"prototype":{"polluted":1}'), 400, 'invalid'],
    ['1e400', text.replace('60000', '1e400'), 400, 'malformed'],
    ['1e308', text.replace('60000', '1e308'), 400, 'invalid'],
    ['NaN', text.replace('60000', 'NaN'), 400, 'malformed'],
    ['a string for a number', text.replace('60000', '"60000"'), 400, 'invalid'],
    ['"1h"', text.replace('60000', '"1h"'), 400, 'invalid'],
    ['a fraction', text.replace('60000', '1.5'), 400, 'invalid'],
    ['null', text.replace('60000', 'null'), 400, 'invalid'],
    ['a list', `[${text}]`, 400, 'malformed'],
    ['a string', '"x"', 400, 'malformed'],
    ['nothing', '', 400, 'invalid'],
    ['half', text.slice(0, -2), 400, 'malformed'],
    ['a tail', `${text}x`, 400, 'malformed'],
    ['a byte order mark', `\ufeff${text}`, 400, 'malformed'],
    ['a lone surrogate', text.replace('deploy', '\\ud800'), 400, 'malformed'],
    ['NUL in a string', text.replace('deploy', 'a\\u0000b'), 400, 'invalid'],
    ['a comment', `/* */${text}`, 400, 'malformed'],
    ['depth 100,000', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 400, 'malformed'],
  ];
  test.each(cases)('%s', async (_name, body, status, code) => {
    const answer = await post('/v1/grants', body);
    expect(answer.status, answer.body).toBe(status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    // What was wrong, and where.
    expect(JSON.parse(answer.body)).toMatchObject({ status, code, type: `urn:curfew:problem:${code}`, detail: expect.any(String) });
    if (!['a list', 'a string'].includes(_name)) expect(JSON.parse(answer.body).errors[0], answer.body).toMatchObject({ path: expect.stringMatching(/^(?:$|\/)/), message: expect.stringMatching(code === 'malformed' ? /\(line 1, column \d+\)$/ : /./) });
    expect(world.events()).toBe(events);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test.each([
    ['1e400', text.replace('60000', '1e400'), '/ttlMs', /beyond range/], ['a member twice', text.replace('"type":"http"', '"type":"http","type":"x"'), '/scopes/0/resource/type', /twice/],
    ['half', text.slice(0, -2), '/reference', /not JSON/],
  ])('%s is told with its place', async (_name, body, path, message) => {
    const { detail, errors } = JSON.parse((await post('/v1/grants', body)).body);
    expect(errors).toEqual([{ path, message: expect.stringMatching(message) }]);
    expect(detail).toContain(path);
  });

  test('bytes that are not UTF-8', async () => {
    const answer = await post('/v1/grants', Buffer.concat([Buffer.from(text.slice(0, -1)), Buffer.from([0xff, 0x7d])]));
    expect(JSON.parse(answer.body)).toMatchObject({ status: 400, code: 'malformed' });
  });

  test('another content type, or none', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/json; charset=latin1', 'application/jsonx']) {
      const answer = await rawRequest(server.port, `POST /v1/grants HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer all\r\ncontent-type: ${type}\r\ncontent-length: ${text.length}\r\n\r\n${text}`);
      expect(answer.status, type).toBe(415);
    }
    const none = await rawRequest(server.port, `POST /v1/grants HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer all\r\ncontent-length: ${text.length}\r\n\r\n${text}`);
    expect(none.status).toBe(415);
    expect(world.events()).toBe(events);
  });
});

describe('C1: what is wrong and where', () => {
  const cases: readonly (readonly [object, string, RegExp])[] = [
    [{ ttlMs: -1 }, '/ttlMs', /1 to 86400000/], [{ ttlMs: 0 }, '/ttlMs', /1 to 86400000/], [{ ttlMs: 86_400_001 }, '/ttlMs', /1 to 86400000/], [{ ttlMs: '1h' }, '/ttlMs', /type number/],
    [{ ttl: 1 }, '/ttl', /did you mean ttlMs/], [{ ttlMS: 1 }, '/ttlMS', /did you mean ttlMs/], [{ justifcation: 'x' }, '/justifcation', /did you mean justification/], [{ zzzzzzzz: 1 }, '/zzzzzzzz', /is not known here/],
    [{ scopes: [{ actions: ['GET'], resource: { type: 'http', idd: 'x', id: 'x' } }] }, '/scopes/0/resource/idd', /did you mean id/],
    [{ scopes: [{ actions: ['GET'], resource: { type: 'http' } }] }, '/scopes/0/resource/id', /is missing/],
    [{ conditions: { sources: [] } }, '/conditions/sources', /did you mean source/], [{ model: 'forever' }, '/model', /time-boxed, jit, break-glass/], [{ notBefore: 'yesterday' }, '/notBefore', /RFC 3339/],
    [{ id: 'mine' }, '/id', /not known/], [{ root: 0 }, '/root', /not known/], [{ approvals: [] }, '/approvals', /not known/], [{ issuedBy: 'user:x' }, '/issuedBy', /not known/], [{ expiresAt: '2030-02-30T00:00:00Z' }, '/expiresAt', /RFC 3339/],
  ];
  test.each(cases)('%j', async (over, path, message) => {
    const answer = await world.ask('POST', '/v1/grants', { ...GRANT, ...over });
    expect(answer.status).toBe(400);
    expect(answer.body.errors.find((error: any) => error.path === path)?.message, answer.text).toMatch(message);
    expect(answer.body.detail).toContain(path);
    expect(world.events()).toBe(events);
  });

  test('several faults are told at once, and a bounded number of them', async () => {
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`unknown${index}`, 1]));
    const answer = await world.ask('POST', '/v1/grants', { ...many });
    expect(answer.body.errors.length).toBe(20);
    expect((await world.ask('POST', '/v1/grants', { ...GRANT, ttlMs: 0, owner: 'x', scopes: [] })).body.errors.map(({ path }: any) => path)).toEqual(['/scopes', '/owner', '/ttlMs']);
  });

  test('unknown query members, wrong ones, and cursors of elsewhere', async () => {
    expect((await world.ask('GET', '/v1/grants?workloads=x')).body.errors[0]).toEqual({ path: '/workloads', message: 'is not known here; did you mean workload?' });
    for (const query of ['limit=0', 'limit=201', 'limit=1000', 'limit=-1', 'limit=1e2', 'limit=x', 'state=none', 'after=%00', 'after=zzzz', 'limit=1&limit=2', 'model=jitt']) {
      expect((await world.ask('GET', `/v1/grants?${query}`)).status, query).toBe(400);
    }
    expect((await world.ask('GET', '/v1/tasks?after=AAAA')).status).toBe(400);
  });

  test('a selector of no known form', async () => {
    for (const value of [1, null, [], true]) expect((await world.ask('POST', '/v1/revocations', { selector: { kind: 'workload', value }, reason: 'x' })).body.errors).toEqual([{ path: '/selector/value', message: 'has none of the forms that it may have' }]);
    expect((await world.ask('POST', '/v1/revocations', { selector: { kind: 'world', value: 'x' }, reason: 'x' })).body.errors[0].path).toBe('/selector/kind');
  });

  test('what takes no body refuses one', async () => {
    expect((await world.ask('POST', '/v1/tasks/x/close', { state: 'open' })).body.errors[0].path).toBe('/state');
  });
});

describe('B8: sizes', () => {
  test('a body beyond the cap, announced or not, is refused at once', async () => {
    const announced = await post('/v1/grants', JSON.stringify({ ...GRANT, justification: 'x'.repeat(300_000) }));
    expect(announced.status).toBe(413);
    // 100 MB are announced and never sent; the answer does not wait for them.
    const huge = await rawRequest(server.port, 'POST /v1/grants HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer all\r\ncontent-type: application/json\r\ncontent-length: 100000000\r\n\r\n{');
    expect(huge.status).toBe(413);
    const status = await new Promise<string>((resolve, reject) => {
      const socket = connect(server.port, '127.0.0.1');
      let text = '';
      socket.on('data', (data) => (text += data.toString()));
      socket.on('close', () => resolve(text.split('\r\n')[0] ?? ''));
      socket.on('error', () => (text === '' ? reject(new Error('reset before an answer')) : resolve(text.split('\r\n')[0] ?? '')));
      socket.write('POST /v1/grants HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer all\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n');
      const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
      const send = (): void => {
        if (text === '' && !socket.destroyed) socket.write(chunk, () => setImmediate(send));
      };
      send();
    });
    expect(status).toContain('413');
    expect(world.events()).toBe(events);
  });

  test('idempotency keys are bounded and visible', async () => {
    for (const key of ['', ' ', 'x'.repeat(201), 'a b', '\u00e9']) {
      expect((await world.ask('POST', '/v1/grants', GRANT, { 'idempotency-key': key })).status, key).toBe(400);
    }
  });
});

describe('G5: browsers', () => {
  test('DNS rebinding: a Host that is not ours is not served, health and metrics neither', async () => {
    for (const path of ['/v1/grants', '/openapi.json', '/metrics', '/health/live', '/health/ready']) {
      for (const host of ['evil.example', '127.0.0.1.evil.example', 'localhost.evil.example', 'localhost@evil.example', '127.0.0.2', '', 'localhost, evil', '[::1', 'evil.example:8182']) {
        const answer = await rawRequest(server.port, `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer all\r\n\r\n`);
        expect([400, 421], `${path} ${host}`).toContain(answer.status);
      }
      for (const host of ['localhost', 'LOCALHOST:8182', '127.0.0.1:1', '[::1]:8182']) {
        expect((await rawRequest(server.port, `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer all\r\n\r\n`)).status, `${path} ${host}`).toBe(200);
      }
    }
  });

  test('CSRF: a request with an Origin is refused unless that is configured', async () => {
    for (const origin of ['http://localhost:8182', 'null', 'https://evil.example']) expect((await world.ask('POST', '/v1/grants', GRANT, { origin })).status).toBe(403);
    const open = await createAdminWorld({ guard: { allowedHosts: ['admin.example'], allowedOrigins: ['https://console.example'] } });
    expect((await open.ask('POST', '/v1/grants', GRANT, { origin: 'https://console.example', host: 'admin.example' })).status).toBe(201);
    expect((await open.ask('POST', '/v1/grants', GRANT, { origin: 'https://console.example.evil', host: 'admin.example' })).status).toBe(403);
    await open.close();
  });

  test('framing, sniffing and caching are off on every answer', async () => {
    for (const [method, path] of [['GET', '/v1/grants'], ['GET', '/nothing'], ['POST', '/v1/grants'], ['GET', '/openapi.json']] as const) {
      const { headers } = await world.ask(method, path);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    }
  });

  test('a method that a path does not have is told, without a credential nothing else is', async () => {
    const answer = await world.ask('DELETE', '/v1/grants');
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('POST, GET');
    expect((await world.ask('TRACE', '/v1/grants/x').catch(() => ({ status: 405 }))).status).toBe(405);
  });
});

test('E8: an unknown outcome is a 503 that says unknown, and how to repeat safely', async () => {
  const unsure = await createAdminWorld({}, { wrap: (store) => ({ ...store, commit: async () => { throw new StoreUnavailable('reset'); } }) });
  const answer = await unsure.ask('POST', '/v1/grants', GRANT, { 'idempotency-key': 'k' });
  expect([answer.status, answer.body.code]).toEqual([503, 'outcome-unknown']);
  expect(answer.body.detail).toMatch(/may or may not have taken effect.*same idempotency key/);
  await unsure.close();
});

test('an unexpected failure says nothing of itself, and what went wrong is told inside', async () => {
  const broken = await createAdminWorld({ findDecision: async () => { throw new Error('secret-path /var/lib'); } });
  const answer = await broken.ask('GET', '/v1/decisions/00000000-0000-4000-8000-000000000000');
  expect(answer.status).toBe(500);
  expect(answer.text).not.toContain('secret-path');
  expect(String(broken.errors[0])).toContain('secret-path');
  await broken.close();
});
