import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { resourcePatternFault, scopeCovers, scopesCover, scopesWithin, specificity, type Scope } from '../../src/domain/scope.ts';

const scope = (id: string, actions: readonly string[] = ['GET'], type = 'http'): Scope => ({ actions, resource: { type, id } });
const covers = (pattern: string, id: string): boolean => scopeCovers(scope(pattern), 'GET', { type: 'http', id });

/** The naive model: a pattern as a regular expression over the whole id. */
const model = (pattern: string, id: string): boolean => {
  const parts = pattern.split('/').map((segment) => (segment === '*' ? '[^/]+' : segment.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')));
  const open = pattern.split('/').at(-1) === '**';
  const source = open ? parts.slice(0, -1).join('/') : parts.join('/');
  if (!open) return new RegExp(`^${source}$`, 's').test(id);
  return parts.length === 1 || new RegExp(`^${source}(/.*)?$`, 's').test(id);
};

const segment = fc.constantFrom('a', 'b', 'ab', '', 'orders', 'A', '*x', '.');
const ids = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const patterns = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', 'ab', '*', 'orders'), { maxLength: 3 }), fc.constantFrom('a', 'b', '*', '**', ''))
  .map(([parts, last]) => [...parts, last].join('/'))
  .filter((pattern) => resourcePatternFault(pattern) === undefined);

describe('F3: a pattern covers exactly what it says', () => {
  test.each([
    ['shop/orders/**', 'shop/orders/1', true],
    ['shop/orders/**', 'shop/orders/1/2', true],
    ['shop/orders/**', 'shop/orders', true],
    ['shop/orders/**', 'shop/orders/', true],
    ['shop/orders/**', 'shop/ordersX', false],
    ['shop/orders/*', 'shop/orders/1', true],
    ['shop/orders/*', 'shop/orders/', false],
    ['shop/orders/*', 'shop/orders/1/', false],
    ['shop/orders', 'shop/orders/', false],
    ['shop/orders/', 'shop/orders', false],
    ['shop/a', 'shop/A', false],
    ['**', 'anything/at/all', true],
    ['*', 'a/b', false],
  ])('%s on %s: %s', (pattern, id, expected) => expect(covers(pattern, id)).toBe(expected));

  test('a wildcard in the request is a literal character', () => {
    expect(covers('shop/orders', 'shop/*')).toBe(false);
    expect(covers('shop/orders/1', 'shop/orders/**')).toBe(false);
  });

  test('agrees with a naive model', () => {
    fc.assert(fc.property(patterns, ids, (pattern, id) => { expect(covers(pattern, id)).toBe(model(pattern, id)); }), { numRuns: 2_000 });
  });

  test('type and action must match, and an empty set covers nothing', () => {
    const resource = { type: 'http', id: 'a' };
    expect(scopeCovers(scope('a', ['POST']), 'GET', resource)).toBe(false);
    expect(scopeCovers(scope('a', ['get']), 'GET', resource)).toBe(false);
    expect(scopeCovers(scope('a', ['GET'], 'mcp'), 'GET', resource)).toBe(false);
    expect(scopeCovers(scope('a', []), 'GET', resource)).toBe(false);
    expect(scopeCovers(scope('a', ['*']), '', resource)).toBe(false);
    expect(scopesCover([], 'GET', resource)).toBe(false);
  });
});

describe('F2: what lies within a parent never covers more than the parent', () => {
  test('for every id', () => {
    fc.assert(
      fc.property(patterns, patterns, ids, (child, parent, id) => {
        if (scopesWithin([scope(child)], [scope(parent)]) && covers(child, id)) expect(covers(parent, id)).toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });

  test.each([
    ['a/b', 'a/**', true], ['a/**', 'a/**', true], ['a/b/**', 'a/**', true], ['a/**', 'a/b/**', false], ['a/**', 'a/*', false],
    ['a/*', 'a/**', true], ['a/', 'a/*', false], ['a', 'a/**', true], ['b', 'a/**', false], ['**', 'a/**', false],
  ])('%s within %s: %s', (child, parent, expected) => expect(scopesWithin([scope(child)], [scope(parent)])).toBe(expected));

  test('actions must be among the parent\'s, and an empty child is refused', () => {
    expect(scopesWithin([scope('a', ['GET', 'PUT'])], [scope('a', ['GET'])])).toBe(false);
    expect(scopesWithin([scope('a', ['*'])], [scope('a', ['GET'])])).toBe(false);
    expect(scopesWithin([scope('a', ['GET'])], [scope('a', ['*'])])).toBe(true);
    expect(scopesWithin([scope('a', [])], [scope('a')])).toBe(false);
    expect(scopesWithin([], [scope('a')])).toBe(false);
  });
});

test.each(['', 'a//b', 'a/**/b', 'a/b*', 'a/*b', 'a/../b', './a', 'a\\b', 'a\u0000', '/'.repeat(200), 'x'.repeat(3000)])('F3: the pattern %j is refused', (pattern) => {
  expect(resourcePatternFault(pattern)).toBeTypeOf('string');
});

test('a literal is more specific than *, which is more specific than **', () => {
  const resource = { type: 'http', id: 'a/b/c' };
  const order = ['**', 'a/**', 'a/*/*', 'a/b/*', 'a/b/c'].map((pattern) => specificity([scope(pattern)], 'GET', resource));
  expect(order).toEqual([...order].sort((a, b) => a - b));
  expect(new Set(order).size).toBe(order.length);
  expect(specificity([scope('x')], 'GET', resource)).toBe(-1);
});
