/**
 * The part of Envoy's API v3 that external authorization uses. Names, numbers and types are Envoy's; what neither Envoy sends to
 * an authorization server nor Curfew answers is left out, and is skipped as unknown when it arrives.
 */
import type { ProtoFile } from './file.ts';

export const envoyProtos: readonly ProtoFile[] = [
  {
    name: 'envoy/config/core/v3/address.proto',
    source: `syntax = "proto3";
package envoy.config.core.v3;
message Pipe {
  string path = 1;
  uint32 mode = 2;
}
message EnvoyInternalAddress {
  oneof address_name_specifier {
    string server_listener_name = 1;
  }
  string endpoint_id = 2;
}
message SocketAddress {
  enum Protocol {
    TCP = 0;
    UDP = 1;
  }
  Protocol protocol = 1;
  string address = 2;
  oneof port_specifier {
    uint32 port_value = 3;
    string named_port = 4;
  }
  string resolver_name = 5;
  bool ipv4_compat = 6;
}
message Address {
  oneof address {
    SocketAddress socket_address = 1;
    Pipe pipe = 2;
    EnvoyInternalAddress envoy_internal_address = 3;
  }
}`,
  },
  {
    name: 'envoy/config/core/v3/base.proto',
    source: `syntax = "proto3";
package envoy.config.core.v3;
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
message Metadata {
  map<string, google.protobuf.Struct> filter_metadata = 1;
  map<string, google.protobuf.Any> typed_filter_metadata = 2;
}
message QueryParameter {
  string key = 1;
  string value = 2;
}
message HeaderValue {
  string key = 1;
  string value = 2;
  bytes raw_value = 3;
}
message HeaderValueOption {
  enum HeaderAppendAction {
    APPEND_IF_EXISTS_OR_ADD = 0;
    ADD_IF_ABSENT = 1;
    OVERWRITE_IF_EXISTS_OR_ADD = 2;
    OVERWRITE_IF_EXISTS = 3;
  }
  HeaderValue header = 1;
  google.protobuf.BoolValue append = 2 [deprecated = true];
  HeaderAppendAction append_action = 3;
  bool keep_empty_value = 4;
}
message HeaderMap {
  repeated HeaderValue headers = 1;
}`,
  },
  {
    name: 'envoy/type/v3/http_status.proto',
    source: `syntax = "proto3";
package envoy.type.v3;
enum StatusCode {
  Empty = 0;
  BadRequest = 400;
  Unauthorized = 401;
  PaymentRequired = 402;
  Forbidden = 403;
  NotFound = 404;
}
message HttpStatus {
  StatusCode code = 1;
}`,
  },
  {
    name: 'envoy/service/auth/v3/attribute_context.proto',
    source: `syntax = "proto3";
package envoy.service.auth.v3;
import "envoy/config/core/v3/address.proto";
import "envoy/config/core/v3/base.proto";
import "google/protobuf/timestamp.proto";
message AttributeContext {
  message Peer {
    envoy.config.core.v3.Address address = 1;
    string service = 2;
    map<string, string> labels = 3;
    string principal = 4;
    string certificate = 5;
  }
  message Request {
    google.protobuf.Timestamp time = 1;
    HttpRequest http = 2;
  }
  message HttpRequest {
    string id = 1;
    string method = 2;
    map<string, string> headers = 3;
    envoy.config.core.v3.HeaderMap header_map = 13;
    string path = 4;
    string host = 5;
    string scheme = 6;
    string query = 7;
    string fragment = 8;
    int64 size = 9;
    string protocol = 10;
    string body = 11;
    bytes raw_body = 12;
  }
  message TLSSession {
    string sni = 1;
  }
  Peer source = 1;
  Peer destination = 2;
  Request request = 4;
  map<string, string> context_extensions = 10;
  envoy.config.core.v3.Metadata metadata_context = 11;
  TLSSession tls_session = 12;
  envoy.config.core.v3.Metadata route_metadata_context = 13;
}`,
  },
  {
    name: 'envoy/service/auth/v3/external_auth.proto',
    source: `syntax = "proto3";
package envoy.service.auth.v3;
import "envoy/config/core/v3/base.proto";
import "envoy/service/auth/v3/attribute_context.proto";
import "envoy/type/v3/http_status.proto";
import "google/protobuf/struct.proto";
import "google/rpc/status.proto";
service Authorization {
  rpc Check(CheckRequest) returns (CheckResponse);
}
message CheckRequest {
  AttributeContext attributes = 1;
}
message DeniedHttpResponse {
  envoy.type.v3.HttpStatus status = 1;
  repeated envoy.config.core.v3.HeaderValueOption headers = 2;
  string body = 3;
}
message OkHttpResponse {
  repeated envoy.config.core.v3.HeaderValueOption headers = 2;
  google.protobuf.Struct dynamic_metadata = 3 [deprecated = true];
  repeated string headers_to_remove = 5;
  repeated envoy.config.core.v3.HeaderValueOption response_headers_to_add = 6;
  repeated envoy.config.core.v3.QueryParameter query_parameters_to_set = 7;
  repeated string query_parameters_to_remove = 8;
}
message CheckResponse {
  google.rpc.Status status = 1;
  oneof http_response {
    DeniedHttpResponse denied_response = 2;
    OkHttpResponse ok_response = 3;
    DeniedHttpResponse error_response = 5;
  }
  google.protobuf.Struct dynamic_metadata = 4;
}`,
  },
];
