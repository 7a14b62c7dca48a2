/** demand(6), I2: two real nodes on one real Redis server; what one revokes, the other denies at once. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleOf, jwksOf, newKey, signed } from '../identity/forge.ts';
import { describeWith } from '../parts.ts';
import { startCurfew, temporaryDirectory, type Curfew } from '../runtime/curfew.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';

const LOGIN = 'https://login.example.org';
const WORKLOAD = 'spiffe://example.org/ci/deployer';
const [meshKey, loginKey] = [newKey('ES256', 'm1'), newKey('RS256', 'l1')];
const seconds = (): number => Math.floor(Date.now() / 1_000);
const svid = (sub = WORKLOAD): string => signed({ alg: 'ES256', kid: 'm1', typ: 'JWT' }, { sub, aud: 'curfew', iat: seconds(), exp: seconds() + 300 }, meshKey);
const operator = (sub: string, ...groups: string[]): string =>
  signed({ alg: 'RS256', kid: 'l1', typ: 'JWT' }, { iss: LOGIN, sub, aud: 'curfew-admin', groups, iat: seconds(), exp: seconds() + 300 }, loginKey);

const configOf = (port: number): string => `
store: {kind: redis, redis: {port: ${port}}}
limits: {decisionDeadlineMs: 10000}
decisionLog: {to: file, path: decisions.jsonl}
admin:
  operators:
    issuers: [${LOGIN}]
    groups: {issuers: {roles: [issuer]}, responders: {roles: [responder]}}
    persons: {oidc:login.example.org/rita: user:rita, oidc:login.example.org/ines: user:ines}
identity:
  issuers:
    - {kind: spiffe, trustDomain: example.org, audiences: [curfew], bundle: {file: mesh.json}}
    - {kind: oidc, issuer: ${LOGIN}, audiences: [curfew-admin], keys: {file: login.json}}
`;

describeWith(['redis'], 'two nodes on one Redis', () => {
  let server: RedisServer;
  const directories = [temporaryDirectory(), temporaryDirectory()] as const;
  const nodes: Curfew[] = [];
  const startNode = async (directory: string): Promise<Curfew> => {
    writeFileSync(join(directory, 'mesh.json'), JSON.stringify(bundleOf(meshKey)));
    writeFileSync(join(directory, 'login.json'), JSON.stringify(jwksOf(loginKey)));
    return startCurfew({ directory, config: configOf(server.port) });
  };
  const [first, second] = [(): Curfew => nodes[0] as Curfew, (): Curfew => nodes[1] as Curfew];
  beforeAll(async () => {
    server = await startRedis();
    nodes.push(...(await Promise.all(directories.map(({ path }) => startNode(path)))));
  });
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await server?.stop();
    for (const { remove } of directories) remove();
  });

  const admin = async (node: Curfew, credential: string, method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly body: any }> => {
    const response = await fetch(`http://127.0.0.1:${node.ports.admin}/v1${path}`, {
      method, headers: { authorization: `Bearer ${credential}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  };
  const ask = async (node: Curfew): Promise<number> => (await node.ask(svid(), '/deploy/1', { 'x-forwarded-method': 'POST' })).status;
  const administers = (node: Curfew) => async (): Promise<boolean> => (await admin(node, operator('rita', 'responders'), 'GET', '/grants')).status === 200;
  const issue = async (node: Curfew, more: object = {}): Promise<string> => {
    const task = await admin(node, operator('ines', 'issuers'), 'POST', '/tasks', { kind: 'ci-run', owner: 'team:shop', reference: 'RUN-1' });
    const grant = await admin(node, operator('ines', 'issuers'), 'POST', '/grants', {
      workload: WORKLOAD, model: 'jit', entitlement: 'shop-deploy', task: task.body.id, ttlMs: 600_000, owner: 'team:shop', justification: 'release',
      scopes: [{ actions: ['POST'], resource: { type: 'http', id: 'shop.local/deploy/**' } }], ...more,
    });
    expect([task.status, grant.status]).toEqual([201, 201]);
    return grant.body.id;
  };

  test('a grant issued at one node is allowed at the other; revoked there, it is denied here as soon as revoke returns, 20 times', async () => {
    for (let round = 0; round < 20; round += 1) {
      const [here, there] = round % 2 === 0 ? [first(), second()] : [second(), first()];
      const grant = await issue(here);
      expect([await ask(here), await ask(there)]).toEqual([200, 200]);
      const revoked = await admin(there, operator('rita', 'responders'), 'POST', '/revocations', { selector: { kind: 'grant', value: grant }, reason: 'over' });
      expect(revoked.status).toBe(201);
      expect([await ask(here), await ask(there)]).toEqual([403, 403]);
    }
  });

  test('no allow is answered to a question asked after revoke returned, while both are asked without pause', async () => {
    const grant = await issue(first());
    let returnedMs = Number.POSITIVE_INFINITY;
    let asked = 0;
    const late: number[] = [];
    let stop = false;
    const probe = async (node: Curfew): Promise<void> => {
      while (!stop) {
        const startedMs = performance.now();
        const status = await ask(node);
        asked += 1;
        if (status === 200 && startedMs > returnedMs) late.push(startedMs - returnedMs);
      }
    };
    const probes = [first(), first(), second(), second()].map(probe);
    await until('some answers', () => asked > 40);
    const revoked = await admin(second(), operator('rita', 'responders'), 'POST', '/revocations', { selector: { kind: 'grant', value: grant }, reason: 'over' });
    returnedMs = performance.now();
    expect(Date.parse(revoked.body.enforcedAt)).toBeGreaterThanOrEqual(Date.parse(revoked.body.effectiveAt));
    const before = asked;
    await until('more answers', () => asked > before + 40);
    stop = true;
    await Promise.all(probes);
    expect(late).toEqual([]);
  });

  test('a frozen server denies within the deadline, never hangs, and access returns by itself', async () => {
    await issue(first());
    await until('both allow', async () => (await ask(first())) === 200 && (await ask(second())) === 200);
    server.signal('SIGSTOP');
    const [one, other] = await Promise.all([first(), second()].map(async (node) => {
      const started = performance.now();
      const answer = await node.ask(svid(), '/deploy/1', { 'x-forwarded-method': 'POST' });
      return { status: answer.status, reason: answer.reason, ms: performance.now() - started };
    }));
    expect([one?.status, other?.status, one?.reason]).toEqual([403, 403, 'unavailable']);
    expect(one?.ms).toBeLessThan(5_000);
    server.signal('SIGCONT');
    const healed = performance.now();
    await until('L1: both allow again', async () => (await ask(first())) === 200 && (await ask(second())) === 200);
    for (const node of nodes) await until('L1: administration', administers(node));
    expect(performance.now() - healed).toBeLessThan(5_000);
  });

  test('I7: kill -9 of the server: nodes deny, and what was confirmed is there when it is back', async () => {
    const grant = await issue(first());
    const revoked = await admin(first(), operator('rita', 'responders'), 'POST', '/revocations', { selector: { kind: 'grant', value: grant }, reason: 'over' });
    expect(revoked.status).toBe(201);
    const kept = await issue(second());
    await server.kill();
    expect(await Promise.all(nodes.map(ask))).toEqual([403, 403]);
    const failed = await admin(second(), operator('rita', 'responders'), 'POST', '/revocations', { selector: { kind: 'grant', value: kept }, reason: 'over' });
    // Who asks can't be looked up either.
    expect([401, 503]).toContain(failed.status);
    await server.start();
    for (const node of nodes) await until('L1: administration', administers(node));
    await until('L1: both allow again', async () => (await ask(first())) === 200 && (await ask(second())) === 200);
    expect((await admin(first(), operator('rita', 'responders'), 'GET', `/grants/${grant}`)).body.state).toBe('ended');
    expect((await admin(first(), operator('rita', 'responders'), 'GET', `/grants/${kept}`)).body.state).toBe('active');
  });
});
