import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCurfew, type Curfew } from '../../runtime/curfew.ts';
import { describeWith } from '../../parts.ts';
import { shippedConfiguration, startEnvoy, type RunningEnvoy } from '../../support/envoy.ts';
import { openConnection, rawGet, rawRequest, type RawAnswer } from '../../support/raw-http.ts';
import { startService, type Service } from '../../support/service.ts';
import { until } from '../../support/until.ts';

describeWith(['envoy'], 'the real program behind a real Envoy', () => {
  let service: Service;
  let curfew: Curfew;
  let envoy: RunningEnvoy;
  let workload = 0;

  beforeAll(async () => {
    service = await startService();
    curfew = await startCurfew();
    envoy = await startEnvoy(shippedConfiguration({ curfew: curfew.ports.grpc, service: service.port }));
  });
  afterAll(async () => {
    await envoy?.stop();
    await curfew?.stop();
    await service?.close();
  });

  const someone = async (mint: readonly string[] = []): Promise<{ name: string; bearer: string }> => {
    workload += 1;
    const name = `spiffe://dev.local/ci/envoy-${workload}`;
    return { name, bearer: `authorization: Bearer ${await curfew.mint(name, mint)}` };
  };
  const get = (bearer?: string, path = '/orders/42'): Promise<RawAnswer> => rawRequest(envoy.port(), rawGet(path, bearer === undefined ? [] : [bearer]));
  const seen = ({ status, headers }: RawAnswer): readonly unknown[] => [status, headers.get('x-curfew-reason')];

  test('demand(10): no identity, a forged one or one for somebody else denies; then the grant and the policy decide', async () => {
    const { name, bearer } = await someone();
    expect(seen(await get())).toEqual([401, 'credential.missing']);
    expect(seen(await get(`${bearer.slice(0, -8)}AAAAAAAA`))).toEqual([401, 'credential.signature']);
    expect(seen(await get((await someone(['--audience', 'somebody-else'])).bearer))).toEqual([401, 'credential.audience']);
    expect(seen(await get(bearer))).toEqual([403, 'grant.none']);
    expect(service.hits).toEqual([]);
    const grant = await curfew.grant(name);
    expect(seen(await get(bearer))).toEqual([200, undefined]);
    expect(service.hits[0]?.headers).toMatchObject({ 'x-curfew-grant': grant.id, 'x-curfew-valid-until': grant.expiresAt });
    expect(seen(await get(bearer, '/admin'))).toEqual([403, 'grant.none']);
    expect(seen(await get(bearer, '/orders/../admin'))).toEqual([403, 'grant.none']);
    expect(seen(await get(bearer, '/orders//..%2fadmin'))[0]).not.toBe(200);
  });

  test('demand(1) demand(2) I1: a grant ends between two requests on one connection, at its end and not later', async () => {
    const { name, bearer } = await someone();
    const { expiresAt } = await curfew.grant(name, { ttlMs: 2_500 });
    const end = Date.parse(expiresAt);
    const connection = await openConnection(envoy.port());
    let sentAt = 0;
    const answers: [sentAt: number, status: number, reason: string | undefined][] = [];
    do {
      sentAt = Date.now();
      const { status, headers } = await connection.send(rawGet('/orders/42', [bearer]));
      answers.push([sentAt, status, headers.get('x-curfew-reason')]);
    } while (sentAt < end + 200);
    connection.close();
    expect(answers[0]?.[1]).toBe(200);
    const late = answers.filter(([at]) => at >= end);
    expect(late.length).toBeGreaterThan(0);
    for (const [, status, reason] of late) expect([status, reason]).toEqual([403, 'grant.expired']);
  });

  test('demand(6) I2: after revoke has returned, nothing more passes', async () => {
    const { name, bearer } = await someone();
    const { id } = await curfew.grant(name);
    expect((await get(bearer)).status).toBe(200);
    const { status } = await curfew.admin('POST', '/v1/revocations', { selector: { kind: 'grant', value: id }, reason: 'leaked' });
    expect(status).toBe(201);
    expect(seen(await get(bearer))).toEqual([403, 'grant.revoked']);
  });

  test('demand(19): access ends when its task is closed', async () => {
    const { name, bearer } = await someone();
    const task = await curfew.admin('POST', '/v1/tasks', { kind: 'ticket', owner: 'team:shop', reference: 'T-7' });
    expect(task.status).toBe(201);
    await curfew.grant(name, { model: 'jit', task: task.body.id, reference: undefined });
    expect((await get(bearer)).status).toBe(200);
    expect((await curfew.admin('POST', `/v1/tasks/${task.body.id}/close`)).status).toBeLessThan(300);
    expect(seen(await get(bearer))).toEqual([403, 'task.closed']);
  });

  test('B6: workers that stand still or die let nothing through; afterwards what should be allowed is allowed again (L1)', async () => {
    const { name, bearer } = await someone();
    await curfew.grant(name);
    const shipped = await startEnvoy(shippedConfiguration({ curfew: curfew.ports.grpc, service: service.port, patience: 'shipped' }));
    const ask = async (): Promise<number> => (await rawRequest(shipped.port(), rawGet('/orders/42', [bearer]))).status;
    const workers = curfew.workers();
    try {
      await until('it is allowed', async () => (await ask()) === 200);
      for (const worker of workers) process.kill(worker, 'SIGSTOP');
      const before = service.hits.length;
      expect([await ask(), await ask()]).toEqual([403, 403]);
      expect(service.hits.length).toBe(before);
      for (const worker of workers) process.kill(worker, 'SIGCONT');
      await until('they decide again', async () => (await ask()) === 200, 5_000);
      for (const worker of workers) process.kill(worker, 'SIGKILL');
      await until('they are gone', () => workers.every((worker) => !curfew.workers().includes(worker)));
      // The fault is over when others are in their place: how soon processes start is the machine's matter.
      await until('others to be ready', async () => curfew.workers().length === workers.length && (await curfew.metrics()).includes(`curfew_workers_ready ${workers.length}\n`));
      await until('others decide', async () => (await ask()) === 200, 5_000);
    } finally {
      for (const worker of curfew.workers()) process.kill(worker, 'SIGCONT');
      await shipped.stop();
    }
  });

  test('SIGTERM: what runs is drained, and afterwards Envoy refuses', async () => {
    const { name, bearer } = await someone();
    await curfew.grant(name);
    await until('it is allowed', async () => (await get(bearer)).status === 200);
    curfew.signal('SIGTERM');
    expect(await curfew.exited).toMatchObject({ code: 0 });
    const before = service.hits.length;
    expect((await get(bearer)).status).toBe(403);
    expect(service.hits.length).toBe(before);
  });
});
