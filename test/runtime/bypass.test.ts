/** Demand 26 end to end: a real Envoy whose access log is held against the decision log of a real node; what got around it is an alert. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../parts.ts';
import { connectionManager, shippedConfiguration, startEnvoy, type RunningEnvoy } from '../support/envoy.ts';
import { startService, type Service } from '../support/service.ts';
import { until } from '../support/until.ts';
import { runCurfew, startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const WORKLOAD = 'spiffe://dev.local/ci/bypassing';

describeWith(['envoy'], 'demand(26): behind a real Envoy', () => {
  const directory = temporaryDirectory();
  const accessLog = join(directory.path, 'envoy-access.jsonl');
  let curfew: Curfew;
  let service: Service;
  let envoy: RunningEnvoy;
  beforeAll(async () => {
    writeFileSync(join(directory.path, 'watch.yaml'), `accessLogs: {systems: [{system: shop, file: ${accessLog}}], everyMs: 100, graceMs: 5000}\n`);
    service = await startService();
    curfew = await startCurfew({ directory: directory.path, args: ['--config', 'watch.yaml'] });
    const config = shippedConfiguration({ curfew: curfew.ports.grpc, service: service.port });
    connectionManager(config).access_log = [{
      name: 'file',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog', path: accessLog,
        log_format: { json_format: { decision_id: '%DYNAMIC_METADATA(envoy.filters.http.ext_authz:decision_id)%', start_time: '%START_TIME%', upstream_host: '%UPSTREAM_HOST%', response_code: '%RESPONSE_CODE%' } },
      },
    }];
    // The way around: the same service, the same access log, no question.
    const open = structuredClone(config.static_resources.listeners[0]);
    open.name = 'around';
    const { http_filters: filters } = open.filter_chains[0].filters[0].typed_config;
    open.filter_chains[0].filters[0].typed_config.http_filters = filters.filter(({ name }: { name: string }) => !name.includes('ext_authz'));
    config.static_resources.listeners.push(open);
    envoy = await startEnvoy(config);
  }, 120_000);
  afterAll(async () => {
    await envoy?.stop();
    await curfew?.stop();
    await service?.close();
    directory.remove();
  });

  const alerts = async (): Promise<readonly { id: string; type: string; data: any }[]> => (await curfew.admin('GET', '/v1/alerts')).body.items;
  const get = async (port: number, token?: string): Promise<number> => {
    const answer = await fetch(`http://127.0.0.1:${port}/orders/1`, { headers: { host: 'shop.local', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) } });
    await answer.text();
    return answer.status;
  };

  test('an honest use is no alert; one around the gateway is bypassed, and one after its end reused', async () => {
    const grant = await curfew.grant(WORKLOAD, { scopes: [{ actions: ['GET'], resource: { type: 'http', id: `127.0.0.1:${envoy.port()}/**` } }] });
    const token = await curfew.mint(WORKLOAD);
    expect(await get(envoy.port(), token)).toBe(200);
    expect(await get(envoy.port(), token)).toBe(200);
    await until('the access log', () => existsSync(accessLog));

    expect(await get(envoy.port('around'))).toBe(200);
    const bypassed = await until('the alert', async () => (await alerts()).find(({ type }) => type === 'grant.bypassed'));
    expect(bypassed.data).toMatchObject({ system: 'shop', what: 'used without any decision' });

    expect((await curfew.admin('POST', '/v1/revocations', { selector: { kind: 'grant', value: grant.id }, reason: 'over' })).status).toBeLessThan(300);
    expect(await get(envoy.port(), token)).toBe(403);
    const reused = await until('the alert', async () => (await alerts()).find(({ type }) => type === 'grant.reused'));
    expect(reused.data).toMatchObject({ grant: grant.id, workload: WORKLOAD, reason: 'grant.revoked' });
    // The two uses that were allowed, and the denial that reached nothing, are none.
    expect((await alerts()).filter(({ type }) => type === 'grant.bypassed')).toHaveLength(1);
    expect((await alerts()).filter(({ type }) => type === 'grant.reused')).toHaveLength(1);
    // The same, from the files, without a running node.
    const matched = await runCurfew(['audit', 'match', '--system', 'shop', '--decisions', join(directory.path, '.curfew/decisions.jsonl'), '--access-log', accessLog, '--json']);
    expect(matched.code, matched.stderr).toBe(3);
    const { findings, unread } = JSON.parse(matched.stdout);
    expect(findings.map(({ type, data }: { type: string; data: { what: string } }) => [type, data.what])).toEqual([['grant.reused', 'asked for after its end, and denied'], ['grant.bypassed', 'used without any decision']]);
    expect(unread).toBe(0);
  }, 120_000);
});
