/** All message types that Curfew speaks, parsed once, with compiled encoders and decoders. */
import protobuf from 'protobufjs';
import { envoyProtos } from './envoy.ts';
import { googleProtos } from './google.ts';
import { grpcProtos } from './grpc.ts';

export const protoFiles = [...googleProtos, ...envoyProtos, ...grpcProtos];

const parseAll = (): protobuf.Root => {
  const root = new protobuf.Root();
  for (const { source } of protoFiles) protobuf.parse(source, root);
  root.resolveAll();
  return root;
};

export const protoRoot = parseAll();

/** A message type by its full name; it is a programming error to ask for one that is not there. */
export const messageType = (name: string): protobuf.Type => protoRoot.lookupType(name);

/** Encodes a plain object whose members have the fields' lowerCamelCase names. */
export const encoder = (name: string): ((message: Record<string, unknown>) => Uint8Array) => {
  const type = messageType(name);
  return (message) => type.encode(message).finish();
};
