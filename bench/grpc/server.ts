/** One gRPC server in a process of its own: `own` (src/grpc) or `library` (@grpc/grpc-js). Reads a CheckRequest, answers an allow that is always the same; tells its port. */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { grpcLimitsConfig } from '../../src/grpc/config.ts';
import { encoder, messageType } from '../../src/grpc/proto/schema.ts';
import { startGrpcServer } from '../../src/grpc/server.ts';

const PATH = '/envoy.service.auth.v3.Authorization/Check';
const request = messageType('envoy.service.auth.v3.CheckRequest');
const answer = encoder('envoy.service.auth.v3.CheckResponse')({ status: { code: 0 }, okResponse: { headers: [{ header: { key: 'x-curfew-decision-id', value: '0' } }] } });

const own = async (): Promise<number> => {
  const handle = (message: Buffer): Uint8Array => {
    request.decode(message);
    return answer;
  };
  return (await startGrpcServer({ listen: { host: '127.0.0.1', port: 0 }, limits: grpcLimitsConfig.parse({}), methods: new Map([[PATH, { kind: 'unary', handle }]]) })).port;
};

const library = (): Promise<number> => {
  const server = new Server();
  const method = {
    path: PATH, requestStream: false, responseStream: false, requestSerialize: Buffer.from, requestDeserialize: (bytes: Buffer) => request.decode(bytes), responseSerialize: Buffer.from, responseDeserialize: (bytes: Buffer) => bytes,
  };
  server.addService({ check: method }, { check: (_call: unknown, done: (error: null, value: Uint8Array) => void) => done(null, answer) });
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => (error === null ? resolve(port) : reject(error)));
  });
};

process.send?.(await (process.argv[2] === 'own' ? own() : library()));
process.on('disconnect', () => process.exit(0));
