/** Connections that are to be opened anew: whatever their peers ask meanwhile is answered. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, constants, type ClientHttp2Session } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { GrpcServer } from '../../src/grpc/server.ts';
import { until } from '../support/until.ts';
import { frameClient } from './frame-client.ts';
import { ECHO, frame, sayNoFarewell, rawCall, startEcho, statusOf } from './serve.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.close();
});

interface Seen {
  answered: number;
  connections: number;
  readonly failed: unknown[];
}

/** Eight callers ask without end until `stop`, none the same again. `ask` says how a call was lost. */
const askEndlessly = (seen: Seen, ask: () => Promise<unknown>): { stop(): Promise<Seen> } => {
  let stopped = false;
  const loops = Promise.all(Array.from({ length: 8 }, async () => {
    while (!stopped) {
      const lost = await ask();
      if (lost === undefined) seen.answered += 1;
      else seen.failed.push(lost);
    }
  }));
  return {
    stop: async () => {
      stopped = true;
      await loops;
      return seen;
    },
  };
};

/** As Envoy goes on when it is told to go. */
const overPlain = (server: GrpcServer, seen: Seen): (() => Promise<unknown>) => {
  const client = frameClient(server.port, ECHO);
  open.push(client);
  return async () => {
    const lost = await client.ask('x', 'x');
    seen.connections = client.opened();
    return lost;
  };
};

/** One session at a time; a new one only once it is told to. */
const overTls = (server: GrpcServer, ca: Buffer, seen: Seen): (() => Promise<unknown>) => {
  let told = true;
  let session: ClientHttp2Session;
  return async () => {
    if (told) {
      const fresh = (session = connect(`https://localhost:${server.port}`, { ca }));
      told = false;
      seen.connections += 1;
      open.push({ close: () => fresh.destroy() });
      fresh.on('error', (error) => seen.failed.push(error));
      sayNoFarewell(fresh);
      fresh.once('goaway', () => {
        if (fresh === session) told = true;
      });
    }
    const call = await rawCall(session, [frame('x')]);
    // One may be on its way when the connection is closed: not asked at all, and asked again, as every gRPC client does by itself.
    return statusOf(call) === '0' || call.reset === constants.NGHTTP2_REFUSED_STREAM ? undefined : call;
  };
};

const plain = (server: GrpcServer) => () => connect(`http://127.0.0.1:${server.port}`);

const certificate = (): { readonly cert: Buffer; readonly key: Buffer } => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-retire-'));
  open.push({ close: () => rmSync(folder, { recursive: true, force: true }) });
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1', '-subj', '/CN=localhost', '-keyout', 'key.pem', '-out', 'cert.pem'], { cwd: folder, stdio: 'ignore' });
  return { cert: readFileSync(join(folder, 'cert.pem')), key: readFileSync(join(folder, 'key.pem')) };
};

test.each(['plain', 'TLS'] as const)('shed and aged connections over %s lose no call, and are opened anew', { timeout: 60_000 }, async (over) => {
  const tls = over === 'TLS' ? certificate() : undefined;
  const { server } = await startEcho({ maxConnectionAgeMs: 1_500, minConnectionAgeMs: 0 }, tls === undefined ? {} : { tls });
  open.push(server);
  const seen: Seen = { answered: 0, connections: 0, failed: [] };
  const asking = askEndlessly(seen, tls === undefined ? overPlain(server, seen) : overTls(server, tls.cert, seen));
  await until('answers', () => seen.answered > 50);
  await until('it is shed', () => {
    server.shed(1);
    return server.connections() === 0 || seen.connections >= 2;
  });
  await until('a connection after it was shed, and one after it was old', () => seen.connections >= 3 && seen.answered > 200);
  expect((await asking.stop()).failed).toEqual([]);
});

test('what a peer asks that has not heard yet that it is to go is answered', async () => {
  const { server } = await startEcho({ minConnectionAgeMs: 0 });
  const client = frameClient(server.port, ECHO);
  open.push(server, client);
  expect(await client.ask('x', 'x')).toBeUndefined();
  client.standStill(true);
  await until('it is shed', () => {
    server.shed(1);
    return server.connections() === 0;
  });
  const late = Array.from({ length: 20 }, () => client.ask('x', 'x'));
  client.standStill(false);
  expect(await Promise.all(late)).toEqual(Array.from(late, () => undefined));
  expect(client.opened()).toBe(1);
  await until('the next is asked over another', async () => (await client.ask('x', 'x')) === undefined && client.opened() === 2);
});

test('the oldest are shed; those that were told are not counted, and are closed', async () => {
  const { server } = await startEcho({ minConnectionAgeMs: 0 });
  open.push(server);
  const sessions: ClientHttp2Session[] = [];
  for (let made = 1; made <= 3; made += 1) {
    const session = plain(server)();
    session.on('error', () => undefined);
    open.push({ close: () => session.destroy() });
    await until('it is known', () => server.connections() === made);
    sessions.push(session);
  }
  await until('two are shed', () => {
    server.shed(server.connections() - 1);
    return server.connections() === 1;
  });
  await until('two are closed', () => sessions.filter(({ destroyed }) => destroyed).length === 2);
  expect(sessions.map(({ destroyed }) => destroyed)).toEqual([true, true, false]);
  expect(statusOf(await rawCall(sessions[2] as ClientHttp2Session, [frame('x')]))).toBe('0');
});

test('a listener that leaves new connections to others goes on answering, and takes them again', async () => {
  const { server } = await startEcho();
  open.push(server);
  const session = plain(server)();
  session.on('error', () => undefined);
  expect(statusOf(await rawCall(session, [frame('x')]))).toBe('0');
  server.accept(false);
  expect(statusOf(await rawCall(session, [frame('x')]))).toBe('0');
  await expect(new Promise((resolve, reject) => plain(server)().once('connect', resolve).once('error', reject))).rejects.toThrow();
  server.accept(true);
  const late = await until('it listens', () => new Promise<ClientHttp2Session | undefined>((resolve) => {
    const tried = plain(server)();
    tried.once('connect', () => resolve(tried)).once('error', () => resolve(undefined));
  }));
  expect(statusOf(await rawCall(late, [frame('x')]))).toBe('0');
  late.destroy();
  // Closing while it leaves them to others, too.
  server.accept(false);
  session.destroy();
  await server.close();
});
