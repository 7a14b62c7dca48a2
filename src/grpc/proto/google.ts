/** The well-known types that the gateways need: names, numbers and types as in protobuf and googleapis. */
import type { ProtoFile } from './file.ts';

export const googleProtos: readonly ProtoFile[] = [
  {
    name: 'google/protobuf/any.proto',
    source: `syntax = "proto3";
package google.protobuf;
message Any {
  string type_url = 1;
  bytes value = 2;
}`,
  },
  {
    name: 'google/protobuf/struct.proto',
    source: `syntax = "proto3";
package google.protobuf;
message Struct {
  map<string, Value> fields = 1;
}
message Value {
  oneof kind {
    NullValue null_value = 1;
    double number_value = 2;
    string string_value = 3;
    bool bool_value = 4;
    Struct struct_value = 5;
    ListValue list_value = 6;
  }
}
enum NullValue {
  NULL_VALUE = 0;
}
message ListValue {
  repeated Value values = 1;
}`,
  },
  {
    name: 'google/protobuf/timestamp.proto',
    source: `syntax = "proto3";
package google.protobuf;
message Timestamp {
  int64 seconds = 1;
  int32 nanos = 2;
}`,
  },
  {
    name: 'google/protobuf/wrappers.proto',
    source: `syntax = "proto3";
package google.protobuf;
message BoolValue {
  bool value = 1;
}`,
  },
  {
    name: 'google/rpc/status.proto',
    source: `syntax = "proto3";
package google.rpc;
import "google/protobuf/any.proto";
message Status {
  int32 code = 1;
  string message = 2;
  repeated google.protobuf.Any details = 3;
}`,
  },
];
