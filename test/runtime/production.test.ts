/** What exists in development only does not exist in production. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleOf, newKey, signed } from '../identity/forge.ts';
import { until } from '../support/until.ts';
import { runCurfew, startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const PORTS = ['--http-port', '0', '--grpc-port', '0', '--admin-port', '0', '--workers', '1'];
const serve = (more = ''): string => `
store: {path: store}
decisionLog: {to: file, path: decisions.jsonl}
identity:
  issuers:
    - {kind: spiffe, trustDomain: example.org, audiences: [curfew], bundle: {file: bundle.json}}
${more}`;

describe('G5: in production', () => {
  const { path: directory, remove } = temporaryDirectory();
  const key = newKey();
  const nowS = (): number => Math.floor(Date.now() / 1000);
  const svid = (): string => signed({ alg: 'ES256', kid: key.kid, typ: 'JWT' }, { sub: 'spiffe://example.org/ci', aud: 'curfew', iat: nowS(), exp: nowS() + 300, jti: 'j1' }, key);
  let dev: Curfew;
  let curfew: Curfew;
  let developmentToken: string;
  let adminToken: string;

  beforeAll(async () => {
    writeFileSync(join(directory, 'bundle.json'), JSON.stringify(bundleOf(key)));
    dev = await startCurfew();
    developmentToken = await dev.mint('spiffe://dev.local/ci/deployer');
    await dev.grant('spiffe://dev.local/ci/deployer');
    expect((await dev.ask(developmentToken)).status).toBe(200);
    adminToken = readFileSync(join(dev.directory, '.curfew/admin-token'), 'utf8').trim();
    // Whatever development left behind lies about.
    mkdirSync(join(directory, '.curfew'));
    for (const file of ['dev-key.json', 'admin-token']) copyFileSync(join(dev.directory, '.curfew', file), join(directory, '.curfew', file));
    curfew = await startCurfew({ directory, config: serve('admin: {operators: {bootstrapTokenFile: bootstrap-token}}') });
  });
  afterAll(async () => {
    await curfew?.stop();
    await dev?.stop();
    remove();
  });

  test('development identities are no credentials', async () => {
    const answer = await curfew.ask(developmentToken);
    expect([answer.status, answer.reason]).toEqual([401, 'unauthenticated']);
  });
  test('G1: the wire says only what kind of denial it was, without grants', async () => {
    const answer = await curfew.ask(svid());
    expect([answer.status, answer.reason]).toEqual([403, 'denied']);
    expect(answer.headers.get('x-curfew-grant')).toBeNull();
    const id = answer.headers.get('x-curfew-decision-id') ?? 'none';
    await until('the record', () => readFileSync(join(directory, 'decisions.jsonl'), 'utf8').includes(id));
    const record = readFileSync(join(directory, 'decisions.jsonl'), 'utf8').split('\n').find((line) => line.includes(id)) ?? '';
    expect(JSON.parse(record)).toMatchObject({ workload: 'spiffe://example.org/ci', result: { allow: false, reason: 'grant.none' } });
    expect(record).not.toContain(svid().split('.')[2]);
  });
  test('the development operator token opens nothing', async () => {
    const response = await fetch(`http://127.0.0.1:${curfew.ports.admin}/v1/grants`, { headers: { authorization: `Bearer ${adminToken}` } });
    expect(response.status).toBe(401);
  });
  test('the bootstrap credential configures operators and does nothing else', async () => {
    const token = readFileSync(join(directory, 'bootstrap-token'), 'utf8').trim();
    const call = (method: string, path: string, body?: unknown) => fetch(`http://127.0.0.1:${curfew.ports.admin}${path}`, {
      method, headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    expect((await call('PUT', '/v1/operators/user%3Aalice', { roles: ['issuer'] })).status).toBeLessThan(300);
    expect((await call('POST', '/v1/revocations', { selector: { kind: 'grant', value: 'x' }, reason: 'r' })).status).toBe(403);
    expect((await call('GET', '/v1/grants')).status).toBe(403);
  });
});

test('G5: a store made in development is refused by production, and says so', async () => {
  const { path: directory, remove } = temporaryDirectory();
  const dev = await startCurfew({ directory });
  await dev.stop();
  writeFileSync(join(directory, 'bundle.json'), '{"keys": []}');
  writeFileSync(join(directory, 'curfew.yaml'), serve().replace('path: store', 'path: .curfew/store'));
  const { code, stderr } = await runCurfew(['serve', '--config', 'curfew.yaml', ...PORTS], { directory });
  expect(code).toBe(2);
  expect(stderr).toMatch(/made in development mode/);
  remove();
});

test('G5: no configuration can name the development trust domain, or take development off loopback', async () => {
  const { path: directory, remove } = temporaryDirectory();
  writeFileSync(join(directory, 'bundle.json'), '{"keys": []}');
  writeFileSync(join(directory, 'curfew.yaml'), serve().replace('example.org', 'dev.local'));
  const named = await runCurfew(['serve', '--config', 'curfew.yaml', ...PORTS], { directory });
  expect([named.code, named.stderr]).toEqual([1, expect.stringContaining('kept for development')]);
  for (const section of ['http', 'grpc', 'admin']) {
    for (const more of [[], ['--set', 'http.pep=anonymous', '--set', 'grpc.pep=anonymous']]) {
      const { code, stderr } = await runCurfew(['dev', ...PORTS, '--set', `${section}.host=0.0.0.0`, ...more], { directory });
      expect([code, stderr]).toEqual([1, expect.stringMatching(section)]);
    }
  }
  expect((await runCurfew(['serve', ...PORTS], { directory })).stderr).toContain('--config');
  remove();
});
