/** One-time tokens and DPoP proofs against the real program: over all workers and restarts, each is let through once (A6, I8, demand(69)). */
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { calculateJwkThumbprint } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleOf, newKey, sha256, signed } from '../identity/forge.ts';
import { until } from '../support/until.ts';
import { startCurfew, temporaryDirectory, type Asked, type Curfew } from './curfew.ts';

const { path: directory, remove } = temporaryDirectory();
const [once, bound, client] = [newKey('ES256', 'once'), newKey('ES256', 'bound'), newKey('ES256', 'client')];
const nowS = (): number => Math.floor(Date.now() / 1000);

/** The question is not about grants, so a standing entry takes their place. */
const CONFIG = `
store: {path: store}
decisionLog: {to: file, path: decisions.jsonl}
admin: {operators: {bootstrapTokenFile: bootstrap-token}}
identity:
  issuers:
    - {kind: spiffe, trustDomain: once.example, audiences: [curfew], bundle: {file: once.json}, oneTime: true}
    - {kind: spiffe, trustDomain: bound.example, audiences: [curfew], bundle: {file: bound.json}}
standing:
  - {id: tests, owner: team:tests, reason: shows what counts once, end: "2100-01-01T00:00:00Z", match: {scopes: [{actions: [GET], resource: {type: http, id: shop.local/**}}]}}
limits: {decisionDeadlineMs: 10000}
`;
let curfew: Curfew;
const start = async (): Promise<void> => {
  curfew = await startCurfew({ directory, config: CONFIG, workers: 2 });
  await until('both workers', async () => (await curfew.metrics()).includes('curfew_workers_ready 2\n'), 30_000);
};
beforeAll(async () => {
  writeFileSync(join(directory, 'once.json'), JSON.stringify(bundleOf(once)));
  writeFileSync(join(directory, 'bound.json'), JSON.stringify(bundleOf(bound)));
  await start();
});
afterAll(async () => {
  await curfew?.stop();
  remove();
});

const ask = (token: string, headers: Record<string, string> = {}): Promise<Asked> => curfew.ask(token, '/orders/1', { connection: 'close', ...headers });
const statuses = async (asked: readonly Promise<Asked>[]): Promise<readonly number[]> => (await Promise.all(asked)).map(({ status }) => status).sort((a, b) => a - b);

const token = (trustDomain: string, key = once, more: object = {}): string =>
  signed({ alg: 'ES256', kid: key.kid, typ: 'JWT' }, { sub: `spiffe://${trustDomain}/job`, aud: 'curfew', iat: nowS(), exp: nowS() + 300, jti: randomUUID(), ...more }, key);

const jkt = await calculateJwkThumbprint(client.jwk, 'sha256');
const proof = (forToken: string, claims: object = {}): string => {
  const { kid: _, ...jwk } = client.jwk;
  return signed({ typ: 'dpop+jwt', alg: 'ES256', jwk }, { jti: randomUUID(), htm: 'GET', htu: 'http://shop.local/orders/1', iat: nowS(), ath: sha256(forToken, 'base64url'), ...claims }, client);
};

test('demand(69) I8: a one-time token asked with twenty times at once, over all workers, is let through once', async () => {
  const jwt = token('once.example');
  expect(await statuses(Array.from({ length: 20 }, () => ask(jwt)))).toEqual([200, ...Array.from({ length: 19 }, () => 401)]);
  // Nor does another token with the same id count.
  const jti = randomUUID();
  expect((await ask(token('once.example', once, { jti }))).status).toBe(200);
  expect((await ask(token('once.example', once, { jti, exp: nowS() + 200 }))).status).toBe(401);
  expect((await ask(token('once.example', once, { jti: undefined }))).status).toBe(401);
});

test('demand(69) I8: so is a DPoP proof; a new proof for the same token is another matter', async () => {
  const jwt = token('bound.example', bound, { cnf: { jkt } });
  expect((await ask(jwt)).status).toBe(401);
  const dpop = proof(jwt);
  expect(await statuses(Array.from({ length: 20 }, () => ask(jwt, { dpop })))).toEqual([200, ...Array.from({ length: 19 }, () => 401)]);
  expect((await ask(jwt, { dpop: proof(jwt) })).status).toBe(200);
  expect((await ask(jwt, { dpop: proof(jwt, { htu: 'http://shop.local/orders/2' }) })).status).toBe(401);
});

test('neither counts again after kill -9 and a new start', { timeout: 90_000 }, async () => {
  const jwt = token('once.example');
  const boundJwt = token('bound.example', bound, { cnf: { jkt } });
  const dpop = proof(boundJwt);
  expect([(await ask(jwt)).status, (await ask(boundJwt, { dpop })).status]).toEqual([200, 200]);
  const workers = curfew.workers();
  curfew.signal('SIGKILL');
  await curfew.exited;
  await until('no worker is left', () => workers.every((pid) => { try { process.kill(pid, 0); return false; } catch { return true; } }), 20_000);
  await start();
  expect([(await ask(jwt)).status, (await ask(boundJwt, { dpop })).status]).toEqual([401, 401]);
  expect((await ask(boundJwt, { dpop: proof(boundJwt) })).status).toBe(200);
});
