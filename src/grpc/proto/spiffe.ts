/** The part of SPIFFE's Workload API that Curfew asks for. Loaded only where that API is configured. */
import protobuf from 'protobufjs';

const SOURCE = `syntax = "proto3";
message X509SVIDResponse {
  repeated X509SVID svids = 1;
  repeated bytes crl = 2;
  map<string, bytes> federated_bundles = 3;
}
message X509SVID {
  string spiffe_id = 1;
  bytes x509_svid = 2;
  bytes x509_svid_key = 3;
  bytes bundle = 4;
  string hint = 5;
}
message X509BundlesResponse {
  repeated bytes crl = 1;
  map<string, bytes> bundles = 2;
}
message JWTBundlesResponse {
  map<string, bytes> bundles = 1;
}`;

export const spiffeRoot = protobuf.parse(SOURCE).root.resolveAll();

export const WORKLOAD_API = {
  x509Svid: '/SpiffeWorkloadAPI/FetchX509SVID',
  x509Bundles: '/SpiffeWorkloadAPI/FetchX509Bundles',
  jwtBundles: '/SpiffeWorkloadAPI/FetchJWTBundles',
} as const;

/** DER: certificates one after the other. */
export interface X509Svid {
  readonly spiffeId: string;
  readonly x509Svid: Uint8Array;
  readonly x509SvidKey: Uint8Array;
  readonly bundle: Uint8Array;
}

/** By the SPIFFE ID of their trust domain. */
export type Bundles = Readonly<Record<string, Uint8Array>>;

const reader = <T>(name: string): ((bytes: Uint8Array) => T) => {
  const type = spiffeRoot.lookupType(name);
  return (bytes) => type.toObject(type.decode(bytes), { bytes: Buffer, defaults: true, arrays: true, objects: true }) as T;
};

/** Each throws on what is no such message. */
export const readX509Svids = reader<{ readonly svids: readonly X509Svid[]; readonly crl: readonly Uint8Array[] }>('X509SVIDResponse');
export const readX509Bundles = reader<{ readonly bundles: Bundles; readonly crl: readonly Uint8Array[] }>('X509BundlesResponse');
export const readJwtBundles = reader<{ readonly bundles: Bundles }>('JWTBundlesResponse');
