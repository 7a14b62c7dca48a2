import { describe, expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import { watchReadiness } from '../../src/supervisor/readiness.ts';

interface Parts {
  store: { readable: boolean; writable: boolean; detail?: string } | 'throws';
  policy: boolean;
  trusted: boolean;
  issuers: readonly (number | undefined)[];
}
const good: Parts = { store: { readable: true, writable: true }, policy: true, trusted: true, issuers: [1] };

const readinessWith = async (parts: Partial<Parts>) => {
  const { store, policy, trusted, issuers } = { ...good, ...parts };
  const told: boolean[] = [];
  const readiness = watchReadiness(
    {
      clock: { now: () => ({ earliest: 1 as Instant, latest: 1 as Instant, trusted }), monotonicMs: () => 0 },
      store: { health: async () => { if (store === 'throws') throw new Error('gone'); return store; } },
      authenticator: { status: () => issuers.map((keys, index) => ({ issuer: `i${index}`, keys })) },
    } as never,
    { policyActive: () => policy, tlsFault: () => undefined },
    (ready) => told.push(ready),
  );
  const before = readiness.now();
  await readiness.start();
  const after = readiness.now();
  readiness.stop();
  return { before, after, told, end: readiness.now() };
};

describe('a process is ready', () => {
  test('when the store can be read and written, a policy is active, the clock is trusted and keys are there', async () => {
    const { before, after, told, end } = await readinessWith({});
    expect(before.ready).toBe(false);
    expect(after).toEqual({ ready: true, faults: [] });
    expect(end.ready).toBe(false);
    expect(told).toEqual([true, false]);
  });
  test.each<[string, Partial<Parts>, string]>([
    ['the store can not be written', { store: { readable: true, writable: false, detail: 'the disk is full' } }, 'the store can not be written (the disk is full)'],
    ['the store can not be read', { store: 'throws' }, 'the store can not be read'],
    ['no policy is active', { policy: false }, 'no policy bundle is active'],
    ['the clock is not trusted', { trusted: false }, 'the clock is not trusted'],
    ['no issuer has keys', { issuers: [undefined, undefined] }, 'no issuer has keys'],
  ])('not when %s', async (_what, parts, fault) => {
    expect((await readinessWith(parts)).after).toEqual({ ready: false, faults: [fault] });
  });
  test('also when one of several issuers has no keys, or none is configured', async () => {
    expect((await readinessWith({ issuers: [1, undefined] })).after.ready).toBe(true);
    expect((await readinessWith({ issuers: [] })).after.ready).toBe(true);
  });
});
