/** The usual gRPC client of Node, with types from the committed .proto files. */
import { Client, credentials, Metadata, type ChannelCredentials, type ServiceError } from '@grpc/grpc-js';
import { messageType } from '../../src/grpc/proto/schema.ts';

export type Json = Record<string, any>;

const writer = (type: string) => (message: Json): Buffer => Buffer.from(messageType(type).encode(message).finish());
const reader = (type: string) => (bytes: Buffer): Json => {
  const of = messageType(type);
  return of.toObject(of.decode(bytes), { enums: String, defaults: false });
};

export const openClient = (address: string, channel: ChannelCredentials = credentials.createInsecure()): Client => new Client(address, channel);

export const unary = (client: Client, path: string, types: readonly [request: string, response: string], message: Json, metadata = new Metadata()): Promise<Json> =>
  new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, writer(types[0]), reader(types[1]), message, metadata, (error: ServiceError | null, answer) => (error === null ? resolve(answer ?? {}) : reject(error)));
  });

export const serverStream = (client: Client, path: string, types: readonly [string, string], message: Json) =>
  client.makeServerStreamRequest(path, writer(types[0]), reader(types[1]), message);

export const bidirectional = (client: Client, path: string, types: readonly [string, string]) =>
  client.makeBidiStreamRequest(path, writer(types[0]), reader(types[1]));
