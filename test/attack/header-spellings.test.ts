/** B1, B2: services on CGI, WSGI, Rack or PHP read `X_Http_Method_Override` as `X-HTTP-Method-Override`. So do we, where it matters. */
import { describe, expect, test } from 'vitest';
import { requestHeaders } from '../../src/gateways/envoy/headers.ts';
import { buildHttpQuestion, type HttpQuestionRules } from '../../src/gateways/http-question.ts';
import { routeConfig } from '../../src/gateways/config.ts';

const RULES: HttpQuestionRules = { routes: [], hosts: 'any' };
const asked = (names: readonly string[], rules = RULES) =>
  buildHttpQuestion({ method: 'GET', scheme: 'https', authority: 'shop.local', target: '/a', headers: new Map(names.map((name) => [name, ['x']])) }, rules);

const spellings = (name: string): readonly string[] => [name, name.replaceAll('-', '_'), name.replace('-', '_'), name.replaceAll('-', '.'), name.replaceAll('-', '!')];

describe('B1: another method or path than the judged one, named by a header', () => {
  const overrides = ['x-http-method-override', 'x-http-method', 'x-method-override', 'x-original-url', 'x-rewrite-url'];
  test.each(overrides.flatMap(spellings))('%s denies', (name) => {
    expect(asked([name])).toEqual({ ok: false, reason: 'request.ambiguous' });
    expect(asked(['accept', name, 'user_agent'])).toEqual({ ok: false, reason: 'request.ambiguous' });
  });

  test('other headers with such characters are let through', () => {
    expect(asked(['x_request_id', 'x.y', 'x-http-method-overrides', 'http_method']).ok).toBe(true);
  });

  test('a route whose backend reads no override lets every spelling through', () => {
    const rules: HttpQuestionRules = { ...RULES, routes: [routeConfig.parse({ id: 'r', match: { path: '/a' }, methodOverride: 'ignore' })] };
    expect(spellings('x-http-method-override').map((name) => asked([name], rules).ok)).toEqual([true, true, true, true, true]);
    expect(asked(['x_original_url'], rules).ok).toBe(false);
  });
});

test('B2: a client header that the service would take for one of ours is removed, and no policy sees it', () => {
  const names = ['x-curfew-grant', 'X_Curfew_Grant', 'x.curfew.valid-ms', 'x_curfew-reason'];
  const read = requestHeaders({ headerMap: [...names, 'x-curfewed', 'xcurfew'].map((name) => [name, 'forged'] as const) });
  expect(read.own).toEqual(['x-curfew-grant', 'x_curfew_grant', 'x.curfew.valid-ms', 'x_curfew-reason']);
  expect(Object.keys(read.merged)).toEqual(['x-curfewed', 'xcurfew']);
});
