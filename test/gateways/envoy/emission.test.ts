/** I11 over gRPC: a decision whose caller is gone before the answer is said to be one; one whose answer left is not. */
import { connect, constants, type ClientHttp2Stream } from 'node:http2';
import { afterEach, expect, test } from 'vitest';
import type { Evaluation } from '../../../src/decision/evaluation.ts';
import { envoyGatewayConfig } from '../../../src/gateways/envoy/config.ts';
import { createEnvoyGateway } from '../../../src/gateways/envoy/gateway.ts';
import { startEnvoyGateway } from '../../../src/gateways/envoy/start.ts';
import { createPepAuthenticator } from '../../../src/gateways/pep.ts';
import { until } from '../../support/until.ts';
import { allowed } from './harness.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

test('a caller who cancels while it is decided gets no answer, and that is told with the id of the decision; the next one on the same connection does', async () => {
  const told: string[] = [];
  const asked: { readonly evaluation: Evaluation; readonly answer: () => void }[] = [];
  const config = envoyGatewayConfig.parse({ port: 0 });
  const gateway = createEnvoyGateway({
    config, fineReasons: true,
    decide: async (evaluation, write) => {
      await new Promise<void>((resolve) => asked.push({ evaluation, answer: resolve }));
      const decision = allowed(evaluation);
      write?.(decision);
      return decision;
    },
    notEmitted: (id) => told.push(id),
    pep: createPepAuthenticator([], { readFile: () => '', env: () => undefined }),
    rulesFor: () => ({ routes: [], hosts: 'any' }),
  });
  const listeners = await startEnvoyGateway({ config, gateway, tls: undefined });
  closing.push(() => listeners.close());
  const session = connect(`http://127.0.0.1:${listeners.port}`);
  closing.push(() => session.destroy());
  const ask = (): ClientHttp2Stream => {
    const stream = session.request({ ':method': 'POST', ':path': '/envoy.service.auth.v3.Authorization/Check', 'content-type': 'application/grpc', te: 'trailers' });
    stream.on('error', () => undefined);
    // An empty message: what is asked does not matter here.
    stream.end(Buffer.alloc(5));
    return stream;
  };
  const first = ask();
  await until('the first question', () => asked.length === 1);
  first.close(constants.NGHTTP2_CANCEL);
  const second = ask();
  let bytes = 0;
  second.on('data', (chunk: Buffer) => { bytes += chunk.length; });
  // What came on one connection before it was read before it.
  await until('the second question', () => asked.length === 2);
  for (const { answer } of asked) answer();
  await until('the answer', () => bytes > 5);
  await until('the word', () => told.length > 0);
  expect(told).toEqual([asked[0]?.evaluation.id]);
});
