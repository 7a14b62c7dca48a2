/** Canary grants through real gateways: one that asks each time, and one that keeps what Curfew said, which is found out. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shippedNginx, startNginx, type RunningNginx } from '../support/nginx.ts';
import { onBothNodeStores, type NodeStore } from '../support/node-stores.ts';
import { startService, type Service } from '../support/service.ts';
import { until } from '../support/until.ts';
import { startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const WORKLOAD = 'spiffe://dev.local/canary';
const NO_TOKEN = 'proxy_set_header X-Curfew-Pep-Token ""; # KEEP';

onBothNodeStores(['nginx'], 'canary grants behind nginx', (openStore) => {
  const directory = temporaryDirectory();
  const config = join(directory.path, 'canaries.yaml');
  let curfew: Curfew;
  let service: Service;
  let store: NodeStore;
  const gateways: RunningNginx[] = [];
  /** The shipped configuration, with the token of this enforcement point; `more` goes into the question to Curfew. */
  const gateway = async (token: string, more = ''): Promise<number> => {
    const text = shippedNginx({ curfew: curfew.ports.http, service: service.port });
    expect(text).toContain(NO_TOKEN);
    const keeping = more === '' ? text : text.replace('http {', 'http { proxy_cache_path keep keys_zone=keep:1m;').replace('proxy_cache off;', more);
    const nginx = await startNginx(keeping.replace(NO_TOKEN, `proxy_set_header X-Curfew-Pep-Token "${token}"; #`));
    gateways.push(nginx);
    return nginx.port;
  };
  const canary = (pep: string, port: number): string =>
    `{id: ${pep}, pep: ${pep}, url: 'http://127.0.0.1:${port}/canary', insecureLoopback: true, headers: {host: shop.local}, workload: '${WORKLOAD}/${pep}', credential: {file: ${join(directory.path, `${pep}.token`)}}, resource: {type: http, id: shop.local/canary}, owner: 'team:sre', everyMs: 3600000, ttlMs: 6000, timeoutMs: 20000, askMs: 100, watchMs: 1000}`;

  beforeAll(async () => {
    store = await openStore();
    const peps = `${store.yaml}peps: [{id: edge, token: {env: EDGE_TOKEN}, hosts: [shop.local]}, {id: stale, token: {env: STALE_TOKEN}, hosts: [shop.local]}]\n`;
    writeFileSync(config, peps);
    service = await startService();
    curfew = await startCurfew({ directory: directory.path, args: ['--config', 'canaries.yaml'], env: { EDGE_TOKEN: 'edge-secret-of-24-letters', STALE_TOKEN: 'stale-secret-of-24-letter' } });
    for (const pep of ['edge', 'stale']) writeFileSync(join(directory.path, `${pep}.token`), await curfew.mint(`${WORKLOAD}/${pep}`));
    const edge = await gateway('edge-secret-of-24-letters');
    const stale = await gateway('stale-secret-of-24-letter', 'proxy_cache keep; proxy_cache_key "$http_authorization$request_uri"; proxy_cache_valid 200 1h; proxy_ignore_headers Cache-Control Expires;');
    writeFileSync(config, `${peps}canaries:\n  - ${canary('edge', edge)}\n  - ${canary('stale', stale)}\n`);
    curfew.signal('SIGHUP');
  }, 120_000);
  afterAll(async () => {
    for (const nginx of gateways) await nginx.stop();
    await curfew?.stop();
    await service?.close();
    await store?.stop();
    directory.remove();
  });

  test('demand(1) demand(68) demand(51) demand(54): the gateway that keeps allowing is an alert, the honest one is not; both are in the metrics and the report', async () => {
    const alerts = async (): Promise<readonly { type: string; data: any }[]> => (await curfew.admin('GET', '/v1/alerts')).body.items;
    const found = await until('the alert', async () => (await alerts()).find(({ type }) => type === 'canary.open'));
    expect(found.data).toMatchObject({ canary: 'stale', pep: 'stale', detail: expect.stringMatching(/^let through \d+ ms after the end of the grant$/) });
    const ended = await until('the honest one', async () => /curfew_canary_runs_total\{canary="edge",pep="edge",result="ended"\} 1/.test(await curfew.metrics()));
    expect(ended).toBe(true);
    expect((await alerts()).filter(({ type }) => type.startsWith('canary.'))).toHaveLength(1);
    const metrics = await curfew.metrics();
    expect(metrics).toMatch(/curfew_canary_runs_total\{canary="stale",pep="stale",result="open"\} 1/);
    expect(metrics).toMatch(/curfew_canary_flip_seconds\{canary="edge",pep="edge"\} \d/);

    const { canaries, coverage } = (await curfew.admin('GET', '/v1/period-report?from=2020-01-01T00:00:00Z')).body;
    expect(canaries).toMatchObject([{ canary: 'edge', result: 'ended' }, { canary: 'stale', result: 'open' }]);
    expect(coverage).toMatchObject([{ pep: 'edge', canary: 'ended' }, { pep: 'stale', canary: 'open' }]);
  }, 120_000);

  test('G4: the credential of a canary is in no log', () => {
    const token = readFileSync(join(directory.path, 'edge.token'), 'utf8');
    const log = `${curfew.stdout()}${curfew.stderr()}${readFileSync(join(directory.path, '.curfew/decisions.jsonl'), 'utf8')}`;
    expect(log).not.toContain(token.split('.')[2]);
    expect(log).not.toContain('edge-secret-of-24-letters');
  });
});
