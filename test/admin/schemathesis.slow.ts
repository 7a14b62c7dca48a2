/**
 * What Schemathesis finds when it asks a real node everything that the admin API's own document describes, and much that the document
 * forbids: no 5xx, no answer whose status, media type, headers or body the document does not describe, nothing forbidden accepted.
 * That everything which the schemas admit is accepted is not asked for: what a cursor is, or who may be an owner, no schema says.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCurfew, type Curfew } from '../runtime/curfew.ts';
import { RUN_MS_MAX, schemathesis, shown } from '../support/schemathesis.ts';

let curfew: Curfew;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'curfew-schemathesis-'));
  curfew = await startCurfew();
});
afterAll(async () => {
  await curfew?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('it finds what is planted: a 5xx, an answer that is not as described, a status that nobody described', async () => {
  const answers = [{ description: 'ok', content: { 'application/json': { schema: { type: 'object', required: ['id'] } } } }];
  const paths = Object.fromEntries(['/broken', '/other', '/unknown'].map((path) => [path, { get: { responses: { 200: answers[0] } } }]));
  const server: Server = createServer(({ url = '' }, response) => {
    const [status, body]: readonly [number, object] = url === '/openapi.json' ? [200, { openapi: '3.1.0', info: { title: 'planted', version: '1' }, paths }]
      : url.startsWith('/broken') ? [500, { id: 1 }] : url.startsWith('/other') ? [200, {}] : [202, { id: 1 }];
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { code, output } = await schemathesis({ folder, document: `http://127.0.0.1:${(server.address() as AddressInfo).port}/openapi.json`, token: 'none', refusesNegative: true });
    expect(code, shown(output)).toBe(1);
    for (const finding of ['Server error', 'Response violates schema', 'Undocumented status code']) expect(output).toContain(finding);
  } finally {
    server.close();
  }
}, RUN_MS_MAX);

test('demand(41): the admin API answers as its document says, whatever is asked', async () => {
  const made = async (path: string, body: unknown): Promise<string> => {
    const answer = await curfew.admin('POST', path, body);
    expect(answer.status, JSON.stringify(answer.body)).toBe(201);
    return answer.body.id;
  };
  const grant = (await curfew.grant('spiffe://dev.local/ci/deployer', { ttlMs: 3_600_000 })).id;
  const task = await made('/v1/tasks', { kind: 'ci-run', owner: 'team:shop' });
  const selector = { kind: 'workload', value: 'spiffe://dev.local/ci/other' };
  const revocation = await made('/v1/revocations', { selector, reason: 'test' });
  const suspension = await made('/v1/suspensions', { selector, reason: 'test' });
  const token = readFileSync(join(curfew.directory, '.curfew/admin-token'), 'utf8').trim();
  const { code, output } = await schemathesis({ folder, document: `http://127.0.0.1:${curfew.ports.admin}/openapi.json`, token, refusesNegative: true, ids: [
    ['/grants/{id}', grant], ['/grants/{id}/[a-z]+', grant], ['/tasks/{id}', task], ['/tasks/{id}/[a-z]+', task],
    ['/revocations/{id}', revocation], ['/suspensions/{id}', suspension], ['/people/{id}', 'user:alice'], ['/workloads/{id}', 'spiffe://dev.local/ci/deployer'],
  ].map(([path = '', id = '']) => [path.replace('{id}', '\\{id\\}'), id] as const) });
  process.stdout.write(`${shown(output)}\n`);
  expect(code).toBe(0);
  const [, tested] = /Tested: (\d+)/.exec(output) ?? [];
  expect(Number(tested)).toBeGreaterThanOrEqual(100);
}, RUN_MS_MAX + 60_000);
