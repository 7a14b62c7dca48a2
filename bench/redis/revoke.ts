/** How long `revoke` takes to answer with three nodes under half of the load that they carry. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { startCurfew, type CurfewServer } from '../http/curfew-server.ts';
import { startGenerator } from '../http/generator.ts';
import { drawRequests, wireOf } from '../http/requests.ts';
import type { BenchIssuer } from '../support/workload-tokens.ts';
import type { BenchRedis } from './redis-server.ts';

const LOGIN = 'https://login.bench.local';
const NODES = 3;

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
  readonly redis: BenchRedis;
  readonly issuer: BenchIssuer;
  readonly folder: string;
  readonly mode: 'strict' | 'leased';
  readonly revocations: number;
  readonly requests: number;
  readonly generatorModule?: string | undefined;
}

export interface Revoked {
  /** Milliseconds each. */
  readonly allAlive: readonly number[];
  /** With one worker frozen; it is made to go on after each. */
  readonly oneFrozen: readonly number[];
  readonly requestsASecond: number;
}

export const measureRevoke = async ({ redis, issuer, folder, mode, revocations, requests, generatorModule }: RevokeOptions): Promise<Revoked> => {
  const { issuer: login, operators, token } = responder(folder);
  const stops: (() => Promise<void>)[] = [];
  try {
    const nodes: CurfewServer[] = [];
    for (let node = 0; node < NODES; node += 1) {
      const name = `${mode}-${node}`;
      const mesh = { kind: 'spiffe', trustDomain: 'bench.local', audiences: ['curfew'], bundle: { file: join(folder, name, 'keys.json') } };
      const server = await startCurfew({
        store: redis.store, jwks: issuer.jwks, folder, name,
        config: { store: { kind: 'redis', path: join(folder, name, 'own'), redis: { port: redis.port, mode } }, admin: { operators }, identity: { issuers: [mesh, login] }, limits: { decisionDeadlineMs: 2_000 } },
      });
      stops.push(server.stop);
      nodes.push(server);
    }
    const generators = nodes.map(() => startGenerator(generatorModule));
    stops.push(...generators.map(({ stop }) => stop));
    const wire = wireOf('curfew', drawRequests(redis.store, requests, 11), issuer);
    const jobs = await Promise.all(generators.map((generator, index) => generator.addJob({ kind: 'curfew', port: (nodes[index] as CurfewServer).port, ...wire })));
    const onEach = (run: { readonly durationMs: number; readonly rate?: number }) =>
      Promise.all(generators.map((generator, index) => generator.run({ job: jobs[index] as number, connections: 16, from: 0, ...run })));
    await onEach({ durationMs: 2_000 });
    const full = (await onEach({ durationMs: 3_000 })).reduce((sum, { answered, durationMs }) => sum + answered / durationMs, 0) * 1_000;
    const rate = Math.max(1, Math.round(full / 2 / NODES));

    const [first, , last] = nodes as [CurfewServer, CurfewServer, CurfewServer];
    const revoke = async (index: string): Promise<number> => {
      const from = performance.now();
      const response = await fetch(`http://127.0.0.1:${first.adminPort}/v1/revocations`, {
        method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ selector: { kind: 'workload', value: `spiffe://bench.local/gone/${mode}/${index}` }, reason: 'measured' }),
      });
      if (response.status !== 201) throw new Error(`revoke: ${response.status} ${await response.text()}`);
      return performance.now() - from;
    };
    const during = async (one: (index: number) => Promise<number>, many: number): Promise<readonly number[]> => {
      let over = false;
      const load = (async () => { while (!over) await onEach({ durationMs: 1_000, rate }); })();
      const took: number[] = [];
      for (let index = 0; index < many; index += 1) took.push(await one(index));
      over = true;
      await load;
      return took;
    };
    const allAlive = await during((index) => revoke(`${index}`), revocations);
    // Who stands still answers nothing, so here it is asked nothing while it does.
    const oneFrozen: number[] = [];
    for (let index = 0; mode === 'leased' && index < Math.ceil(revocations / 5); index += 1) {
      await onEach({ durationMs: 300, rate });
      const [worker] = last.workerPids as readonly [number];
      process.kill(worker, 'SIGSTOP');
      try {
        oneFrozen.push(await revoke(`frozen-${index}`));
      } finally {
        process.kill(worker, 'SIGCONT');
      }
    }
    return { allAlive, oneFrozen, requestsASecond: rate * NODES };
  } finally {
    for (const stop of stops.toReversed()) await stop();
  }
};
