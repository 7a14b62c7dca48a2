/** Connections are spread over the workers, of real processes, and nothing that was asked on them is lost. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { spreadOf } from '../../src/supervisor/spread.ts';
import { shippedConfiguration, startEnvoy } from '../support/envoy.ts';
import { openConnection, rawGet, type RawConnection } from '../support/raw-http.ts';
import { shippedNginx, startNginx } from '../support/nginx.ts';
import { startService } from '../support/service.ts';
import { until } from '../support/until.ts';
import { frameClient } from '../grpc/frame-client.ts';
import { describeWith } from '../parts.ts';
import { startCurfew, type Curfew } from './curfew.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.close();
});

const ESTABLISHED = '01';

/** Established connections at this port, by worker. */
const connectionsOf = (pids: readonly number[], port: number): readonly number[] => {
  const inodes = new Set<string>();
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)) {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    if (state === ESTABLISHED && Number.parseInt(local.split(':')[1] ?? '', 16) === port) inodes.add(`socket:[${inode}]`);
  }
  return pids.map((pid) => readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
    } catch {
      return false;
    }
  }).length);
};

const two = async (args: readonly string[] = []): Promise<Curfew> => {
  const curfew = await startCurfew({ workers: 2, args });
  open.push({ close: () => curfew.stop() });
  await until('both workers', async () => (await curfew.metrics()).includes('curfew_workers_ready 2\n'));
  return curfew;
};

/** While `work` goes on, one of two workers is stopped, so that the other gets every connection. (Should it take so long that it is replaced, its successor has none either.) */
const whileOneStands = async (curfew: Curfew, work: () => Promise<unknown>): Promise<{ readonly replaced: () => boolean }> => {
  const [stopping = 0] = curfew.workers();
  process.kill(stopping, 'SIGSTOP');
  try {
    await work();
  } finally {
    if (curfew.workers().includes(stopping)) process.kill(stopping, 'SIGCONT');
  }
  return { replaced: () => !curfew.workers().includes(stopping) };
};

const WHO = 'spiffe://dev.local/ci/gateway';
const HEALTH = '/grpc.health.v1.Health/Check';

test('connections that met in one worker are opened anew until both have as many, and calls go on', { timeout: 120_000 }, async () => {
  const curfew = await two(['--set', 'grpc.limits.minConnectionAgeMs=100']);
  const counts = (): readonly number[] => connectionsOf(curfew.workers(), grpc);
  const { grpc } = curfew.ports;
  const seen = { answered: 0, failed: [] as unknown[] };
  let stopped = false;
  const client = async (): Promise<void> => {
    const asking = frameClient(grpc, HEALTH);
    open.push(asking);
    while (!stopped) {
      // grpc.health.v1: status SERVING.
      const lost = await asking.ask('', '\u0008\u0001');
      if (lost === undefined) seen.answered += 1;
      else seen.failed.push(lost);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    asking.close();
  };
  let clients: Promise<void>[] = [];
  const { replaced } = await whileOneStands(curfew, async () => {
    clients = Array.from({ length: 8 }, client);
    await until('one has all', () => counts().includes(8));
  });
  await until('both have as many', () => counts().length === 2 && counts().every((count) => count === 4));
  const before = seen.answered;
  await until('they go on', () => seen.answered > before + 40);
  stopped = true;
  await Promise.all(clients);
  // What was under way in a worker that was replaced is lost with it; that only happens where the machine is too slow for this test's stop.
  if (!replaced()) expect(seen.failed).toEqual([]);
});

test('HTTP/1.1: kept connections that met in one worker are let go by answers that say so, until both have as many', { timeout: 120_000 }, async () => {
  const curfew = await two();
  const { http } = curfew.ports;
  await curfew.grant(WHO);
  const original = ['method: GET', 'proto: http', 'host: shop.local', 'uri: /orders/1'].map((line) => `x-forwarded-${line}`);
  const question = `${rawGet('/forward-auth', [`authorization: Bearer ${await curfew.mint(WHO)}`, ...original, 'content-length: 2'], 'POST')}ab`;
  const counts = (): readonly number[] => connectionsOf(curfew.workers(), http);
  const seen = { answered: 0, opened: 0, failed: [] as unknown[] };
  let stopped = false;
  // As a gateway does: it keeps its connection until an answer says that it is to be closed, and asks nothing twice.
  const client = async (): Promise<void> => {
    let connection: RawConnection | undefined;
    while (!stopped) {
      try {
        if (connection === undefined) {
          connection = await openConnection(http);
          seen.opened += 1;
        }
        const { status, headers } = await connection.send(question);
        if (status === 200) seen.answered += 1;
        else seen.failed.push(status);
        if (headers.get('connection') === 'close') connection = undefined;
      } catch (error) {
        seen.failed.push(error);
        connection = undefined;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    connection?.close();
  };
  let clients: Promise<void>[] = [];
  const { replaced } = await whileOneStands(curfew, async () => {
    clients = Array.from({ length: 16 }, client);
    await until('one has all', () => counts().includes(16));
  });
  await until('both have as many', () => counts().length === 2 && counts().every((count) => count === 8), 80_000);
  const before = seen.answered;
  await until('they go on', () => seen.answered > before + 40);
  stopped = true;
  await Promise.all(clients);
  if (replaced()) return;
  expect(seen.failed).toEqual([]);
  expect(seen.opened).toBeGreaterThanOrEqual(24);
});

describeWith(['nginx'], 'a real nginx', () => {
  test('whose kept connections met in one worker uses both soon, and loses no question', { timeout: 120_000 }, async () => {
    const curfew = await two();
    await curfew.grant(WHO);
    const token = await curfew.mint(WHO);
    const service = await startService();
    const nginx = await startNginx(shippedNginx({ curfew: curfew.ports.http, service: service.port }));
    open.push(service, { close: () => nginx.stop() });
    const counts = (): readonly number[] => connectionsOf(curfew.workers(), curfew.ports.http);
    const statuses = new Map<number, number>();
    let stopped = false;
    const client = async (): Promise<void> => {
      const connection = await openConnection(nginx.port);
      while (!stopped) {
        const { status } = await connection.send(rawGet('/orders/1', [`authorization: Bearer ${token}`]));
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      connection.close();
    };
    let clients: Promise<void>[] = [];
    const { replaced } = await whileOneStands(curfew, async () => {
      clients = Array.from({ length: 16 }, client);
      await until('one has all', () => Math.min(...counts()) === 0 && Math.max(...counts()) >= 8);
    });
    // It uses the one first that was used last, so some stay unused in the worker that they were opened to.
    await until('both have some', () => counts().length === 2 && Math.min(...counts()) >= 3, 80_000);
    stopped = true;
    await Promise.all(clients);
    if (!replaced()) expect([...statuses.keys()]).toEqual([200]);
  });
});

test('shares differ by one at most, none is asked for more than it has, and somebody always accepts (property)', () => {
  fc.assert(fc.property(fc.array(fc.nat(50), { minLength: 1, maxLength: 16 }), (counts) => {
    const plan = spreadOf(counts);
    const after = counts.map((count, index) => count - (plan[index]?.shed ?? 0));
    const share = Math.ceil(counts.reduce((sum, count) => sum + count, 0) / counts.length);
    expect(Math.max(...after)).toBeLessThanOrEqual(Math.max(share, Math.min(...counts) + 1));
    expect(Math.min(...after)).toBeGreaterThanOrEqual(0);
    expect(plan.some(({ accept }) => accept)).toBe(true);
    expect(plan.filter(({ accept, shed }) => accept && shed > 0)).toEqual([]);
    if (Math.max(...counts) - Math.min(...counts) <= 1) expect(plan.every(({ accept, shed }) => accept && shed === 0)).toBe(true);
  }));
});

describeWith(['envoy'], 'a real Envoy', () => {
  test('whose connections to Curfew are old all the time denies nothing that is allowed', { timeout: 120_000 }, async () => {
    const curfew = await two(['--set', 'grpc.limits.maxConnectionAgeMs=1000']);
    await curfew.grant(WHO);
    const token = await curfew.mint(WHO);
    const service = await startService();
    open.push(service);
    const envoy = await startEnvoy(shippedConfiguration({ curfew: curfew.ports.grpc, service: service.port }));
    open.push({ close: () => envoy.stop() });
    const statuses = new Map<number, number>();
    let stopped = false;
    const loops = Promise.all(Array.from({ length: 4 }, async () => {
      const connection = await openConnection(envoy.port());
      while (!stopped) {
        const { status } = await connection.send(rawGet('/orders/1', [`authorization: Bearer ${token}`]));
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    }));
    await until('it has opened many', async () => (await envoy.stat('cluster.curfew.upstream_cx_total')) >= 4);
    stopped = true;
    await loops;
    expect([...statuses.keys()]).toEqual([200]);
  });
});
