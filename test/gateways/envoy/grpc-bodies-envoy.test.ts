/** Messages of gRPC through a real Envoy: a unary call's message is what the policy judges, one that was cut short or is none of its type denies. */
import protobuf from 'protobufjs';
import 'protobufjs/ext/descriptor.js';
import { status as STATUS, type Client, type ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { grpcBodies } from '../../../src/gateways/envoy/grpc-body.ts';
import { openClient } from '../../grpc/grpc-js.ts';
import { describeWith } from '../../parts.ts';
import { extAuthz, shippedConfiguration, startEnvoy, type RunningEnvoy } from '../../support/envoy.ts';
import { startService, type Service } from '../../support/service.ts';
import { allowed, denied, startGateway, unlessRefused, type RunningGateway } from './harness.ts';

const { root } = protobuf.parse('syntax = "proto3"; package shop; message Order { string order_id = 1; int64 cents = 2; } message Empty {} service Orders { rpc Place (Order) returns (Empty); }');
root.resolveAll();
const Order = root.lookupType('shop.Order');
const set = protobuf.Root.prototype.toDescriptor.call(root, 'proto3');
const SET = (set.constructor as unknown as { encode(message: unknown): protobuf.Writer }).encode(set).finish();

describeWith(['envoy'], 'gRPC bodies through Envoy', () => {
  let service: Service;
  let gateway: RunningGateway;
  let envoy: RunningEnvoy;
  let client: Client;
  beforeAll(async () => {
    service = await startService();
    const cheap = (input: any): boolean => Number(input.parsed_body?.cents) <= 100;
    gateway = await startGateway(unlessRefused((evaluation) => (cheap(evaluation.input) ? allowed(evaluation) : denied(evaluation, 'policy.denied'))), {
      grpcBodies: grpcBodies(SET), routes: [{ id: 'grpc', match: { path: '/shop.Orders/**' }, maxStreamMs: 10_000 }],
    });
    const settings = shippedConfiguration({ curfew: gateway.port as number, service: service.port });
    extAuthz(settings).with_request_body = { max_request_bytes: 256, allow_partial_message: true, pack_as_bytes: true };
    envoy = await startEnvoy(settings);
    client = openClient(`127.0.0.1:${envoy.port()}`);
  });
  afterAll(async () => {
    client?.close();
    await envoy?.stop();
    await gateway?.close();
    await service?.close();
  });
  beforeEach(() => {
    service.hits.length = 0;
    gateway.evaluations.length = 0;
  });

  /** The status that the client sees; the service behind is none of gRPC's, so that an allowed call ends as UNKNOWN or the like. */
  const place = (bytes: Uint8Array): Promise<number> => new Promise((resolve) => {
    client.makeUnaryRequest('/shop.Orders/Place', () => Buffer.from(bytes), (answer) => answer, {}, (error: ServiceError | null) => resolve(error?.code ?? STATUS.OK));
  });
  const order = (fields: Record<string, unknown>): Uint8Array => Order.encode(Order.fromObject(fields)).finish();
  const input = (): any => gateway.evaluations.at(-1)?.input;

  test("the message is parsed_body, and the policy's yes and no are by what it says", async () => {
    expect(await place(order({ orderId: 'o-1', cents: 99 }))).not.toBe(STATUS.PERMISSION_DENIED);
    expect(input().parsed_body).toEqual({ orderId: 'o-1', cents: '99' });
    expect(service.hits).toHaveLength(1);
    expect(await place(order({ orderId: 'o-2', cents: 101 }))).toBe(STATUS.PERMISSION_DENIED);
    expect(input().parsed_body).toEqual({ orderId: 'o-2', cents: '101' });
    expect(service.hits).toHaveLength(1);
  });

  test('one that Envoy cut short, and bytes that are no such message, deny', async () => {
    for (const [bytes, reason] of [[order({ orderId: 'x'.repeat(1_000), cents: 1 }), 'request.too_large'], [Buffer.from('0affffffff', 'hex'), 'request.malformed']] as const) {
      expect(await place(bytes)).toBe(STATUS.PERMISSION_DENIED);
      expect([gateway.evaluations.at(-1)?.refused, service.hits.length]).toEqual([reason, 0]);
    }
  });
});
