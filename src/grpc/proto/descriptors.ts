/** FileDescriptorProtos of the committed files, for reflection. Made from the same text that encoders and decoders come from. */
import protobuf from 'protobufjs';
import { protoFiles } from './schema.ts';

const FIELD_TYPES: Readonly<Record<string, number>> = {
  double: 1, float: 2, int64: 3, uint64: 4, int32: 5, fixed64: 6, fixed32: 7, bool: 8, string: 9, bytes: 12, uint32: 13,
  sfixed32: 15, sfixed64: 16, sint32: 17, sint64: 18,
};
const TYPE_MESSAGE = 11;
const TYPE_ENUM = 14;
const OPTIONAL = 1;
const REPEATED = 3;

/** The part of descriptor.proto that these files need. */
const descriptorRoot = protobuf.parse(`syntax = "proto2";
package google.protobuf;
message FileDescriptorProto {
  optional string name = 1;
  optional string package = 2;
  repeated string dependency = 3;
  repeated DescriptorProto message_type = 4;
  repeated EnumDescriptorProto enum_type = 5;
  repeated ServiceDescriptorProto service = 6;
  optional string syntax = 12;
}
message DescriptorProto {
  optional string name = 1;
  repeated FieldDescriptorProto field = 2;
  repeated DescriptorProto nested_type = 3;
  repeated EnumDescriptorProto enum_type = 4;
  optional MessageOptions options = 7;
  repeated OneofDescriptorProto oneof_decl = 8;
}
message MessageOptions { optional bool map_entry = 7; }
message FieldDescriptorProto {
  optional string name = 1;
  optional int32 number = 3;
  optional int32 label = 4;
  optional int32 type = 5;
  optional string type_name = 6;
  optional int32 oneof_index = 9;
  optional string json_name = 10;
}
message OneofDescriptorProto { optional string name = 1; }
message EnumDescriptorProto {
  optional string name = 1;
  repeated EnumValueDescriptorProto value = 2;
}
message EnumValueDescriptorProto {
  optional string name = 1;
  optional int32 number = 2;
}
message ServiceDescriptorProto {
  optional string name = 1;
  repeated MethodDescriptorProto method = 2;
}
message MethodDescriptorProto {
  optional string name = 1;
  optional string input_type = 2;
  optional string output_type = 3;
  optional bool client_streaming = 5;
  optional bool server_streaming = 6;
}`, { keepCase: true }).root;

type Message = Record<string, unknown>;

/** `foo_bar` as protobuf makes its JSON name: `fooBar`. */
const jsonName = (name: string): string => name.replace(/_([a-z0-9])/g, (_all, next: string) => next.toUpperCase());
/** `foo_bar` as protobuf names a map's entry: `FooBarEntry`. */
const entryName = (name: string): string => `${name.replace(/(?:^|_)([a-z0-9])/g, (_all, next: string) => next.toUpperCase())}Entry`;

const typeOf = (field: protobuf.Field): Message => {
  const { resolvedType } = field.resolve();
  if (resolvedType === null) return { type: FIELD_TYPES[field.type] };
  return { type: resolvedType instanceof protobuf.Enum ? TYPE_ENUM : TYPE_MESSAGE, type_name: resolvedType.fullName };
};

const describeField = (field: protobuf.Field, parent: protobuf.Type): Message => ({
  name: field.name,
  number: field.id,
  label: field.repeated || field.map ? REPEATED : OPTIONAL,
  ...(field.map ? { type: TYPE_MESSAGE, type_name: `${parent.fullName}.${entryName(field.name)}` } : typeOf(field)),
  ...(field.partOf === null ? {} : { oneof_index: parent.oneofsArray.indexOf(field.partOf) }),
  json_name: jsonName(field.name),
});

const describeMapEntry = (field: protobuf.Field & { readonly keyType: string }): Message => ({
  name: entryName(field.name),
  field: [
    { name: 'key', number: 1, label: OPTIONAL, type: FIELD_TYPES[field.keyType], json_name: 'key' },
    { name: 'value', number: 2, label: OPTIONAL, ...typeOf(field), json_name: 'value' },
  ],
  options: { map_entry: true },
});

const describeEnum = (of: protobuf.Enum): Message => ({
  name: of.name,
  value: Object.entries(of.values).map(([name, number]) => ({ name, number })),
});

const describeType = (type: protobuf.Type): Message => ({
  name: type.name,
  field: type.fieldsArray.map((field) => describeField(field, type)),
  nested_type: [
    ...type.nestedArray.filter((nested) => nested instanceof protobuf.Type).map(describeType),
    ...type.fieldsArray.filter((field): field is protobuf.Field & { keyType: string } => field.map).map(describeMapEntry),
  ],
  enum_type: type.nestedArray.filter((nested) => nested instanceof protobuf.Enum).map(describeEnum),
  oneof_decl: type.oneofsArray.map(({ name }) => ({ name })),
});

const describeService = (service: protobuf.Service, packageName: string): Message => {
  const full = (name: string): string => (name.includes('.') ? `.${name}` : `.${packageName}.${name}`);
  return {
    name: service.name,
    method: service.methodsArray.map((method) => ({
      name: method.name,
      input_type: full(method.requestType),
      output_type: full(method.responseType),
      ...(method.requestStream === true ? { client_streaming: true } : {}),
      ...(method.responseStream === true ? { server_streaming: true } : {}),
    })),
  };
};

export interface FileDescriptor {
  readonly name: string;
  readonly dependencies: readonly string[];
  /** Full names of messages, enums, services and methods in it. */
  readonly symbols: readonly string[];
  readonly bytes: Uint8Array;
}

const symbolsIn = (object: protobuf.ReflectionObject): readonly string[] => {
  const own = object.fullName.slice(1);
  if (object instanceof protobuf.Service) return [own, ...object.methodsArray.map((method) => `${own}.${method.name}`)];
  return object instanceof protobuf.Type ? [own, ...object.nestedArray.flatMap(symbolsIn)] : [own];
};

/** All files, parsed once more with their fields' own names. */
export const fileDescriptors = (): readonly FileDescriptor[] => {
  const root = new protobuf.Root();
  const parsed = protoFiles.map(({ name, source }) => {
    const { package: packageName = '', imports = [] } = protobuf.parse(source, root, { keepCase: true });
    return { name, packageName, imports, own: [...source.matchAll(/^(?:message|enum|service) (\w+)/gm)].map((match) => match[1] as string) };
  });
  root.resolveAll();
  const type = descriptorRoot.lookupType('google.protobuf.FileDescriptorProto');
  return parsed.map(({ name, packageName, imports, own }) => {
    const objects = own.map((object) => root.lookup(`${packageName}.${object}`)).filter((object) => object !== null);
    const message = {
      name,
      package: packageName,
      dependency: imports,
      message_type: objects.filter((object) => object instanceof protobuf.Type).map(describeType),
      enum_type: objects.filter((object) => object instanceof protobuf.Enum).map(describeEnum),
      service: objects.filter((object) => object instanceof protobuf.Service).map((service) => describeService(service, packageName)),
      syntax: 'proto3',
    };
    return { name, dependencies: imports, symbols: objects.flatMap(symbolsIn), bytes: type.encode(message).finish() };
  });
};
