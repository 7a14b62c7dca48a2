/** The judge of request targets against naive readers: what it accepts has one reading (THREATS B1). */
import fc from 'fast-check';
import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { TARGET_CHARS_MAX, judgeTarget } from '../../src/domain/http-target.ts';
import type { TargetOptions } from '../../src/domain/http-target.ts';

const pathOf = (target: string, options?: TargetOptions): string | undefined => {
  const judged = judgeTarget(target, options);
  return judged.ok ? judged.path : undefined;
};

const hostile: readonly string[] = [
  '', '*', 'admin', '//admin', '/a//b', '/a//', '//', '/.', '/..', '/a/../admin', '/a/./b', '/a/..', '/a/...', '/.../a',
  '/%2e%2e/admin', '/%2E/a', '/.%2e/a', '/a%2fb', '/a%2Fb', '/a%5cb', '/a%5Cb', '/a\\b', '/\\admin', '/a%00', '/a%00.html', '/a%0d%0aX',
  '/a%7f', '/a%c2%85b', '/%61dmin', '/%41', '/%30', '/a%2dmin', '/a%7e', '/a%5f', '/a%25b', '/%252e%252e/a', '/%252fa', '/%2561',
  '/a;x=1', '/;/a', '/..;/a', '/a%3bx', '/a#b', '/a?x#b', '/a%23b', '/a%3fb', '/é', '/a b', '/a\tb', '/a\r\nb', '/a\u0000b', '/a?x y', '/a?é',
  '/%ff', '/%c0%af', '/%c0%ae%c0%ae/a', '/%e0%80%af', '/%f0%80%80%af', '/%ed%a0%80', '/%c3', '/%f8%88%80%80%80', '/%f4%90%80%80', '/%80',
  '/%', '/%a', '/%zz', '/%u002f', '/a%2', '/a%2 f', '/admin.', '/admin%20', '/a/b.', '/%EF%BC%8Fadmin', '/%EF%BC%8E%EF%BC%8E/a', '/adm%EF%BD%89n', '/a%E2%80%AEb', '/e%CC%81',
  '/"', '/<a>', '/a^b', '/a`b', '/a{b}', '/a|b', '/a[b]', 'http://h/a', 'https://h/a', '//h/a', 'h:443', 'h', '?x', '#', '/a\u007f', '/a\u0085b', '/a?\u0000',
];

test.each(hostile)('B1: %j is not accepted', (target) => {
  expect(judgeTarget(target)).toEqual({ ok: false, reason: 'request.ambiguous' });
});

test('B8: a target or a path beyond its cap is refused as too large', () => {
  expect(judgeTarget(`/${'a'.repeat(TARGET_CHARS_MAX)}`)).toEqual({ ok: false, reason: 'request.too_large' });
  expect(judgeTarget('/a'.repeat(200))).toEqual({ ok: false, reason: 'request.too_large' });
});

test('ordinary targets are accepted and decoded once', () => {
  expect(pathOf('/')).toBe('/');
  expect(pathOf('/orders/42?a=/../b&c=%2f%00;d')).toBe('/orders/42');
  expect(pathOf('/orders/42/')).toBe('/orders/42/');
  expect(pathOf('/Users/bob%40example.com/a%20b/%C3%A9/%F0%9F%98%80')).toBe('/Users/bob@example.com/a b/é/😀');
  expect(pathOf("/a-b._~!$&'()*+,=:@/*/**")).toBe("/a-b._~!$&'()*+,=:@/*/**");
  expect(judgeTarget('/a/b?c=d?e')).toEqual({ ok: true, path: '/a/b', segments: ['a', 'b'], rawPath: '/a/b', query: 'c=d?e' });
  expect(judgeTarget('/a?')).toMatchObject({ query: '' });
});

test('a route may keep what its backend keeps, and nothing that hides behind it', () => {
  expect(pathOf('/a%2fb', { encodedSlash: 'keep' })).toBe('/a%2Fb');
  for (const target of ['/..%2fb', '/a%2f..', '/a%2f.%2fb', '/a%252fb', '/a%5cb']) expect(pathOf(target, { encodedSlash: 'keep' })).toBeUndefined();
  expect(pathOf('/50%25', { encodedPercent: 'keep' })).toBe('/50%25');
  for (const target of ['/%252e', '/%2525', '/%25%32%65', '/%25%2e']) expect(pathOf(target, { encodedPercent: 'keep' })).toBeUndefined();
  expect(pathOf('/a%3fb%23c', { encodedDelimiter: 'keep' })).toBe('/a%3Fb%23c');
  expect(pathOf('/a;v=1/b%3b', { semicolon: 'keep' })).toBe('/a;v=1/b%3B');
  for (const target of ['/..;/a', '/.;x/a', '/;x', '/..%3b/a', '/%3bx']) expect(pathOf(target, { semicolon: 'keep' })).toBeUndefined();
  expect(pathOf('/..%2f;x', { semicolon: 'keep', encodedSlash: 'keep' })).toBeUndefined();
  expect(pathOf('/v1./a%20', { trailingDot: 'keep' })).toBe('/v1./a ');
  for (const target of ['/..', '/...', '/a/.']) expect(pathOf(target, { trailingDot: 'keep' })).toBeUndefined();
});

const escape = fc.integer({ min: 0, max: 255 }).map((byte) => `%${byte.toString(16).padStart(2, '0')}`);
const piece = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'Z', '0', '-', '.', '..', '/', '//', '*', '**', ':', '@', '=', ';', '\\', '?', '#', '%', '%2e', '%2F', '%25', '%20', '%40', '%C3%A9', '%E2%82%AC', '%00') },
  { weight: 2, arbitrary: escape },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 2 }) },
);
const targets = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`);

/** Naive readers a backend may be made of; each takes the raw path. */
const readers: readonly ((raw: string) => string)[] = [
  (raw) => decodeURIComponent(raw),
  (raw) => decodeURIComponent(decodeURIComponent(raw)),
  (raw) => decodeURIComponent(new URL(`http://h${raw}`).pathname),
  (raw) => decodeURIComponent(raw).replaceAll('\\', '/').replaceAll(/\/+/g, '/'),
  (raw) => posix.normalize(decodeURIComponent(raw)),
  (raw) => raw.split('/').map((segment) => decodeURIComponent((segment.split(';')[0] as string).replace(/[. ]+$/, ''))).join('/'),
  (raw) => decodeURIComponent(raw).normalize('NFC').replaceAll('\0', ''),
  (raw) => raw.split('/').map((segment) => (/[A-Za-z]/.test(decodeURIComponent(segment).replaceAll(/[!-~]/g, '').normalize('NFKC')) ? '' : decodeURIComponent(segment))).join('/'),
  (raw) => raw.split('/').map(decodeURIComponent).join('/'),
  (raw) => decodeURIComponent(raw.split(/[?#]/)[0] as string),
];

test('B1: property: every reader arrives at the accepted path', () => {
  let accepted = 0;
  fc.assert(
    fc.property(targets, (target) => {
      const judged = judgeTarget(target);
      if (!judged.ok) return;
      accepted += 1;
      for (const read of readers) expect(read(judged.rawPath)).toBe(judged.path);
      expect(judged.path).toBe(`/${judged.segments.join('/')}`);
      expect(judged.path.split('/').slice(1)).toEqual(judged.segments);
      expect(judged.segments.slice(0, -1)).not.toContain('');
    }),
    { numRuns: 20_000 },
  );
  expect(accepted).toBeGreaterThan(500);
});

test('B1: property: with every option on, different accepted paths stay different resources', () => {
  const options: TargetOptions = { encodedSlash: 'keep', encodedPercent: 'keep', encodedDelimiter: 'keep', semicolon: 'keep', trailingDot: 'keep' };
  const canonical = (raw: string): string => raw.replaceAll(/%[0-9a-f]{2}/gi, (found) => found.toUpperCase());
  fc.assert(
    fc.property(targets, (target) => {
      const judged = judgeTarget(target, options);
      if (!judged.ok) return;
      // Writing the canonical path back by its own rule gives what plain decoding of the raw path gives.
      const kept = judged.path.replaceAll(/%(2F|25|3F|23|3B)/g, (found) => decodeURIComponent(found));
      expect(kept).toBe(decodeURIComponent(canonical(judged.rawPath)));
      expect(judged.path.replaceAll(/%(2F|25|3F|23|3B)/g, '')).not.toMatch(/[%\\]/);
      expect(judged.segments.some((segment) => /^\.+$/.test(segment))).toBe(false);
    }),
    { numRuns: 20_000 },
  );
});
