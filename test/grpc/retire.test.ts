/** Connections that are to be opened anew: whatever their peers ask meanwhile is answered. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, constants, type ClientHttp2Session } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { GrpcServer } from '../../src/grpc/server.ts';
import { until } from '../support/until.ts';
import { frame, sayNoFarewell, rawCall, startEcho, statusOf } from './serve.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.close();
});

/** Asks without end over one session at a time, as a client does that never asks the same again; a new session only once it is told to. */
const askEndlessly = (connected: () => ClientHttp2Session, mayRefuse: boolean) => {
  const seen = { answered: 0, sessions: 0, failed: [] as unknown[] };
  let stopped = false;
  let told = true;
  let session: ClientHttp2Session | undefined;
  const current = (): ClientHttp2Session => {
    if (told || session === undefined) {
      const fresh = (session = connected());
      told = false;
      seen.sessions += 1;
      open.push({ close: () => fresh.destroy() });
      fresh.on('error', (error) => seen.failed.push(error));
      sayNoFarewell(fresh);
      // What is under way goes on, what comes next goes elsewhere.
      fresh.once('goaway', () => {
        if (fresh === session) told = true;
      });
    }
    return session;
  };
  const loops = Promise.all(Array.from({ length: 8 }, async () => {
    while (!stopped) {
      const used = current();
      const call = await rawCall(used, [frame('x')]);
      // Node's client itself refuses what it has not sent yet when it is told to go: that never reached the server.
      const unsent = used !== session || told;
      if (statusOf(call) === '0') seen.answered += 1;
      // Over TLS one may be on its way when the connection is closed: not asked at all, and asked again, as every gRPC client does by itself.
      else if (!(mayRefuse || unsent) || call.reset !== constants.NGHTTP2_REFUSED_STREAM) seen.failed.push(call);
    }
  }));
  return {
    seen,
    stop: async () => {
      stopped = true;
      await loops;
      session?.destroy();
      return seen;
    },
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
  const asking = askEndlessly(tls === undefined ? plain(server) : () => connect(`https://localhost:${server.port}`, { ca: tls.cert }), tls !== undefined);
  await until('answers', () => asking.seen.answered > 50);
  await until('it is shed', () => {
    server.shed(1);
    return server.connections() === 0 || asking.seen.sessions >= 2;
  });
  await until('a session after it was shed, and one after it was old', () => asking.seen.sessions >= 3 && asking.seen.answered > 200);
  expect((await asking.stop()).failed).toEqual([]);
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
