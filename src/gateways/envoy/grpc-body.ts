/**
 * `parsed_body` of gRPC requests, by a descriptor set (`protoc --descriptor_set_out --include_imports`): the one message of a unary call in
 * protobuf's JSON form, as opa-envoy-plugin gives it. A method that the set does not describe gives nothing; a message that is
 * compressed, cut short, malformed or one of several is no body that a policy could judge.
 */
import protobuf from 'protobufjs';
import 'protobufjs/ext/descriptor.js';
import type { JsonValue } from '../../domain/json.ts';
import { messageJson } from '../../grpc/proto/message-json.ts';
import { protoJson } from './proto-json.ts';

export type GrpcMessage =
  | { readonly kind: 'value'; readonly value: JsonValue }
  /** The set says nothing about the method. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'truncated' }
  | { readonly kind: 'malformed' };

/** `path`: that of the request, `/package.Service/Method`. */
export type GrpcBodies = (path: string, body: Buffer) => GrpcMessage;

const PREFIX_BYTES = 5;

type Read = (bytes: Uint8Array) => JsonValue;

/** Of each type once, also of those that come inside of an `Any`. */
const createReader = (): ((type: protobuf.Type, bytes: Uint8Array) => JsonValue) => {
  const checks = new WeakMap<protobuf.Type, (bytes: Uint8Array) => unknown>();
  const decode = (type: protobuf.Type, bytes: Uint8Array): protobuf.Message => {
    let check = checks.get(type);
    if (check === undefined) checks.set(type, (check = messageJson(type)));
    // Refuses what is malformed or nested too deep.
    check(bytes);
    return type.decode(bytes);
  };
  return (type, bytes) => protoJson(type, decode(type, bytes), decode);
};

const servicesOf = (namespace: protobuf.NamespaceBase): readonly protobuf.Service[] =>
  namespace.nestedArray.flatMap((nested) => {
    if (nested instanceof protobuf.Service) return [nested];
    return nested instanceof protobuf.Namespace ? servicesOf(nested) : [];
  });

/** Throws when the bytes are no descriptor set. */
export const grpcBodies = (descriptorSet: Uint8Array): GrpcBodies => {
  const root = protobuf.Root.fromDescriptor(descriptorSet);
  root.resolveAll();
  const readers = new Map<string, Read>();
  const read = createReader();
  for (const service of servicesOf(root)) {
    for (const method of service.methodsArray) {
      method.resolve();
      const { resolvedRequestType: type } = method;
      if (type !== null) readers.set(`/${service.fullName.slice(1)}/${method.name}`, (bytes) => read(type, bytes));
    }
  }
  if (readers.size === 0) throw new Error('the descriptor set has no methods');
  return (path, body) => {
    const read = readers.get(path);
    if (read === undefined) return { kind: 'unknown' };
    if (body.length < PREFIX_BYTES) return { kind: 'truncated' };
    const end = PREFIX_BYTES + body.readUInt32BE(1);
    if (body.length < end) return { kind: 'truncated' };
    if (body[0] !== 0 || body.length > end) return { kind: 'malformed' };
    try {
      return { kind: 'value', value: read(body.subarray(PREFIX_BYTES, end)) };
    } catch {
      return { kind: 'malformed' };
    }
  };
};
