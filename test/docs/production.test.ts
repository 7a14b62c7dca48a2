import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { bundleOf, jwksOf, newKey, signed, type TestKey } from '../identity/forge.ts';
import { repositoryRoot } from '../parts.ts';
import { runCurfew, startCurfew, temporaryDirectory, type Curfew } from '../runtime/curfew.ts';

const EXAMPLE = join(repositoryRoot, 'deploy/curfew.yaml');
const seconds = (): number => Math.floor(Date.now() / 1_000);

describe('deploy/curfew.yaml, with nothing changed but its files, and keys in place of discovery', () => {
  const [spiffeKey, loginKey, githubKey] = [newKey('ES256', 's1'), newKey('RS256', 'l1'), newKey('RS256', 'g1')];
  const folder = temporaryDirectory();
  const local = (path: string): string => join(folder.path, path.replaceAll('/', '_'));
  const put = (path: string, text: string): void => writeFileSync(local(path), text, { mode: 0o600 });
  let curfew: Curfew;

  const claims = (audience: string, more: object): object => ({ aud: [audience], iat: seconds(), exp: seconds() + 300, ...more });
  const token = (key: TestKey, payload: object): string => signed({ alg: key.alg, kid: key.kid, typ: 'JWT' }, payload, key);
  const workload = (): string => token(spiffeKey, claims('curfew', { sub: 'spiffe://example.org/ci/deployer' }));
  const operator = (sub: string, ...groups: string[]): string => token(loginKey, claims('curfew-admin', { iss: 'https://login.example.org', sub, groups }));

  const admin = async (credential: string, method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly body: any }> => {
    const response = await fetch(`http://127.0.0.1:${curfew.ports.admin}${path}`, {
      method,
      headers: { authorization: `Bearer ${credential}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  };
  const ask = (credential: string | undefined, uri: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${curfew.ports.http}/forward-auth`, {
      headers: {
        ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
        'x-curfew-pep-token': 'a-token-of-the-edge', 'x-forwarded-method': 'GET', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example.org', 'x-forwarded-uri': uri, ...headers,
      },
    });

  beforeAll(async () => {
    mkdirSync(folder.path, { recursive: true });
    put('/etc/curfew/example.org.json', JSON.stringify(bundleOf(spiffeKey)));
    put('/etc/curfew/shop-edge.token', 'a-token-of-the-edge\n');
    put('login.json', JSON.stringify(jwksOf(loginKey)));
    put('github.json', JSON.stringify(jwksOf(githubKey)));
    const config = parse(readFileSync(EXAMPLE, 'utf8').replaceAll(/\/(?:etc|var\/lib)\/curfew\/[a-z.-]+/g, local));
    for (const section of ['http', 'grpc', 'admin']) config[section].port = 0;
    const [, github, login] = config.identity.issuers;
    github.keys = { file: local('github.json') };
    login.keys = { file: local('login.json') };
    curfew = await startCurfew({ config: stringify(config), directory: folder.path });
  });
  afterAll(async () => {
    await curfew?.stop();
    folder.remove();
  });

  test('is accepted by `curfew config check`, as it stands', async () => {
    const checked = await runCurfew(['config', 'check', '--config', EXAMPLE]);
    expect(checked).toEqual({ code: 0, stdout: 'The configuration is valid.\n', stderr: '' });
    const loaded = loadConfig({ env: {}, flags: {}, file: { name: 'curfew.yaml', text: `${readFileSync(EXAMPLE, 'utf8')}\nlimitz: 1\n` } });
    expect(loaded.ok).toBe(false);
  });

  test('serves decisions: no without a grant, and the reason is coarse', async () => {
    const response = await ask(workload(), '/orders/42');
    expect([response.status, response.headers.get('x-curfew-reason')]).toEqual([403, 'denied']);
  });

  test('knows its gateway by its token, and only about its hosts', async () => {
    expect((await ask(workload(), '/health', { 'x-curfew-pep-token': 'another-token-of-none' })).status).toBe(401);
    expect((await ask(workload(), '/health', { 'x-forwarded-host': 'other.example.org' })).status).toBe(403);
  });

  test('lets the standing entry through without any identity', async () => {
    expect((await ask(undefined, '/health')).status).toBe(200);
    expect((await ask(undefined, '/health/deep')).status).toBe(401);
  });

  test('operators are who their groups say; an issuer grants from a direct entitlement, and a responder ends it', async () => {
    const [issuer, responder] = [operator('1', 'curfew-issuers'), operator('2', 'on-call')];
    const task = await admin(issuer, 'POST', '/v1/tasks', { kind: 'ci-run', owner: 'team:platform', reference: 'RUN-1' });
    expect(task.status).toBe(201);
    const asked = {
      workload: 'spiffe://example.org/ci/deployer', model: 'jit', entitlement: 'shop-deploy', task: task.body.id, ttlMs: 60_000,
      scopes: [{ actions: ['POST'], resource: { type: 'http', id: 'shop.local/deploy/**' } }], owner: 'team:shop', justification: 'release 1',
    };
    expect((await admin(responder, 'POST', '/v1/grants', asked)).status).toBe(403);
    expect((await admin(issuer, 'POST', '/v1/grants', { ...asked, entitlement: undefined })).body.detail).toContain('entitlement');
    const grant = await admin(issuer, 'POST', '/v1/grants', asked);
    expect(grant.status).toBe(201);
    const explain = async (): Promise<unknown> =>
      (await admin(responder, 'POST', '/v1/explain', { workload: asked.workload, action: 'POST', resource: { type: 'http', id: 'shop.local/deploy/42' } })).body;
    expect(await explain()).toMatchObject({ decision: 'allow', grant: grant.body.id });
    expect((await admin(issuer, 'POST', '/v1/revocations', { selector: { kind: 'task', value: task.body.id }, reason: 'no' })).status).toBe(403);
    expect((await admin(responder, 'POST', '/v1/revocations', { selector: { kind: 'task', value: task.body.id }, reason: 'incident' })).status).toBe(201);
    expect(await explain()).toMatchObject({ decision: 'deny', reason: 'grant.revoked' });
  });

  test('the bootstrap credential sets up operators, and nothing else', async () => {
    const bootstrap = readFileSync(local('/var/lib/curfew/bootstrap-token'), 'utf8').trim();
    expect((await admin(bootstrap, 'PUT', '/v1/operators/user:alice', { roles: ['responder'] })).status).toBe(200);
    expect((await admin(bootstrap, 'POST', '/v1/revocations', { selector: { kind: 'realm', value: 'default' }, reason: 'no' })).status).toBe(403);
    // Her account is mapped to her in the file.
    const alice = operator('248289761001');
    expect((await admin(alice, 'POST', '/v1/suspensions', { selector: { kind: 'entitlement', value: 'kb-read' }, reason: 'looking into it' })).body.placedBy).toBe('user:alice');
  });

  test('a job of another organisation at GitHub is nobody here', async () => {
    const job = (owner: string): string => token(githubKey, claims('curfew', {
      iss: 'https://token.actions.githubusercontent.com', sub: 'x', repository_owner_id: owner, repository_id: '1', environment: 'production',
    }));
    expect((await ask(job('9919'), '/orders/42')).status).toBe(403);
    expect((await ask(job('1234'), '/orders/42')).status).toBe(401);
  });
});
