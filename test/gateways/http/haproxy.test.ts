/** Behind the shipped HAProxy configuration and its Lua, as they stand but for their addresses and patience. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Decision, Evaluation } from '../../../src/decision/evaluation.ts';
import { describeWith, repositoryRoot, requirePart } from '../../parts.ts';
import { allowing, denying, startGateway, type TestGateway } from '../../support/http-gateway.ts';
import { hostilePaths } from '../../support/paths.ts';
import { askOnce, requestText, type RawResponse } from '../../support/raw-socket.ts';
import { startService, type Service } from '../../support/service.ts';
import { until } from '../../support/until.ts';

const LINES = ['Host: shop.local', 'Authorization: Bearer good'];

const freePort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
};

describeWith(['haproxy'], 'behind the shipped HAProxy configuration', () => {
  let service: Service;
  let gateway: TestGateway;
  let child: ChildProcess;
  let folder: string;
  let port: number;
  let decide: (evaluation: Evaluation) => Decision = allowing;

  beforeAll(async () => {
    service = await startService();
    gateway = await startGateway({ decide: (evaluation) => decide(evaluation) });
    port = await freePort();
    folder = mkdtempSync(join(tmpdir(), 'curfew-haproxy-'));
    const shipped = (name: string): string => readFileSync(join(repositoryRoot, 'deploy/haproxy', name), 'utf8');
    const lua = shipped('curfew.lua');
    expect(lua).toContain('PATIENCE_MS = 300');
    writeFileSync(join(folder, 'curfew.lua'), lua.replace('PATIENCE_MS = 300', 'PATIENCE_MS = 10000'));
    const text = shipped('haproxy.cfg').replace('127.0.0.1:8000', `127.0.0.1:${port}`).replace('127.0.0.1:8181', `127.0.0.1:${gateway.port}`).replace('127.0.0.1:8080', `127.0.0.1:${service.port}`);
    writeFileSync(join(folder, 'haproxy.cfg'), text);
    child = spawn(requirePart('haproxy'), ['-db', '-f', join(folder, 'haproxy.cfg')], { stdio: 'ignore', cwd: folder });
    await until('haproxy to answer', async () => (await askOnce(port, requestText('/', ['Host: nobody.invalid'])).catch(() => undefined)) !== undefined);
  });
  afterAll(async () => {
    if (child !== undefined) {
      child.kill('SIGKILL');
      await new Promise((resolve) => child.once('close', resolve));
    }
    await gateway?.close();
    await service?.close();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    decide = allowing;
    gateway.evaluations.length = 0;
    service.hits.length = 0;
  });
  const ask = async (target: string, lines: readonly string[] = LINES, method = 'GET'): Promise<RawResponse | undefined> => askOnce(port, requestText(target, lines, method));

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
    let refused = 0;
    for (const target of hostilePaths()) {
      gateway.evaluations.length = 0;
      service.hits.length = 0;
      await ask(target);
      if (service.hits.length === 0) {
        refused += 1;
        continue;
      }
      expect(service.hits, target).toHaveLength(1);
      const [seen = ''] = (service.hits[0]?.target ?? '').split('?', 1);
      expect(gateway.evaluations[0]?.question?.resource.id, target).toBe(`${service.hits[0]?.headers.host}${decodeURIComponent(seen)}`);
      expect(new URL(seen, 'http://h').pathname, target).toBe(seen);
    }
    expect(refused).toBeGreaterThan(500);
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
    expect((await ask('/a'))?.status).toBe(403);
    expect(service.hits).toEqual([]);
  });
});
