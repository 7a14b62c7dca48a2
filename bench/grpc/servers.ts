/** The two gRPC transports of ADR 0003 behind the same call: a CheckRequest is read, and the answer is an allow that is always the same. */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { grpcLimitsConfig } from '../../src/grpc/config.ts';
import { encoder, messageType } from '../../src/grpc/proto/schema.ts';
import { startGrpcServer } from '../../src/grpc/server.ts';

const PATH = '/envoy.service.auth.v3.Authorization/Check';
const request = messageType('envoy.service.auth.v3.CheckRequest');
const answer = encoder('envoy.service.auth.v3.CheckResponse')({ status: { code: 0 }, okResponse: { headers: [{ header: { key: 'x-curfew-decision-id', value: '0' } }] } });

export interface TransportServer {
  readonly port: number;
  close(): Promise<void>;
}

/** src/grpc on node:http2. */
export const startOwn = async (): Promise<TransportServer> => {
  const handle = (message: Buffer): Uint8Array => {
    request.decode(message);
    return answer;
  };
  const { port, close } = await startGrpcServer({ listen: { host: '127.0.0.1', port: 0 }, limits: grpcLimitsConfig.parse({}), methods: new Map([[PATH, { kind: 'unary', handle }]]) });
  return { port, close };
};

/** `@grpc/grpc-js`. */
export const startLibrary = async (): Promise<TransportServer> => {
  const server = new Server();
  const method = {
    path: PATH, requestStream: false, responseStream: false, requestSerialize: Buffer.from, requestDeserialize: (bytes: Buffer) => request.decode(bytes), responseSerialize: Buffer.from, responseDeserialize: (bytes: Buffer) => bytes,
  };
  server.addService({ check: method }, { check: (_call: unknown, done: (error: null, value: Uint8Array) => void) => done(null, answer) });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  return { port, close: async () => server.forceShutdown() };
};
