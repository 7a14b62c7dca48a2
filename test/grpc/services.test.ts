import type { Client } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import { grpcLimitsConfig } from '../../src/grpc/config.ts';
import { createHealthService, type HealthService } from '../../src/grpc/health.ts';
import { fileDescriptors } from '../../src/grpc/proto/descriptors.ts';
import { reflectionMethods } from '../../src/grpc/reflection.ts';
import { startGrpcServer } from '../../src/grpc/server.ts';
import { until } from '../support/until.ts';
import { bidirectional, openClient, serverStream, unary, type Json } from './grpc-js.ts';

const AUTHORIZATION = 'envoy.service.auth.v3.Authorization';
const HEALTH = ['grpc.health.v1.HealthCheckRequest', 'grpc.health.v1.HealthCheckResponse'] as const;

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

const start = async (): Promise<{ client: Client; health: HealthService }> => {
  const health = createHealthService([AUTHORIZATION]);
  const methods = new Map([...health.methods, ...reflectionMethods([AUTHORIZATION, 'grpc.health.v1.Health'])]);
  const server = await startGrpcServer({ listen: { host: '127.0.0.1', port: 0 }, limits: grpcLimitsConfig.parse({ drainMs: 100 }), methods });
  const client = openClient(server.address);
  open.push(client, server);
  return { client, health };
};

test('health: says no until it is told otherwise, and NOT_FOUND for services that are not here', async () => {
  const { client, health } = await start();
  const check = (service: string): Promise<Json> => unary(client, '/grpc.health.v1.Health/Check', HEALTH, { service });
  expect(await check('')).toEqual({ status: 'NOT_SERVING' });
  health.setServing(true);
  expect(await check('')).toEqual({ status: 'SERVING' });
  expect(await check(AUTHORIZATION)).toEqual({ status: 'SERVING' });
  health.setServing(false);
  expect(await check(AUTHORIZATION)).toEqual({ status: 'NOT_SERVING' });
  await expect(check('other.Service')).rejects.toMatchObject({ code: 5 });
});

test('health: watchers are told of every change', async () => {
  const { client, health } = await start();
  const seen: unknown[] = [];
  const watch = serverStream(client, '/grpc.health.v1.Health/Watch', HEALTH, { service: '' });
  watch.on('data', (answer: Json) => seen.push(answer['status']));
  watch.on('error', () => undefined);
  await until('the first status', () => seen.length === 1);
  health.setServing(true);
  health.setServing(true);
  await until('the change', () => seen.length === 2);
  health.setServing(false);
  await until('the next change', () => seen.length === 3);
  expect(seen).toEqual(['NOT_SERVING', 'SERVING', 'NOT_SERVING']);
  watch.cancel();
});

test.each(['v1', 'v1alpha'])('reflection %s: lists the services and describes them with all they import', async (version) => {
  const { client } = await start();
  const types = [`grpc.reflection.${version}.ServerReflectionRequest`, `grpc.reflection.${version}.ServerReflectionResponse`] as const;
  const call = bidirectional(client, `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`, types);
  const answers: Json[] = [];
  call.on('data', (answer: Json) => answers.push(answer));
  const asks: Json[] = [
    { listServices: '' }, { fileContainingSymbol: AUTHORIZATION }, { fileContainingSymbol: `${AUTHORIZATION}.Check` }, { fileByFilename: 'google/rpc/status.proto' },
    { fileContainingSymbol: 'no.such.Thing' }, { fileByFilename: '../../etc/passwd' }, { fileContainingSymbol: '__proto__' }, { allExtensionNumbersOfType: 'x' },
  ];
  for (const ask of asks) call.write({ host: 'h', ...ask });
  call.end();
  await new Promise<void>((resolve, reject) => call.once('end', () => resolve()).once('error', reject));
  expect(answers.length).toBe(asks.length);
  expect(answers[0]?.['listServicesResponse'].service.map(({ name }: Json) => name)).toEqual([
    AUTHORIZATION, 'grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection',
  ]);
  const counts = answers.slice(1, 4).map((answer) => answer['fileDescriptorResponse'].fileDescriptorProto.length);
  expect(counts).toEqual([10, 10, 2]);
  for (const answer of answers.slice(4)) expect(answer['errorResponse']).toEqual({ errorCode: 5, errorMessage: 'not found' });
  expect(answers[1]?.['originalRequest']).toEqual({ host: 'h', fileContainingSymbol: AUTHORIZATION });
});

test('every type that a described file names is in a described file', () => {
  const files = fileDescriptors();
  const names = new Set(files.map(({ name }) => name));
  for (const file of files) for (const dependency of file.dependencies) expect(names).toContain(dependency);
  const symbols = files.flatMap((file) => file.symbols);
  expect(new Set(symbols).size).toBe(symbols.length);
  expect(symbols).toContain('envoy.service.auth.v3.AttributeContext.HttpRequest');
});

test('requests that are no message end as INVALID_ARGUMENT', async () => {
  const { client } = await start();
  for (const path of ['/grpc.health.v1.Health/Check', '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo']) {
    const error = await new Promise((resolve) => {
      const call = client.makeBidiStreamRequest(path, (bytes: Buffer) => bytes, (bytes: Buffer) => bytes);
      call.on('data', () => undefined).once('error', resolve);
      call.write(Buffer.from([0xff, 0xff, 0xff]));
      call.end();
    });
    expect(error).toMatchObject({ code: 3 });
  }
});
