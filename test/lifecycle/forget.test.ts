/** One-time tokens and proofs are forgotten when they could not be used again, and never before (A6). */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimFor } from '../../src/decision/claim.ts';
import type { Evaluation, Identity } from '../../src/decision/evaluation.ts';
import type { Instant } from '../../src/domain/instant.ts';
import { createForgetter, FORGET_AFTER_MS, type Forgetter } from '../../src/lifecycle/forget.ts';
import { identityConfig } from '../../src/identity/config.ts';
import { limitsConfig } from '../../src/config/limits.ts';
import { until } from '../support/until.ts';
import { CALL, createWorld, T0, terms, type World } from './world.ts';

const MINUTE_MS = 60_000;
let world: World;
let forgetter: Forgetter;
const failures: unknown[] = [];
beforeEach(async () => {
  world = await createWorld();
  failures.length = 0;
  forgetter = createForgetter({ ...world, realms: ['default', 'other'], pauseMs: 1, onError: (error) => failures.push(error) });
});
afterEach(async () => {
  await forgetter.stop();
  await world.close();
});

const use = async (oneTime: string, expiresAt: number, realm = 'default'): Promise<string> => {
  const evaluation = { id: 'd', realm, pep: {} } as unknown as Evaluation;
  const claim = claimFor(evaluation, { credential: { oneTime, expiresAt: expiresAt as Instant } } as unknown as Identity, undefined, T0 as Instant);
  return claim === undefined ? 'nothing to claim' : (await world.store.commit(claim)).outcome;
};
const seen = async (realm = 'default'): Promise<number> => (await world.store.list(realm, { kind: 'once', limit: 1_000 })).items.length;

test('what was seen is kept for the margin after its end, then dropped, realm by realm; the log keeps it', async () => {
  const end = T0 + MINUTE_MS;
  await use('a', end);
  await use('b', end + 1);
  await use('c', end, 'other');
  world.at.now = end + FORGET_AFTER_MS - 1;
  expect(await forgetter.forget()).toBe(0);
  world.at.now += 1;
  expect(await forgetter.forget()).toBe(2);
  expect([await seen(), await seen('other')]).toEqual([1, 0]);
  expect(await use('b', end + 1)).toBe('conflict');
  world.at.now += 1;
  expect(await forgetter.forget()).toBe(1);
  expect(await forgetter.forget()).toBe(0);
  const history = await world.store.events('default', { after: 0, limit: 9, about: { kind: 'once', id: 'token:a' } });
  expect(history.map(({ type }) => type)).toEqual(['credential.used']);
});

test('thousands are dropped in one round, whichever page they stand on', { timeout: 120_000 }, async () => {
  const count = 2_300;
  for (let from = 0; from < count; from += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, index) => use(`${from + index}`, (from + index) % 3 === 0 ? T0 + FORGET_AFTER_MS * 3 : T0 + 1)));
  }
  world.at.now = T0 + 1 + FORGET_AFTER_MS;
  expect(await forgetter.forget()).toBe(count - Math.ceil(count / 3));
  expect(await seen()).toBe(Math.ceil(count / 3));
});

test('nothing else is forgotten, nor what can not be understood, nor anything while the clock is not trusted', async () => {
  await use('a', T0 + 1);
  const odd = [{}, { version: 2, until: T0 }, { version: 1, until: `${T0}` }, { version: 1, until: -1 }, { version: 1 }];
  await world.store.commit({ realm: 'default', expect: [], puts: odd.map((value, index) => ({ key: { kind: 'once', id: `odd ${index}` }, value })), events: [] });
  const opened = await world.lifecycle.openTask(CALL, { kind: 'ci', owner: 'team:x' });
  const issued = await world.lifecycle.issueGrant(CALL, terms({ uses: 1 }));
  await world.lifecycle.revoke(CALL, { selector: { kind: 'owner', value: 'team:x' }, reason: 'gone' }, true);
  world.at.now += 400 * 24 * 60 * MINUTE_MS;
  world.at.trusted = false;
  expect(await forgetter.forget()).toBe(0);
  world.at.trusted = true;
  expect(await forgetter.forget()).toBe(1);
  expect(await seen()).toBe(odd.length);
  const ids = [opened.ok && opened.reply['task'], issued.ok && issued.reply['grant']].map((one) => (one as unknown as { id: string }).id);
  expect(await world.store.read('default', [{ kind: 'task', id: ids[0] ?? '' }, { kind: 'grant', id: ids[1] ?? '' }, { kind: 'ending', id: 'owner:team:x' }]))
    .toEqual([expect.anything(), expect.anything(), expect.anything()]);
});

test('A6: no order of uses, rounds, reloads of the leeway and clocks apart lets a token through twice', { timeout: 120_000 }, async () => {
  const step = fc.record({
    advanceMs: fc.constantFrom(0, 1, MINUTE_MS, 5 * MINUTE_MS, 59 * MINUTE_MS, 60 * MINUTE_MS, FORGET_AFTER_MS),
    token: fc.nat(2),
    leewayMs: fc.constantFrom(0, 5 * MINUTE_MS),
    /** How far the deciding process's time lies behind the housekeeper's. */
    behindMs: fc.constantFrom(0, 60 * MINUTE_MS),
    forget: fc.boolean(),
  });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async (steps) => {
      run += 1;
      const start = world.at.now;
      const allowed = new Map<number, number>();
      for (const { advanceMs, token, leewayMs, behindMs, forget } of steps) {
        world.at.now += advanceMs;
        if (forget) await forgetter.forget();
        const expiresAt = start + (token + 1) * 20 * MINUTE_MS - leewayMs;
        if (world.at.now - behindMs < expiresAt && (await use(`${run}/${token}`, expiresAt)) === 'committed') allowed.set(token, (allowed.get(token) ?? 0) + 1);
      }
      expect([...allowed.values()].filter((count) => count > 1)).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

test('the margin covers what configuration allows: the largest step of clocks, the largest change of leeway and of the age of proofs', () => {
  const most = (schema: { safeParse(value: unknown): { success: boolean } }, valueOf: (ms: number) => unknown): number => {
    let [low, high] = [0, 365 * 24 * 60 * MINUTE_MS];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (schema.safeParse(valueOf(middle)).success) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const issuer = (leewayMs: number) => ({ issuers: [{ kind: 'spiffe', trustDomain: 'a.example', bundle: { file: 'x' }, audiences: ['a'], leewayMs }] });
  const skew = most(limitsConfig, (ms) => ({ maxClockStepMs: Math.max(10, ms) }));
  const leeway = most(identityConfig, issuer);
  const proof = most(identityConfig, (ms) => ({ dpop: { maxAgeMs: Math.max(1_000, ms) } })) + most(identityConfig, (ms) => ({ dpop: { aheadMs: ms } }));
  expect(leeway).toBe(5 * MINUTE_MS);
  expect(skew).toBe(60 * MINUTE_MS);
  expect(skew + leeway + proof).toBeLessThan(FORGET_AFTER_MS);
});

test('it runs by itself and stops', async () => {
  await use('a', T0 + 1);
  world.at.now += 1 + FORGET_AFTER_MS;
  forgetter.start();
  await until('it to be forgotten', async () => (await seen()) === 0);
  await forgetter.stop();
  expect(failures).toEqual([]);
  await use('b', world.at.now + 1);
  world.at.now += 1 + FORGET_AFTER_MS;
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(await seen()).toBe(1);
});
