/**
 * What Schemathesis finds when it asks a real node everything that the admin API's own document describes, and much that the document
 * forbids: no 5xx, no answer whose status, media type, headers or body the document does not describe, nothing forbidden accepted.
 * That everything which the schemas admit is accepted is not asked for: what a cursor is, or who may be an owner, no schema says.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCurfew, type Curfew } from '../runtime/curfew.ts';

const PYTHON = process.env['CURFEW_TEST_SCHEMATHESIS'] ?? '';
const EXAMPLES = process.env['CURFEW_TEST_EXAMPLES'] ?? '30';
const SEED = process.env['CURFEW_TEST_SEED'] ?? '1';
const RUN_MS_MAX = 900_000;
const CHECKS = [
  'not_a_server_error', 'status_code_conformance', 'content_type_conformance', 'response_schema_conformance', 'response_headers_conformance', 'negative_data_rejection',
];

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

interface Found {
  readonly code: number | null;
  readonly output: string;
}

/** `ids`: of things that are there, by the path that names them, so that answers about them are seen too. */
const schemathesis = (url: string, token: string, ids: readonly (readonly [string, string])[] = []): Promise<Found> => {
  const config = join(folder, 'schemathesis.toml');
  writeFileSync(config, [
    // What is too large is refused by its size, whatever else is wrong with it.
    '[checks.negative_data_rejection]', 'expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415, 422, 431]',
    ...ids.flatMap(([path, id]) => ['[[operations]]', `include-path-regex = ${JSON.stringify(`${path}$`)}`, `parameters = { id = ${JSON.stringify(id)} }`]),
  ].join('\n'));
  const child = spawn(PYTHON, [
    '-c', 'from schemathesis.cli import schemathesis; schemathesis()', '--config-file', config, '--no-color',
    'run', `${url}/openapi.json`, '--header', `Authorization: Bearer ${token}`, '--checks', CHECKS.join(','), '--phases', 'examples,coverage,fuzzing',
    '--max-examples', EXAMPLES, '--seed', SEED, '--workers', '1', '--request-timeout', '30', '--generation-database', 'none', '--warnings', 'off',
  ], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], timeout: RUN_MS_MAX, killSignal: 'SIGKILL' });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => { output += chunk; });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
};

/** The findings and the summary; a line may be as long as a request. */
const shown = (output: string): string => output.split('\n').map((line) => line.slice(0, 400)).join('\n');

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
    const { code, output } = await schemathesis(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'none');
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
  const { code, output } = await schemathesis(`http://127.0.0.1:${curfew.ports.admin}`, token, [
    ['/grants/{id}', grant], ['/grants/{id}/[a-z]+', grant], ['/tasks/{id}', task], ['/tasks/{id}/[a-z]+', task],
    ['/revocations/{id}', revocation], ['/suspensions/{id}', suspension], ['/people/{id}', 'user:alice'], ['/workloads/{id}', 'spiffe://dev.local/ci/deployer'],
  ].map(([path = '', id = '']) => [path.replace('{id}', '\\{id\\}'), id] as const));
  process.stdout.write(`${shown(output)}\n`);
  expect(code).toBe(0);
  const [, tested] = /Tested: (\d+)/.exec(output) ?? [];
  expect(Number(tested)).toBeGreaterThanOrEqual(100);
}, RUN_MS_MAX + 60_000);
