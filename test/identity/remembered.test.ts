import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRemembered } from '../../src/identity/remembered.ts';

test('what is remembered is found; the number is bounded', () => {
  const remembered = createRemembered<number>(3);
  for (let at = 0; at < 10; at += 1) remembered.set(String(at), 1, at);
  expect(remembered.size).toBe(3);
  expect([7, 8, 9].map((at) => remembered.get(String(at)))).toEqual([7, 8, 9]);
});

test('what is used stays when something must go', () => {
  const remembered = createRemembered<number>(3);
  for (let at = 0; at < 10; at += 1) {
    remembered.set(String(at), 1, at);
    expect(remembered.get('0')).toBe(0);
  }
});

test('with all in use the oldest goes, never the newcomer', () => {
  const remembered = createRemembered<number>(2);
  remembered.set('a', 1, 1);
  remembered.set('b', 1, 2);
  remembered.get('a');
  remembered.get('b');
  remembered.set('c', 1, 3);
  expect([remembered.get('a'), remembered.get('b'), remembered.get('c')]).toEqual([undefined, 2, 3]);
});

test('B8: number and characters stay within their bounds whatever is put in, and nothing is found under another key', () => {
  const step = fc.record({ key: fc.integer({ min: 0, max: 20 }), chars: fc.integer({ min: 0, max: 60 }), read: fc.integer({ min: 0, max: 20 }) });
  fc.assert(fc.property(fc.array(step, { maxLength: 100 }), fc.integer({ min: 0, max: 5 }), (steps, entriesMax) => {
    const remembered = createRemembered<{ key: number; chars: number }>(entriesMax, 100);
    for (const { key, chars, read } of steps) {
      remembered.set(String(key), chars, { key, chars });
      expect(remembered.size).toBeLessThanOrEqual(entriesMax);
      let held = 0;
      for (let at = 0; at <= 20; at += 1) held += at === read ? (remembered.get(String(at))?.chars ?? 0) : 0;
      expect(held).toBeLessThanOrEqual(100);
      const found = remembered.get(String(read));
      if (found !== undefined) expect(found.key).toBe(read);
      if (entriesMax > 0) expect(remembered.get(String(key))).toEqual({ key, chars });
    }
    let chars = 0;
    for (let at = 0; at <= 20; at += 1) chars += remembered.get(String(at))?.chars ?? 0;
    expect(chars).toBeLessThanOrEqual(100);
  }));
});
