/** What a policy sees of a gRPC request, by a descriptor set; and what a route says in `context_extensions`. Over gRPC, as Envoy asks. */
import protobuf from 'protobufjs';
import 'protobufjs/ext/descriptor.js';
import { Metadata, type Client } from '@grpc/grpc-js';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { grpcBodies } from '../../../src/gateways/envoy/grpc-body.ts';
import { openClient, unary, type Json } from '../../grpc/grpc-js.ts';
import { allowed, startGateway, unlessRefused, type RunningGateway } from './harness.ts';

const PROTO = `syntax = "proto3"; package shop;
enum Kind { NONE = 0; GIFT = 1; }
message Line { string item = 1; map<string, string> notes = 2; }
message Order { string order_id = 1; int64 cents = 2; Kind kind = 3; bytes raw = 4; repeated Line lines = 5; Order parent = 6; }
message Empty {}
service Orders { rpc Place (Order) returns (Empty); rpc Watch (Empty) returns (stream Empty); }`;

const root = protobuf.parse(PROTO).root;
root.resolveAll();
const Order = root.lookupType('shop.Order');
const set = protobuf.Root.prototype.toDescriptor.call(root, 'proto3');
const SET = (set.constructor as unknown as { encode(message: unknown): protobuf.Writer }).encode(set).finish();

const framed = (bytes: Uint8Array, flag = 0, length = bytes.length): Buffer => {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, bytes]);
};
const order = (fields: Json): Uint8Array => Order.encode(Order.fromObject(fields)).finish();

const TOKEN = 'mesh-token-0123456789';
const TYPES = ['envoy.service.auth.v3.CheckRequest', 'envoy.service.auth.v3.CheckResponse'] as const;

let gateway: RunningGateway;
let client: Client;
beforeAll(async () => {
  gateway = await startGateway(unlessRefused((evaluation) => allowed(evaluation)), {
    grpcBodies: grpcBodies(SET), config: { policies: ['shop/authz/allow'], pep: 'anonymous' },
    peps: [{ id: 'mesh', token: { sha256: createHash('sha256').update(TOKEN).digest('hex') }, realms: ['default', 'tenant'], hosts: ['*'] }],
    routes: [{ id: 'grpc', match: { path: '/shop.Orders/**' }, maxStreamMs: 1_000 }],
  });
  client = openClient(`127.0.0.1:${gateway.port}`);
});
afterAll(async () => {
  client.close();
  await gateway.close();
});
beforeEach(() => void (gateway.evaluations.length = 0));

const check = async (attributes: Json, token: string | undefined = TOKEN): Promise<boolean> => {
  const metadata = new Metadata();
  if (token !== '') metadata.set('x-curfew-pep-token', token);
  const answer = await unary(client, '/envoy.service.auth.v3.Authorization/Check', TYPES, { attributes }, metadata);
  return answer['okResponse'] !== undefined;
};
const http = (more: Json = {}): Json => ({ method: 'POST', path: '/shop.Orders/Place', host: 'shop.local', scheme: 'http', protocol: 'HTTP/2', headers: { authorization: 'Bearer x', 'content-type': 'application/grpc' }, ...more });
const call = (body: Buffer, more: Json = {}): Promise<boolean> => check({ request: { http: http({ rawBody: body, ...more }) } });
const last = (): any => gateway.evaluations.at(-1);

describe('messages of gRPC', () => {
  test("a unary call's message is parsed_body in protobuf's JSON form", async () => {
    expect(await call(framed(order({ orderId: 'o-1', cents: 9007199254740993n.toString(), kind: 'GIFT', raw: Buffer.from('hi'), lines: [{ item: 'x', notes: { a: 'b' } }] })))).toBe(true);
    expect(last().input.parsed_body).toEqual({ orderId: 'o-1', cents: '9007199254740993', kind: 'GIFT', raw: 'aGk=', lines: [{ item: 'x', notes: { a: 'b' } }] });
    expect(last().input.truncated_body).toBe(false);
  });

  test('a method that nobody described has no parsed body, like other media types', async () => {
    for (const more of [{ path: '/shop.Orders/Other' }, { path: '/shop.Orders/place' }, { headers: { authorization: 'Bearer x', 'content-type': 'application/grpc-web' } }]) {
      expect(await call(framed(order({ orderId: 'o-1' })), more)).toBe(true);
      expect(last().input.parsed_body, JSON.stringify(more)).toBeNull();
    }
  });

  test('B4 B7 B8: compressed, cut short, several, malformed, too deep and too large deny', async () => {
    let deep: Json = { orderId: 'x' };
    for (let depth = 0; depth < 100; depth += 1) deep = { parent: deep };
    const good = order({ orderId: 'o-1' });
    for (const [body, reason] of [
      [framed(good, 1), 'request.malformed'], [framed(good, 0, good.length + 1), 'request.too_large'], [framed(good).subarray(0, 3), 'request.too_large'],
      [Buffer.concat([framed(good), framed(good)]), 'request.malformed'], [framed(Buffer.from([0xff, 0xff, 0xff])), 'request.malformed'], [framed(Buffer.from([0x0a, 0x7f, 0x41])), 'request.malformed'],
      [framed(order(deep)), 'request.malformed'], [framed(order({ lines: [{ notes: Object.fromEntries([['__proto__', 'x']]) }] })), 'request.malformed'],
    ] as const) {
      expect(await call(body), body.toString('hex').slice(0, 40)).toBe(false);
      expect(last().refused).toBe(reason);
    }
    expect(({} as Json)['x']).toBeUndefined();
  });

  test('what is no descriptor set is refused at start', () => {
    for (const bytes of [Buffer.from('not one'), Buffer.alloc(0)]) expect(() => grpcBodies(bytes)).toThrow();
  });
});

/** Every kind of field that the plugin's own example of gRPC compares, in its JSON form. */
const SINK = `syntax = "proto3"; package sink;
import "google/protobuf/any.proto"; import "google/protobuf/wrappers.proto"; import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto"; import "google/protobuf/struct.proto"; import "google/protobuf/field_mask.proto"; import "google/protobuf/empty.proto";
enum State { UNKNOWN = 0; AWAITING_INPUT = 1; }
message Known { google.protobuf.UInt64Value big_id = 1; google.protobuf.Int64Value big_int = 2; google.protobuf.BoolValue bool = 3; google.protobuf.BytesValue bytes = 4; google.protobuf.DoubleValue double = 5;
  google.protobuf.FloatValue float = 6; google.protobuf.ListValue list = 7; google.protobuf.Any neat = 8; google.protobuf.Timestamp now = 9; google.protobuf.Struct object = 10; google.protobuf.Duration period = 11;
  google.protobuf.UInt32Value small_id = 12; google.protobuf.StringValue string = 13; google.protobuf.Value value = 14; google.protobuf.FieldMask mask = 15; google.protobuf.Empty nothing = 16; repeated int32 packed = 17; }
message Exchange { float needed = 1; string opaque_id = 2; State state = 3; Known wk = 4; }
service Sink { rpc Exchange (Exchange) returns (Exchange); }`;
const sinkRoot = new protobuf.Root();
for (const name of ['any', 'wrappers', 'timestamp', 'duration', 'struct', 'field_mask', 'empty']) sinkRoot.addJSON((protobuf.common.get(`google/protobuf/${name}.proto`) as any).nested);
protobuf.parse(SINK, sinkRoot);
sinkRoot.resolveAll();
const sinkSet = protobuf.Root.prototype.toDescriptor.call(sinkRoot, 'proto3');
const sink = grpcBodies((sinkSet.constructor as unknown as { encode(message: unknown): protobuf.Writer }).encode(sinkSet).finish());

describe('well-known types', () => {
  const Exchange = sinkRoot.lookupType('sink.Exchange');
  const wrap = (type: string, fields: Json): Uint8Array => sinkRoot.lookupType(type).encode(fields).finish();
  const read = (fields: Json): any => sink('/sink.Sink/Exchange', framed(Exchange.encode(fields).finish()));
  const known = (wk: Json): any => read({ wk });
  const any = (name: string, value: Uint8Array): Json => ({ neat: { type_url: name, value } });

  test("have the forms that opa-envoy-plugin's example policy compares", () => {
    const wk = {
      bigId: { value: 101 }, bigInt: { value: 2 }, bool: { value: true }, bytes: { value: Buffer.from([0, 0, 0]) }, double: { value: 0.12 }, float: { value: 0.12 },
      list: { values: [{ stringValue: 'zero' }, { stringValue: 'one' }, { nullValue: 0 }] }, ...any('googleapis.com/google.protobuf.StringValue', wrap('google.protobuf.StringValue', { value: 'Hithere' })),
      now: { seconds: 1_606_902_522, nanos: 118_723_000 }, object: { fields: { foo: { stringValue: 'bar' } } }, period: { seconds: 30 }, smallId: { value: 100 }, string: { value: 'abcd' }, value: { stringValue: 'string' },
      mask: { paths: ['user.display_name', 'photo'] }, nothing: {}, packed: [1, 2, 300],
    };
    expect(read({ needed: 1.23, opaqueId: 'asdf', state: 1, wk })).toEqual({ kind: 'value', value: {
      needed: 1.23, opaqueId: 'asdf', state: 'AWAITING_INPUT', wk: {
        bigId: '101', bigInt: '2', bool: true, bytes: 'AAAA', double: 0.12, float: 0.12, list: ['zero', 'one', null], neat: { '@type': 'googleapis.com/google.protobuf.StringValue', value: 'Hithere' },
        now: '2020-12-02T09:48:42.118723Z', object: { foo: 'bar' }, period: '30s', smallId: 100, string: 'abcd', value: 'string', mask: 'user.displayName,photo', nothing: {}, packed: [1, 2, 300],
      },
    } });
    expect(known({ bigId: {}, bytes: {}, bool: {}, period: { seconds: -1, nanos: -500_000_000 }, now: {} }).value.wk).toEqual({ bigId: '0', bytes: '', bool: false, period: '-1.500s', now: '1970-01-01T00:00:00Z' });
    expect(known(any('x/sink.Exchange', wrap('sink.Exchange', { opaqueId: 'in' }))).value.wk).toEqual({ neat: { '@type': 'x/sink.Exchange', opaqueId: 'in' } });
  });

  test('B7 B8: what has no such form denies: out of range, of an unknown type, malformed or too deep inside of an Any, __proto__ anywhere', () => {
    let nested = any('x/sink.Exchange', wrap('sink.Exchange', {}));
    for (let depth = 0; depth < 40; depth += 1) nested = any('x/sink.Known', wrap('sink.Known', nested));
    for (const wk of [
      { now: { seconds: 253_402_300_800 } }, { now: { nanos: 1_000_000_000 } }, { now: { nanos: -1 } }, { period: { seconds: 1, nanos: -1 } }, { period: { seconds: 400_000_000_000 } }, { value: {} }, { value: { numberValue: Number.NaN } }, { mask: { paths: ['aB'] } },
      any('x/no.Such', Buffer.from([])), any('no-slash', Buffer.from([])), any('x/sink', Buffer.from([])), any('x/sink.Exchange', Buffer.from([0x0a, 0xff])), nested, { object: { fields: Object.fromEntries([['__proto__', { boolValue: true }]]) } },
      any('x/google.protobuf.Struct', wrap('google.protobuf.Struct', { fields: Object.fromEntries([['__proto__', { boolValue: true }]]) })),
    ] as Json[]) expect(known(wk).kind, JSON.stringify(wk).slice(0, 120)).toBe('malformed');
    expect(({} as Json)['boolValue']).toBeUndefined();
  });
});

describe('context_extensions', () => {
  const plain = { method: 'GET', path: '/orders/1', host: 'shop.local', scheme: 'http', protocol: 'HTTP/1.1', headers: { authorization: 'Bearer x' } };
  const asked = async (contextExtensions: Json, token?: string): Promise<readonly unknown[]> => {
    await check({ request: { http: plain }, contextExtensions }, token);
    return [last().rule, last().realm, last().refused];
  };

  test('a route names its policy and its realm, among those that are configured', async () => {
    expect(await asked({})).toEqual([undefined, 'default', undefined]);
    expect(await asked({ other: 'x' })).toEqual([undefined, 'default', undefined]);
    expect(await asked({ 'curfew.policy': 'shop/authz/allow', 'curfew.realm': 'tenant' })).toEqual(['shop/authz/allow', 'tenant', undefined]);
    for (const extensions of [{ 'curfew.policy': 'other/allow' }, { 'curfew.policy': '' }, { 'curfew.realm': 'elsewhere' }, { 'curfew.realm': '' }]) {
      expect((await asked(extensions))[2], JSON.stringify(extensions)).toBe('pep.not_permitted');
    }
  });

  test('whoever proved nothing names no realm', async () => {
    expect((await asked({ 'curfew.realm': 'tenant' }, ''))[2]).toBe('pep.not_permitted');
    expect((await asked({ 'curfew.realm': 'default' }, ''))[2]).toBe('pep.not_permitted');
    expect((await asked({ 'curfew.policy': 'shop/authz/allow' }, ''))[2]).toBeUndefined();
  });
});
