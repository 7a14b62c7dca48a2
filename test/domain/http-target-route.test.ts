/** Routes: different requests never become the same resource by composition, and no route loosens another's judgement. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseIdTemplate, parsePathTemplate, routeRequest } from '../../src/domain/route.ts';
import type { Route, Template } from '../../src/domain/route.ts';

const path = (text: string): Template => {
  const parsed = parsePathTemplate(text);
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
};
const id = (text: string, of: Template): Template => {
  const parsed = parseIdTemplate(text, of);
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
};
const route = (template: string, more: Partial<Route> = {}): Route => ({ id: template, path: path(template), target: {}, upgrade: new Set(), ...more });
const ask = (routes: readonly Route[], target: string, method = 'GET', host = 'shop.local') => {
  const routed = routeRequest(routes, { method, host, target });
  return 'target' in routed ? { route: routed.route?.id, action: routed.action, resource: routed.resource } : routed.reason;
};

test('without a route, action is the method and the resource host and path, never the query', () => {
  expect(ask([], '/orders/42?admin=/../x')).toEqual({ route: undefined, action: 'GET', resource: { type: 'http', id: 'shop.local/orders/42' } });
  expect(ask([], '/')).toMatchObject({ resource: { id: 'shop.local/' } });
});

test('names are one non-empty segment, `**` any number, a trailing slash is distinct', () => {
  const one = [route('/orders/{id}')];
  expect(ask(one, '/orders/42')).toMatchObject({ route: '/orders/{id}' });
  for (const target of ['/orders/', '/orders', '/orders/42/', '/orders/42/x']) expect(ask(one, target)).toMatchObject({ route: undefined });
  const rest = [route('/docs/**')];
  for (const target of ['/docs', '/docs/', '/docs/a/b']) expect(ask(rest, target)).toMatchObject({ route: '/docs/**' });
  expect(ask(rest, '/docsx')).toMatchObject({ route: undefined });
});

test('the first route that matches method, host and path wins', () => {
  const routes = [
    route('/a', { id: 'post', methods: new Set(['POST']) }),
    route('/a', { id: 'other host', hosts: new Set(['other.local']) }),
    route('/{x}', { id: 'named', action: 'read' }),
    route('/**', { id: 'rest' }),
  ];
  expect(ask(routes, '/a', 'POST')).toMatchObject({ route: 'post' });
  expect(ask(routes, '/a', 'post')).toMatchObject({ route: 'named', action: 'read' });
  expect(ask(routes, '/a', 'GET', 'other.local')).toMatchObject({ route: 'other host' });
  expect(ask(routes, '/a/b')).toMatchObject({ route: 'rest', action: 'GET' });
});

test('a resource id is made of whole segments; zero and one empty remaining segment differ', () => {
  const template = path('/orders/{id}/**');
  const routes = [route('/orders/{id}/**', { resource: { type: 'order', id: id('{host}/{id}/{method}/{rest}', template) } })];
  expect(ask(routes, '/orders/42/a/b')).toMatchObject({ resource: { type: 'order', id: 'shop.local/42/GET/a/b' } });
  expect(ask(routes, '/orders/42')).toMatchObject({ resource: { id: 'shop.local/42/GET' } });
  expect(ask(routes, '/orders/42/')).toMatchObject({ resource: { id: 'shop.local/42/GET/' } });
});

test('B1: what one route keeps does not help another, nor a request without route', () => {
  const routes = [route('/projects/{name}', { target: { encodedSlash: 'keep' } }), route('/open/**')];
  expect(ask(routes, '/projects/group%2fproject')).toMatchObject({ resource: { id: 'shop.local/projects/group%2Fproject' } });
  expect(ask(routes, '/open/a%2fb')).toBe('request.ambiguous');
  expect(ask(routes, '/else/a%2fb')).toBe('request.ambiguous');
  expect(ask(routes, '/projects/..%2fadmin')).toBe('request.ambiguous');
});

test('templates that could compose one id from different requests, or match nothing, are refused', () => {
  for (const text of ['', 'orders', '/a//b', '/a/..', '/{a}{b}', '/x{a}', '/**/a', '/*', '/a*', '/{a}/{a}', '/{host}', '/{rest}/x', '/{A}', '//**']) {
    expect(typeof parsePathTemplate(text), text).toBe('string');
  }
  const template = path('/a/{x}');
  for (const text of ['', '/a', 'a/', '{x}-{x}', 'a{x}', '{y}', '{rest}', '**', 'a/*']) expect(typeof parseIdTemplate(text, template), text).toBe('string');
  expect(typeof parseIdTemplate('a/{x}', path('/a/{x}/**'))).toBe('string');
});

test('property: under one route, two requests share a resource only if they share the segments it is made of', () => {
  const template = path('/{a}/{b}/**');
  const routes = [route('/{a}/{b}/**', { target: { encodedSlash: 'keep' }, resource: { type: 't', id: id('{a}/{b}/{rest}', template) } })];
  const target = fc.array(fc.constantFrom('/', 'a', 'b', '-', '%2F', '*', '**', ':', '%20'), { maxLength: 8 }).map((parts) => `/${parts.join('')}`);
  fc.assert(
    fc.property(target, target, (one, two) => {
      const [first, second] = [ask(routes, one), ask(routes, two)];
      if (typeof first === 'string' || typeof second === 'string' || first.route === undefined || second.route === undefined) return;
      expect(first.resource.id === second.resource.id).toBe(one === two);
    }),
    { numRuns: 10_000 },
  );
});
