/** A small real server of the SPIFFE Workload API, on the usual gRPC library of Node and a Unix socket: every stream is told what changes. */
import { rmSync } from 'node:fs';
import { Server, ServerCredentials, status as STATUS, type ServerWritableStream } from '@grpc/grpc-js';
import { spiffeRoot } from '../../../src/grpc/proto/spiffe.ts';
import type { Certificate } from '../x509.ts';

type Message = Record<string, unknown>;
type Method = 'FetchX509SVID' | 'FetchX509Bundles' | 'FetchJWTBundles';
type Stream = ServerWritableStream<Buffer, Buffer>;

const RESPONSES: Record<Method, string> = { FetchX509SVID: 'X509SVIDResponse', FetchX509Bundles: 'X509BundlesResponse', FetchJWTBundles: 'JWTBundlesResponse' };
const METHODS = Object.keys(RESPONSES) as Method[];

export const svidMessage = (id: string, svid: Certificate, bundle: readonly Certificate[], keyOf = svid): Message => ({
  svids: [{ spiffeId: id, x509Svid: svid.der, x509SvidKey: keyOf.privateKey.export({ format: 'der', type: 'pkcs8' }), bundle: Buffer.concat(bundle.map(({ der }) => der)) }],
});
export const x509Bundles = (bundles: Readonly<Record<string, readonly Certificate[]>>): Message =>
  ({ bundles: Object.fromEntries(Object.entries(bundles).map(([name, certificates]) => [`spiffe://${name}`, Buffer.concat(certificates.map(({ der }) => der))])) });
export const jwtBundles = (bundles: Readonly<Record<string, unknown>>): Message =>
  ({ bundles: Object.fromEntries(Object.entries(bundles).map(([name, document]) => [`spiffe://${name}`, Buffer.from(typeof document === 'string' ? document : JSON.stringify(document))])) });

export interface WorkloadServer {
  /** Raw bytes, a message, or a status with which streams end from now on. */
  say(method: Method, what: Message | Buffer | { readonly ends: keyof typeof STATUS }): void;
  /** Ends what is open, and goes on serving. */
  breakStreams(): void;
  /** Answers nobody any more, and keeps streams open. */
  fallSilent(silent: boolean): void;
  readonly opened: Record<Method, number>;
  open(method: Method): number;
  stop(): Promise<void>;
}

export const startWorkloadServer = async (address: string): Promise<WorkloadServer> => {
  const streams: Record<Method, Set<Stream>> = { FetchX509SVID: new Set(), FetchX509Bundles: new Set(), FetchJWTBundles: new Set() };
  const said: Partial<Record<Method, Buffer | { readonly ends: keyof typeof STATUS }>> = {};
  const opened: Record<Method, number> = { FetchX509SVID: 0, FetchX509Bundles: 0, FetchJWTBundles: 0 };
  let silent = false;
  const end = (stream: Stream, code: keyof typeof STATUS): void => void stream.emit('error', { code: STATUS[code], details: 'as told' });
  const tell = (method: Method, stream: Stream): void => {
    const what = said[method];
    if (silent || what === undefined) return;
    if (Buffer.isBuffer(what)) stream.write(what);
    else end(stream, what.ends);
  };
  const server = new Server();
  const identity = (bytes: Buffer): Buffer => bytes;
  server.addService(
    Object.fromEntries(METHODS.map((method) => [method, {
      path: `/SpiffeWorkloadAPI/${method}`, requestStream: false, responseStream: true,
      requestSerialize: identity, requestDeserialize: identity, responseSerialize: identity, responseDeserialize: identity,
    }])),
    Object.fromEntries(METHODS.map((method) => [method, (stream: Stream) => {
      // SPIFFE Workload Endpoint, section 3.
      if (stream.metadata.get('workload.spiffe.io')[0] !== 'true') return end(stream, 'INVALID_ARGUMENT');
      opened[method] += 1;
      streams[method].add(stream);
      stream.once('cancelled', () => streams[method].delete(stream));
      tell(method, stream);
      return undefined;
    }])),
  );
  if (address.startsWith('unix://')) rmSync(address.slice('unix://'.length), { force: true });
  await new Promise<void>((resolve, reject) => server.bindAsync(address.replace(/^tcp:\/\//, ''), ServerCredentials.createInsecure(), (error) => (error === null ? resolve() : reject(error))));
  return {
    opened,
    open: (method) => streams[method].size,
    say: (method, what) => {
      said[method] = Buffer.isBuffer(what) || 'ends' in what ? what as Buffer : Buffer.from(spiffeRoot.lookupType(RESPONSES[method]).encode(what).finish());
      for (const stream of streams[method]) tell(method, stream);
    },
    breakStreams: () => {
      for (const method of METHODS) for (const stream of streams[method]) end(stream, 'UNAVAILABLE');
      for (const method of METHODS) streams[method].clear();
    },
    fallSilent: (now) => { silent = now; },
    stop: async () => server.forceShutdown(),
  };
};
