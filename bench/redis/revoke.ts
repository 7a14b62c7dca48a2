/** How long `revoke` takes to answer with three nodes under half of the load that they carry, and with one node on the embedded store. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { startCurfew, type CurfewServer } from '../http/curfew-server.ts';
import { childrenOf } from '../http/processes.ts';
import { startGenerator } from '../http/generator.ts';
import { drawRequests, wireOf } from '../http/requests.ts';
import type { BenchIssuer } from '../support/workload-tokens.ts';
import type { FilledStore } from '../support/filled-store.ts';
import type { BenchRedis } from './redis-server.ts';

const LOGIN = 'https://login.bench.local';
const NODES = 3;
const CONNECTIONS = 16;
const WARM_MS = 20_000;

const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A person who may revoke: the sections of the configuration, and a token. */
const responder = (folder: string) => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keys = join(folder, 'login.json');
  writeFileSync(keys, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'l', alg: 'ES256', use: 'sig' }] }));
  const now = Math.floor(Date.now() / 1_000);
  const input = `${base64url({ alg: 'ES256', kid: 'l', typ: 'JWT' })}.${base64url({ iss: LOGIN, sub: 'rita', aud: 'curfew-admin', groups: ['responders'], iat: now - 1, exp: now + 3_000 })}`;
  return {
    issuer: { kind: 'oidc', issuer: LOGIN, audiences: ['curfew-admin'], keys: { file: keys } },
    operators: { issuers: [LOGIN], groups: { responders: { roles: ['responder'] } } },
    token: `${input}.${sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`,
  };
};

export interface RevokeOptions {
  readonly store: FilledStore;
  /** Absent: one node on the embedded store. */
  readonly redis?: BenchRedis;
  readonly issuer: BenchIssuer;
  readonly folder: string;
  readonly mode: 'strict' | 'leased' | 'embedded';
  readonly revocations: number;
  readonly requests: number;
  readonly generatorModule?: string | undefined;
}

export interface Revoked {
  /** Milliseconds each. */
  readonly allAlive: readonly number[];
  /** With one worker frozen, the others under load; it is made to go on after each. */
  readonly oneFrozen: readonly number[];
  readonly requestsASecond: number;
  /** Share of the answers that were `unavailable` meanwhile. */
  readonly unavailable: number;
}

/** Asks until it is answered, as a worker that takes the place of another does after a while. */
const warm = async (port: number, token: string): Promise<void> => {
  const until = performance.now() + WARM_MS;
  const headers = { authorization: `Bearer ${token}`, 'x-forwarded-method': 'GET', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.local', 'x-forwarded-uri': '/orders/100/lines' };
  for (let good = 0; good < 5; ) {
    const status = await fetch(`http://127.0.0.1:${port}/forward-auth`, { headers, signal: AbortSignal.timeout(1_000) }).then((response) => response.status, () => 0);
    good = status === 200 ? good + 1 : 0;
    if (performance.now() > until) throw new Error('a node does not answer');
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
};

export const measureRevoke = async ({ store, redis, issuer, folder, mode, revocations, requests, generatorModule }: RevokeOptions): Promise<Revoked> => {
  const { issuer: login, operators, token } = responder(folder);
  const stops: (() => Promise<void>)[] = [];
  try {
    const nodes: CurfewServer[] = [];
    for (let node = 0; node < (redis === undefined ? 1 : NODES); node += 1) {
      const name = `${mode}-${node}`;
      const mesh = { kind: 'spiffe', trustDomain: 'bench.local', audiences: ['curfew'], bundle: { file: join(folder, name, 'keys.json') } };
      const own = redis === undefined ? {} : { store: { kind: 'redis', path: join(folder, name, 'own'), redis: { port: redis.port, mode } } };
      const server = await startCurfew({ store, jwks: issuer.jwks, folder, name, config: { ...own, admin: { operators }, identity: { issuers: [mesh, login] }, limits: { decisionDeadlineMs: 2_000 } } });
      stops.push(server.stop);
      nodes.push(server);
    }
    const generators = nodes.map(() => startGenerator(generatorModule));
    stops.push(...generators.map(({ stop }) => stop));
    const wire = wireOf('curfew', drawRequests(store, requests, 11), issuer);
    const jobs = await Promise.all(generators.map((generator, index) => generator.addJob({ kind: 'curfew', port: (nodes[index] as CurfewServer).port, ...wire })));
    const onEach = (run: { readonly durationMs: number; readonly rate?: number }, many = nodes.length) =>
      Promise.all(generators.slice(0, many).map((generator, index) => generator.run({ job: jobs[index] as number, connections: CONNECTIONS, from: 0, anyLate: true, ...run })));
    await onEach({ durationMs: 2_000 });
    const full = (await onEach({ durationMs: 3_000 })).reduce((sum, { answered, durationMs }) => sum + answered / durationMs, 0) * 1_000;
    const rate = Math.max(1, Math.round(full / 2 / nodes.length));

    const [first, last] = [nodes[0] as CurfewServer, nodes.at(-1) as CurfewServer];
    const revoke = async (index: string): Promise<number> => {
      const from = performance.now();
      const response = await fetch(`http://127.0.0.1:${first.adminPort}/v1/revocations`, {
        method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ selector: { kind: 'workload', value: `spiffe://bench.local/gone/${mode}/${index}` }, reason: 'measured' }),
      });
      if (response.status !== 201) throw new Error(`revoke: ${response.status} ${await response.text()}`);
      return performance.now() - from;
    };
    let [answered, unavailable] = [0, 0];
    const during = async (one: (index: number) => Promise<number>, many: number, loaded: number): Promise<readonly number[]> => {
      let over = false;
      const load = (async () => {
        while (!over) {
          for (const ran of await onEach({ durationMs: 1_000, rate }, loaded)) {
            answered += ran.answered;
            unavailable += ran.unavailable;
          }
        }
      })();
      const took: number[] = [];
      try {
        for (let index = 0; index < many; index += 1) took.push(await one(index));
      } finally {
        over = true;
        await load;
      }
      return took;
    };
    // The first ones of a connection, and of code that is not compiled yet.
    for (let index = 0; index < 3; index += 1) await revoke(`first-${index}`);
    const allAlive = await during((index) => revoke(`${index}`), revocations, nodes.length);
    const allowed = issuer.tokenOf(0);
    const frozen = async (index: number): Promise<number> => {
      await warm(last.port, allowed);
      // Its supervisor ends a worker that stood still and starts another one.
      const worker = childrenOf(last.supervisorPid)[0] as number;
      process.kill(worker, 'SIGSTOP');
      try {
        return await revoke(`frozen-${index}`);
      } finally {
        try {
          process.kill(worker, 'SIGCONT');
        } catch {
          // It is gone already.
        }
      }
    };
    // Who stands still answers nothing, so only the others are asked.
    const oneFrozen = mode === 'leased' ? await during(frozen, Math.ceil(revocations / 5), nodes.length - 1) : [];
    return { allAlive, oneFrozen, requestsASecond: rate * nodes.length, unavailable: unavailable / Math.max(1, answered) };
  } finally {
    for (const stop of stops.toReversed()) await stop();
  }
};
