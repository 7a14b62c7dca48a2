/** What holds behind every gateway whose configuration is shipped: one suite, for each of them as it stands but for addresses and patience. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Decision, Evaluation } from '../../../src/decision/evaluation.ts';
import { describeWith, requirePart, type Part } from '../../parts.ts';
import { freePorts } from '../../support/free-ports.ts';
import { allowing, denying, startGateway, type TestGateway } from '../../support/http-gateway.ts';
import { askOnce, requestText, type RawResponse } from '../../support/raw-socket.ts';
import { startService, type Service } from '../../support/service.ts';
import { until } from '../../support/until.ts';
import { expectOneReading, PLANTED_FOUND, readHostile } from './hostile-targets.ts';

const LINES = ['Host: shop.local', 'Authorization: Bearer good'];

/** Where everything is; `folder` is the gateway's own. */
export interface Places {
  readonly folder: string;
  readonly port: number;
  readonly curfew: number;
  readonly service: number;
}

export interface ShippedGateway {
  readonly part: Part;
  /** Writes the shipped configuration for these places; gives how the gateway is started on it. */
  readonly prepare: (places: Places) => { readonly args: readonly string[]; readonly env?: NodeJS.ProcessEnv };
  /** Faults of a configuration that B1 must find: what is put in the place of what, in a file of the gateway's folder. */
  readonly planted: readonly (readonly [name: string, file: string, from: string, to: string])[];
  /** Is this what it answers while Curfew is gone? */
  readonly isRefusal: (status: number | undefined) => boolean;
}

export const describeShipped = (title: string, { part, prepare, planted, isRefusal }: ShippedGateway): void => describeWith([part], title, () => {
  let service: Service;
  let gateway: TestGateway;
  let running: { readonly port: number; stop(): Promise<void> };
  let decide: (evaluation: Evaluation) => Decision = allowing;

  /** `change`: of its files, before it reads them. */
  const start = async (change: (folder: string) => void = () => undefined) => {
    const [free = 0] = await freePorts(1);
    const folder = mkdtempSync(join(tmpdir(), `curfew-${part}-`));
    const { args, env } = prepare({ folder, port: free, curfew: gateway.port, service: service.port });
    change(folder);
    let log = '';
    const child = spawn(requirePart(part), args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder, ...(env === undefined ? {} : { env: { ...process.env, ...env } }) });
    child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    const stop = async (): Promise<void> => {
      const closed = new Promise((resolve) => child.once('close', resolve));
      if (child.exitCode === null && child.kill('SIGKILL')) await closed;
      rmSync(folder, { recursive: true, force: true });
    };
    try {
      await until(`${part} to answer`, async () => {
        if (child.exitCode !== null) throw new Error(`${part} ended:\n${log}`);
        return (await askOnce(free, requestText('/', ['Host: nobody.invalid'])).catch(() => undefined)) !== undefined;
      });
    } catch (error) {
      await stop();
      throw error;
    }
    return { port: free, stop };
  };

  beforeAll(async () => {
    service = await startService();
    gateway = await startGateway({ decide: (evaluation) => decide(evaluation) });
    running = await start();
  });
  afterAll(async () => {
    await running?.stop();
    await gateway?.close();
    await service?.close();
  });
  beforeEach(() => {
    decide = allowing;
    gateway.evaluations.length = 0;
    service.hits.length = 0;
  });
  const ask = async (target: string, lines: readonly string[] = LINES, method = 'GET'): Promise<RawResponse | undefined> => askOnce(running.port, requestText(target, lines, method));

  test('demand(1): an allowed request reaches the service with its decision, a denied one does not', async () => {
    expect((await ask('/orders/42?x=%2f', LINES, 'PUT'))?.body).toBe('served');
    expect(gateway.evaluations[0]).toMatchObject({ question: { action: 'PUT', resource: { type: 'http', id: 'shop.local/orders/42' }, source: '127.0.0.1' } });
    expect(service.hits[0]).toMatchObject({ method: 'PUT', target: '/orders/42?x=%2f', headers: { 'x-curfew-decision-id': gateway.evaluations[0]?.id } });
    decide = (evaluation) => denying(evaluation, 'grant.none');
    const denied = await ask('/orders/42');
    expect([denied?.status, denied?.headers.get('x-curfew-reason')]).toEqual([403, ['grant.none']]);
    expect((await ask('/orders/42', ['Host: shop.local']))?.status).toBe(401);
    expect((await ask('/orders/42', ['Host: other.local', 'Authorization: Bearer good']))?.status).toBe(421);
    expect(service.hits).toHaveLength(1);
  });

  test('B1: what the service sees is what was judged, or it was denied: over 500 hostile targets', async () => {
    await expectOneReading(gateway, service, ask);
  });

  test.each(planted)('B1, positive control: a configuration that %s is found by it', async (_name, file, from, to) => {
    const faulty = await start((folder) => {
      const path = join(folder, file);
      const text = readFileSync(path, 'utf8');
      expect(text).toContain(from);
      writeFileSync(path, text.replace(from, () => to));
    });
    try {
      const { wrong } = await readHostile(gateway, service, (target) => askOnce(faulty.port, requestText(target, LINES)), PLANTED_FOUND);
      expect(wrong).toHaveLength(PLANTED_FOUND);
    } finally {
      await faulty.stop();
    }
  });

  test("B1: a client's own words for the original request count nowhere", async () => {
    for (const spoof of ['X-Original-URI: /public', 'X-Forwarded-Uri: /public', 'X-Forwarded-Method: GET', 'X-Forwarded-Host: other.local', 'X-Forwarded-For: 10.0.0.1', 'X-Curfew-Decision-Id: forged', 'X-Curfew-Grant: forged', 'X-Forwarded-Client-Cert: URI=spiffe://prod/admin', 'X-Rewrite-URL: /public']) {
      gateway.evaluations.length = 0;
      service.hits.length = 0;
      expect((await ask('/admin', [...LINES, spoof], 'POST'))?.status, spoof).toBe(200);
      expect(gateway.evaluations[0], spoof).toMatchObject({ question: { action: 'POST', resource: { id: 'shop.local/admin' }, source: '127.0.0.1' } });
      expect(JSON.stringify(service.hits[0]?.headers), spoof).not.toMatch(/forged|\/public|other\.local|10\.0\.0\.1|spiffe/);
    }
  });

  test('B1: upgrades, event streams and method overrides do not get through', async () => {
    for (const line of ['Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13', 'Accept: text/event-stream', 'X-HTTP-Method-Override: DELETE']) {
      expect((await ask('/a', [...LINES, line]))?.status, line).toBe(403);
    }
    expect(service.hits).toEqual([]);
  });

  test('B6: without Curfew nothing reaches the service', async () => {
    await gateway.close();
    expect(isRefusal((await ask('/a'))?.status)).toBe(true);
    expect(service.hits).toEqual([]);
  });
});
