import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Decision, Evaluation } from '../../../src/decision/evaluation.ts';
import { describeWith } from '../../parts.ts';
import { shippedConfiguration, startEnvoy, type RunningEnvoy } from '../../support/envoy.ts';
import { openConnection, rawGet, rawRequest } from '../../support/raw-http.ts';
import { startService, type Service } from '../../support/service.ts';
import { allowed, denied, startGateway, unlessRefused, type RunningGateway } from './harness.ts';

describeWith(['envoy'], 'behind the shipped Envoy configuration', () => {
  let service: Service;
  let gateway: RunningGateway;
  let envoy: RunningEnvoy;
  let answer: (evaluation: Evaluation) => Decision;

  beforeAll(async () => {
    service = await startService();
    gateway = await startGateway(unlessRefused((evaluation) => answer(evaluation)));
    envoy = await startEnvoy(shippedConfiguration({ curfew: gateway.port as number, service: service.port }));
  });
  afterAll(async () => {
    await envoy?.stop();
    await gateway?.close();
    await service?.close();
  });

  test('demand(1): an allowed request reaches the service, a denied one does not', async () => {
    answer = (evaluation) => (evaluation.question?.resource.id === 'shop.local/orders/1' ? allowed(evaluation) : denied(evaluation, 'grant.none'));
    const yes = await rawRequest(envoy.port(), rawGet('/orders/1?full=1', ['authorization: Bearer abc.def.ghi']));
    expect(yes.status).toBe(200);
    expect(service.hits.at(-1)).toMatchObject({ method: 'GET', target: '/orders/1?full=1' });
    const asked = gateway.evaluations.at(-1);
    expect(asked).toMatchObject({
      protocol: 'ext-authz-grpc', realm: 'default', presented: { kind: 'bearer', token: 'abc.def.ghi' },
      question: { action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' }, source: '127.0.0.1' },
    });
    const before = service.hits.length;
    const no = await rawRequest(envoy.port(), rawGet('/orders/2'));
    expect(no.status).toBe(403);
    expect(no.headers.get('x-curfew-reason')).toBe('grant.none');
    expect(no.headers.get('x-curfew-decision-id')).toBe(gateway.evaluations.at(-1)?.id);
    expect(service.hits.length).toBe(before);
  });

  test('demand(2): access that ends between two requests on one keep-alive connection is refused on the second', async () => {
    let ended = false;
    answer = (evaluation) => (ended ? denied(evaluation, 'grant.expired') : allowed(evaluation));
    const connection = await openConnection(envoy.port());
    expect((await connection.send(rawGet('/orders/1'))).status).toBe(200);
    expect((await connection.send(rawGet('/orders/1'))).status).toBe(200);
    ended = true;
    const before = service.hits.length;
    const last = await connection.send(rawGet('/orders/1'));
    expect(last.status).toBe(403);
    expect(last.headers.get('x-curfew-reason')).toBe('grant.expired');
    expect(service.hits.length).toBe(before);
    connection.close();
  });
});
