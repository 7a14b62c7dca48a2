import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readCheckRequest } from '../../../src/gateways/envoy/check-request.ts';
import { bodyLimitsConfig, envoyGatewayConfig } from '../../../src/gateways/envoy/config.ts';
import { evaluationOf } from '../../../src/gateways/envoy/evaluation.ts';
import { parseForm } from '../../../src/gateways/envoy/form.ts';
import { requestHeaders } from '../../../src/gateways/envoy/headers.ts';
import { parseMediaType, parseMultipart } from '../../../src/gateways/envoy/multipart.ts';
import { policyInput } from '../../../src/gateways/envoy/policy-input.ts';
import { messageType } from '../../../src/grpc/proto/schema.ts';

const type = messageType('envoy.service.auth.v3.CheckRequest');
const limits = bodyLimitsConfig.parse({});

/** The document for a CheckRequest given as plain object, by way of its bytes. */
const documentOf = (attributes: Record<string, any>, options = limits): any => {
  const request = readCheckRequest(type.encode({ attributes }).finish());
  const http = request!.attributes!.request!.http!;
  const { document, refused } = policyInput(request!, http, requestHeaders(http), options);
  return { ...JSON.parse(JSON.stringify(document)), ...(refused === undefined ? {} : { refused }) };
};

const http = (members: Record<string, any>): any => documentOf({ request: { http: members } });

test('the document is the one that opa-envoy-plugin gives, member by member', () => {
  const { attributes, ...rest } = documentOf({
    source: { address: { socketAddress: { address: '172.17.0.10', portValue: 36_472 } }, principal: 'spiffe://test/web' },
    destination: { address: { socketAddress: { address: '172.17.0.17', portValue: 9_080 } } },
    metadataContext: { filterMetadata: { dummy: { fields: { hello: { stringValue: 'world' }, count: { numberValue: 1 }, none: { nullValue: 0 } } } } },
    contextExtensions: { policy: 'a/b' },
    request: {
      time: { seconds: 1_763_719_200, nanos: 5 },
      http: {
        id: '13359530607844510314', method: 'GET', path: '/api/v1/products?id=7&id=8&q=a+b%20c', host: '192.168.99.100:31380', scheme: 'http', size: -1, protocol: 'HTTP/1.1',
        headers: { ':authority': '192.168.99.100:31380', ':method': 'GET', ':path': '/api/v1/products?id=7&id=8&q=a+b%20c', accept: '*/*' },
      },
    },
  });
  expect(rest).toEqual({
    parsed_path: ['api', 'v1', 'products'], parsed_query: { id: ['7', '8'], q: ['a b c'] }, parsed_body: null, truncated_body: false,
    version: { ext_authz: 'v3', encoding: 'protojson' }, source_principal: 'spiffe://test/web',
  });
  expect(attributes).toEqual({
    source: { address: { socketAddress: { address: '172.17.0.10', portValue: 36_472 } }, principal: 'spiffe://test/web' },
    destination: { address: { socketAddress: { address: '172.17.0.17', portValue: 9_080 } } },
    metadataContext: { filterMetadata: { dummy: { hello: 'world', count: 1, none: null } } },
    contextExtensions: { policy: 'a/b' },
    request: {
      time: { seconds: 1_763_719_200, nanos: 5 },
      http: {
        id: '13359530607844510314', method: 'GET', path: '/api/v1/products?id=7&id=8&q=a+b%20c', host: '192.168.99.100:31380', scheme: 'http', size: -1, protocol: 'HTTP/1.1',
        headers: { ':authority': '192.168.99.100:31380', ':method': 'GET', ':path': '/api/v1/products?id=7&id=8&q=a+b%20c', accept: '*/*' },
      },
    },
  });
});

test('header lines become the same headers object, and secrets are in the document once', () => {
  const given = http({
    path: '/a',
    headerMap: { headers: [[':path', '/a'], ['authorization', 'Bearer s3cret'], ['x-a', '1'], ['X-A', '2'], ['x-curfew-grant', 'forged'], ['x-utf', '\u00fc']].map(([key, value]) => ({ key, rawValue: Buffer.from(value as string) })) },
  });
  expect(given.attributes.request.http.headers).toEqual({ ':path': '/a', authorization: 'Bearer s3cret', 'x-a': '1,2', 'x-utf': '\u00fc' });
  expect(JSON.stringify(given).split('s3cret').length).toBe(2);
  expect(JSON.stringify(given)).not.toContain(Buffer.from('Bearer s3cret').toString('base64').slice(0, 12));
});

test.each([
  ['JSON string', 'application/json', '"foo"', 'foo'],
  ['JSON boolean', 'application/json; charset=utf-8', 'true', true],
  ['JSON number', 'Application/JSON', '42', 42],
  ['JSON null', 'application/json', 'null', null],
  ['JSON object', 'application/json', '{"firstname": "foo", "lastname": "bar"}', { firstname: 'foo', lastname: 'bar' }],
  ['JSON escapes', 'application/json', String.raw`["\"", "\\", "\/", "/", "\b", "\f", "\n", "\r", "\t", "A"]`, ['"', '\\', '/', '/', '\b', '\f', '\n', '\r', '\t', 'A']],
  ['empty JSON', 'application/json', '', null],
  ['form', 'application/x-www-form-urlencoded', 'firstname=foo&lastname=bar&lastname=foo%20bar', { firstname: ['foo'], lastname: ['bar', 'foo bar'] }],
  ['multipart', 'multipart/form-data; boundary=foo', '--foo\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: text/plain\r\n\r\nbar\r\n--foo\r\nContent-Disposition: form-data; name="b"\r\nContent-Type: application/json\r\n\r\n{"name": "x"}\r\n--foo--\r\n', { a: ['bar'], b: [{ name: 'x' }] }],
  ['text', 'text/html', 'x', null],
  ['gRPC without descriptors', 'application/grpc', '\0\0\0\0\0', null],
  ['a type that only mentions JSON', 'text/plain; x="application/json"', '{"a":', null],
])('a body is parsed, as text and as bytes: %s', (_name, contentType, body, parsed) => {
  const headers = { 'content-type': contentType, 'content-length': String(Buffer.byteLength(body)) };
  for (const sent of [{ body }, { rawBody: Buffer.from(body) }]) {
    const document = http({ path: '/a', headers, ...sent });
    expect([document.parsed_body, document.truncated_body, document.refused]).toEqual([parsed, false, undefined]);
  }
});

test.each([
  ['JSON cut short', { 'content-type': 'application/json' }, '{"a":', 'request.malformed'],
  ['two members of one name', { 'content-type': 'application/json' }, '{"a":1,"a":2}', 'request.ambiguous'],
  ['an unknown charset', { 'content-type': 'application/json; charset=utf-16' }, '{}', 'request.ambiguous'],
  ['two charsets', { 'content-type': 'application/json; charset=utf-8; charset=utf-16' }, '{}', 'request.ambiguous'],
  ['a content type that is none', { 'content-type': 'json' }, '{}', 'request.ambiguous'],
  ['a length that is none', { 'content-type': 'application/json', 'content-length': '+2' }, '{}', 'request.ambiguous'],
  ['a semicolon in a form', { 'content-type': 'application/x-www-form-urlencoded' }, 'a=1;b=2', 'request.ambiguous'],
  ['a bad escape in a form', { 'content-type': 'application/x-www-form-urlencoded' }, 'a=%zz', 'request.ambiguous'],
  ['a multipart body without boundary', { 'content-type': 'multipart/form-data' }, '--x', 'request.malformed'],
  ['a body cut short', { 'content-type': 'application/json', 'content-length': '10' }, '{}', 'request.too_large'],
])('a body that is not understood denies: %s', (_name, headers, body, reason) => {
  expect(http({ path: '/a', headers, body }).refused).toBe(reason);
});

test('bytes that are not UTF-8 deny, but for files in forms', () => {
  expect(http({ path: '/a', headers: { 'content-type': 'application/json' }, rawBody: Buffer.from([0x22, 0xff, 0x22]) }).refused).toBe('request.malformed');
  const form = Buffer.concat([Buffer.from('--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n'), Buffer.from([0xff]), Buffer.from('\r\n--b--')]);
  expect(http({ path: '/a', headers: { 'content-type': 'multipart/form-data; boundary=b' }, rawBody: form })).toMatchObject({ parsed_body: { f: ['\ufffd'] } });
});

test('with parsing switched off, nothing is said about bodies and none denies', () => {
  const document = documentOf({ request: { http: { path: '/a', headers: { 'content-type': 'application/json', 'x-envoy-auth-partial-body': 'true' }, body: '{' } } }, bodyLimitsConfig.parse({ parse: false }));
  expect(document).not.toHaveProperty('parsed_body');
  expect(document).not.toHaveProperty('truncated_body');
  expect(document.refused).toBeUndefined();
});

test('B8: limits on length, depth and number of members deny', () => {
  const small = bodyLimitsConfig.parse({ maxBytes: 50, maxParts: 3, maxDepth: 4 });
  const ask = (contentType: string, body: string, path = '/a'): unknown => documentOf({ request: { http: { path, headers: { 'content-type': contentType }, body } } }, small).refused;
  expect(ask('application/json', `"${'x'.repeat(60)}"`)).toBe('request.too_large');
  expect(ask('application/json', '[[[[[]]]]]')).toBe('request.ambiguous');
  expect(ask('application/json', '[[[]]]')).toBeUndefined();
  expect(ask('application/x-www-form-urlencoded', 'a&b&c&d')).toBe('request.ambiguous');
  expect(ask('text/plain', '', '/a?a&b&c&d')).toBe('request.ambiguous');
  expect(http({ path: '/a', headers: { 'content-type': 'application/json' }, body: '['.repeat(100_000) }).refused).toBe('request.malformed');
});

test('a query is read as the service reads it, or denies', () => {
  expect(parseForm('a=1&a=2&b&=c&&d=%26', 100)).toEqual({ a: ['1', '2'], b: [''], '': ['c'], d: ['&'] });
  for (const text of ['a;b=1', 'a=1;', 'a=%', 'a=%f', '%c3=1', 'a=%c3%28']) expect([text, parseForm(text, 100)]).toEqual([text, undefined]);
  const odd = parseForm('__proto__=x&constructor=y', 100);
  expect(Object.entries(odd ?? {})).toEqual([['__proto__', ['x']], ['constructor', ['y']]]);
});

test('forms come back as they were written (property)', () => {
  const part = fc.string({ maxLength: 8, unit: 'grapheme' });
  fc.assert(fc.property(fc.array(fc.tuple(part, part), { maxLength: 8 }), (pairs) => {
    const form = new Map<string, string[]>();
    for (const [name, value] of pairs) form.set(name, [...(form.get(name) ?? []), value]);
    const text = pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&');
    expect(new Map(Object.entries(parseForm(text, 100) ?? {}))).toEqual(form);
  }));
});

test('media types', () => {
  expect(parseMediaType('Multipart/Form-Data; Boundary="a b"; charset=UTF-8')).toEqual({ type: 'multipart/form-data', parameters: new Map([['boundary', 'a b'], ['charset', 'UTF-8']]) });
  for (const text of ['', '/', 'a', 'a/b c', 'a/b; c', 'a/b; c=d; C=e', 'a/b; c="d', 'a/b; c=d e']) expect([text, parseMediaType(text)]).toEqual([text, undefined]);
});

const part = (head: string, body = 'x'): string => `--b\r\n${head}\r\n\r\n${body}\r\n`;
const DISPOSITION = 'Content-Disposition: form-data; name="f"';

test.each([
  ['bare line feeds', `--b\n${DISPOSITION}\n\nx\n--b--\n`],
  ['text before the first part', `hello\r\n${part(DISPOSITION)}--b--`],
  ['text after the last part', `${part(DISPOSITION)}--b--\r\nmore`],
  ['no end', part(DISPOSITION)],
  ['a part without a name', `${part('Content-Disposition: form-data')}--b--`],
  ['a part that is not form-data', `${part('Content-Disposition: attachment; name="f"')}--b--`],
  ['two names', `${part('Content-Disposition: form-data; name="f"; name="g"')}--b--`],
  ['an extended name', `${part("Content-Disposition: form-data; name=\"f\"; name*=utf-8''g")}--b--`],
  ['two dispositions', `${part(`${DISPOSITION}\r\nContent-Disposition: form-data; name="g"`)}--b--`],
  ['an escaped name', `${part(String.raw`Content-Disposition: form-data; name="f\"g"`)}--b--`],
  ['a folded header', `${part('Content-Disposition: form-data;\r\n name="f"')}--b--`],
  ['a transfer encoding', `${part(`${DISPOSITION}\r\nContent-Transfer-Encoding: base64`)}--b--`],
  ['a boundary line with something behind it', `--b \r\n${DISPOSITION}\r\n\r\nx\r\n--b--`],
  ['JSON with two readings', `${part(`${DISPOSITION}\r\nContent-Type: application/json`, '{"a":1,"a":2}')}--b--`],
])('a multipart form that readers disagree about is refused: %s', (_name, body) => {
  expect(parseMultipart(Buffer.from(body), 'b', limits)).toBeUndefined();
});

test('a multipart form keeps what its parts hold, boundary look-alikes included', () => {
  const body = `${part(DISPOSITION, 'one\r\n--bx\r\n--')}${part('content-disposition: form-data; name="\u00fc"; filename="a.txt"', '')}--b--\r\n`;
  expect(parseMultipart(Buffer.from(body), 'b', limits)).toBeUndefined();
  const clean = `${part(DISPOSITION, 'one\r\n--x\r\n--')}${part('content-disposition: form-data; name="\u00fc"; filename="a.txt"', '')}--b--\r\n`;
  expect(Object.entries(parseMultipart(Buffer.from(clean), 'b', limits) ?? {})).toEqual([['f', ['one\r\n--x\r\n--']], ['\u00fc', ['']]]);
});

test('B1: a request whose pseudo-headers say another thing than its own fields denies, however its headers come', () => {
  const own = { method: 'GET', path: '/orders/1', host: 'shop.local', scheme: 'https' };
  const agreeing = { ':method': 'GET', ':path': '/orders/1', ':authority': 'shop.local', ':scheme': 'https' };
  const refusedWith = (headers: Record<string, string>): (string | undefined)[] => [
    { ...own, headers }, { ...own, headerMap: { headers: Object.entries(headers).map(([key, value]) => ({ key, rawValue: Buffer.from(value) })) } },
  ].map((members) => {
    const request = readCheckRequest(type.encode({ attributes: { request: { http: members } } }).finish());
    return evaluationOf(request!, {
      id: 'd', pep: { ok: true, pep: { id: undefined, obligations: [] }, config: undefined }, config: envoyGatewayConfig.parse({}), rulesFor: () => ({ routes: [], hosts: 'any' }), sentWith: 'turn',
    }).evaluation.refused;
  });
  expect(refusedWith(agreeing)).toEqual([undefined, undefined]);
  for (const [name, value] of [[':method', 'DELETE'], [':path', '/admin'], [':authority', 'admin.local'], [':scheme', 'http']] as const) {
    expect(refusedWith({ ...agreeing, [name]: value }), name).toEqual(['request.ambiguous', 'request.ambiguous']);
  }
});
