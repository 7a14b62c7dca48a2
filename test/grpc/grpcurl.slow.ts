/** grpcurl, which is grpc-go, asks a real node by its reflection, and both transports of ADR 0003 by the proto files: `npm run test:grpcurl`, which says where it is. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startLibrary, startOwn, type TransportServer } from '../../bench/grpc/servers.ts';
import { protoFiles } from '../../src/grpc/proto/schema.ts';
import { startCurfew, type Curfew } from '../runtime/curfew.ts';

const PROGRAM = process.env['CURFEW_TEST_GRPCURL'] ?? '';
const SERVICE = 'envoy.service.auth.v3.Authorization';
const CHECK = `${SERVICE}/Check`;
const WORKLOAD = 'spiffe://dev.local/ci/deployer';
const RUN_MS = 60_000;

interface Said {
  readonly code: number;
  readonly output: string;
}

const grpcurl = (...args: readonly string[]): Promise<Said> =>
  new Promise((resolve, reject) => {
    execFile(PROGRAM, ['-plaintext', ...args], { timeout: RUN_MS }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(new Error('grpcurl did not end by itself', { cause: error }));
      else resolve({ code: error === null ? 0 : Number(error.code), output: `${stdout}${stderr}` });
    });
  });

const answered = ({ code, output }: Said): any => {
  expect(code, output).toBe(0);
  return JSON.parse(output);
};

const question = (token?: string): string =>
  JSON.stringify({ attributes: { request: { http: { method: 'GET', path: '/orders/42', host: 'shop.local', scheme: 'http', headers: token === undefined ? {} : { authorization: `Bearer ${token}` } } } } });

describe('a real node, by its reflection', () => {
  let curfew: Curfew;
  let at: string;
  beforeAll(async () => {
    curfew = await startCurfew({ env: { CURFEW_GRPC_REFLECTION: 'true' } });
    at = `127.0.0.1:${curfew.ports.grpc}`;
  });
  afterAll(() => curfew?.stop());

  test('list and describe', async () => {
    const list = await grpcurl(at, 'list');
    expect([list.code, list.output.trim().split('\n')]).toEqual([0, [SERVICE, 'grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection']]);
    expect((await grpcurl(at, 'describe', SERVICE)).output).toContain('rpc Check ( .envoy.service.auth.v3.CheckRequest ) returns ( .envoy.service.auth.v3.CheckResponse );');
    expect((await grpcurl(at, 'describe', 'envoy.service.auth.v3.CheckRequest')).output).toContain('.envoy.service.auth.v3.AttributeContext attributes = 1;');
  });

  test('Check: an allow while the grant lives, a denial after its revocation, and one without a token', async () => {
    const { id } = await curfew.grant(WORKLOAD);
    const asked = question(await curfew.mint(WORKLOAD));
    const allow = answered(await grpcurl('-d', asked, at, CHECK));
    expect(allow.okResponse.headers.map(({ header }: { header: { key: string } }) => header.key)).toContain('x-curfew-decision-id');
    expect((await curfew.admin('POST', '/v1/revocations', { selector: { kind: 'grant', value: id }, reason: 'test' })).status).toBe(201);
    for (const denied of [asked, question()]) {
      const answer = answered(await grpcurl('-d', denied, at, CHECK));
      expect([answer.status.code === 0, answer.okResponse, answer.deniedResponse.status.code]).toEqual([false, undefined, denied === asked ? 'Forbidden' : 'Unauthorized']);
    }
  });

  test('health answers, and what is not served is an error of gRPC', async () => {
    expect(answered(await grpcurl(at, 'grpc.health.v1.Health/Check'))).toEqual({ status: 'SERVING' });
    const unknown = await grpcurl('-d', '{"service":"nobody"}', at, 'grpc.health.v1.Health/Check');
    expect([unknown.code, unknown.output]).toEqual([64 + 5, expect.stringContaining('NotFound')]);
  });
});

describe('both transports of ADR 0003, by the proto files', () => {
  let folder: string;
  const servers: TransportServer[] = [];
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'curfew-grpcurl-'));
    for (const { name, source } of protoFiles) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), source);
    }
  });
  afterAll(async () => {
    for (const server of servers) await server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const ask = (port: number, method: string, ...more: readonly string[]): Promise<Said> =>
    grpcurl('-import-path', folder, '-proto', 'envoy/service/auth/v3/external_auth.proto', '-proto', 'grpc/health/v1/health.proto', ...more, `127.0.0.1:${port}`, method);

  test.each([['src/grpc', startOwn], ['@grpc/grpc-js', startLibrary]] as const)('%s', async (_name, start) => {
    const server = await start();
    servers.push(server);
    expect(answered(await ask(server.port, CHECK, '-d', question('a'.repeat(400))))).toEqual({ status: {}, okResponse: { headers: [{ header: { key: 'x-curfew-decision-id', value: '0' } }] } });
    // What it does not serve.
    const other = await ask(server.port, 'grpc.health.v1.Health/Check');
    expect([other.code, other.output]).toEqual([64 + 12, expect.stringContaining('Unimplemented')]);
  });
});
