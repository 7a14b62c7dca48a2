/** Routes in the configuration: what a route allows that is refused otherwise, and only that (THREATS B1, C5). */
import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { routeConfig } from '../../../src/gateways/config.ts';
import { buildHttpQuestion, type RawHttpRequest } from '../../../src/gateways/http-question.ts';

type RouteInput = z.input<typeof routeConfig>;

const ask = (routes: readonly RouteInput[], request: Partial<Omit<RawHttpRequest, 'headers'>> & { headers?: Record<string, string> } = {}) =>
  buildHttpQuestion(
    {
      method: 'GET', scheme: 'https', authority: 'shop.local', target: '/a', ...request,
      headers: new Map(Object.entries(request.headers ?? {}).map(([name, value]) => [name, [value]])),
    },
    { routes: routes.map((route) => routeConfig.parse(route)), hosts: 'any' },
  );
const reason = (...args: Parameters<typeof ask>): string => {
  const outcome = ask(...args);
  return outcome.ok ? 'ok' : outcome.reason;
};

test('a route maps to its action and resource', () => {
  const route: RouteInput = {
    id: 'refund', match: { methods: ['POST'], hosts: ['Shop.Local'], path: '/orders/{order}/refund' }, action: 'refund', resource: { type: 'order', id: '{host}/{order}' },
  };
  expect(ask([route], { method: 'POST', target: '/orders/4%202/refund?x' })).toMatchObject({
    ok: true, question: { action: 'refund', resource: { type: 'order', id: 'shop.local/4 2' } }, route: 'refund', canonicalPath: '/orders/4 2/refund', segments: ['orders', '4 2', 'refund'],
  });
  expect(ask([route], { method: 'post', target: '/orders/42/refund' })).toMatchObject({ question: { action: 'post' }, route: undefined });
});

test('B1: request method is case-sensitive and must be a token', () => {
  for (const method of ['', 'GE T', 'GET\r\n', 'G(ET', 'É', 'x'.repeat(65)]) expect(reason([], { method }), JSON.stringify(method)).toBe('request.malformed');
  expect(ask([], { method: 'get' })).toMatchObject({ question: { action: 'get' } });
});

describe('streams', () => {
  const all: RouteInput = { id: 'all', match: { path: '/**' } };
  const sse = { headers: { accept: 'text/event-stream' } };
  const websocket = { headers: { upgrade: 'WebSocket', connection: 'upgrade' } };

  test('C5: a stream needs a route with maxStreamMs, which bounds every request on it', () => {
    expect(reason([all], sse)).toBe('request.stream');
    expect(ask([{ ...all, maxStreamMs: 5_000 }], sse)).toMatchObject({ question: { stream: { maxMs: 5_000 } } });
    expect(ask([{ ...all, maxStreamMs: 5_000 }])).toMatchObject({ question: { stream: { maxMs: 5_000 } } });
    expect(ask([all])).not.toHaveProperty('question.stream');
    expect(ask([{ ...all, maxStreamMs: 5_000 }], { headers: { 'content-type': 'application/grpc' } })).toMatchObject({ ok: true });
  });

  test('B1: an upgrade needs its protocol named, too', () => {
    expect(reason([{ ...all, maxStreamMs: 5_000 }], websocket)).toBe('request.stream');
    const open: RouteInput = { ...all, maxStreamMs: 5_000, upgrade: ['WebSocket'] };
    expect(ask([open], websocket)).toMatchObject({ question: { stream: { maxMs: 5_000 } } });
    for (const upgrade of ['h2c', 'websocket, h2c', '', 'websocket,']) expect(reason([open], { headers: { upgrade } }), upgrade).toBe('request.stream');
    expect(reason([open], { scheme: 'wss' })).toBe('ok');
    expect(reason([open], { method: 'CONNECT' })).toBe('request.stream');
    expect(reason([{ ...open, upgrade: ['connect'] }], { method: 'CONNECT' })).toBe('ok');
    expect(reason([open], { method: 'CONNECT', target: 'shop.local:443' })).toBe('request.ambiguous');
  });
});

test('B1: method-override headers are refused unless the backend is known to ignore them; path overrides always', () => {
  const all: RouteInput = { id: 'all', match: { path: '/**' }, methodOverride: 'ignore' };
  for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override']) {
    expect(reason([], { headers: { [name]: 'DELETE' } })).toBe('request.ambiguous');
    expect(ask([all], { headers: { [name]: 'DELETE' } })).toMatchObject({ question: { action: 'GET' } });
  }
  for (const name of ['x-original-url', 'x-rewrite-url']) expect(reason([all], { headers: { [name]: '/admin' } })).toBe('request.ambiguous');
});

test('B8: a resource id beyond its cap is refused', () => {
  expect(reason([], { target: `/${'a'.repeat(3_000)}` })).toBe('request.too_large');
});

test('configuration: what could not work as written is refused with its place', () => {
  const at = (route: unknown): string | undefined => routeConfig.safeParse(route).error?.issues[0]?.path.join('.');
  expect(at({ id: 'x', match: { path: 'a' } })).toBe('match.path');
  expect(at({ id: 'x', match: { path: '/{a}' }, resource: { type: 't', id: '{b}' } })).toBe('resource.id');
  expect(at({ id: 'x', match: { path: '/a' }, upgrade: ['websocket'] })).toBe('upgrade');
  expect(at({ id: 'x', match: { path: '/a', hosts: ['a/b'] } })).toBe('match.hosts.0');
  expect(at({ id: 'x', match: { path: '/a', methods: [] } })).toBe('match.methods');
  expect(at({ id: 'x', match: { path: '/a' }, encodedSlash: 'yes' })).toBe('encodedSlash');
  expect(at({ id: 'x', match: { path: '/a' }, maxStreamMs: Number.POSITIVE_INFINITY })).toBe('maxStreamMs');
  expect(routeConfig.safeParse({ id: 'x', match: { path: '/a' }, surprise: true }).success).toBe(false);
});
