/** Executing commands: at most one effect per idempotency key, unknown said as unknown, nothing decided on what has moved. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createExecute, type Executed } from '../../src/lifecycle/execute.ts';
import type { Call } from '../../src/lifecycle/lifecycle.ts';
import { createSettle } from '../../src/lifecycle/settle.ts';
import { createTurns } from '../../src/lifecycle/turns.ts';
import { canonicalJson } from '../../src/domain/json.ts';
import type { Rule } from '../../src/domain/lifecycle/change.ts';
import { StoreUnavailable } from '../../src/store/port.ts';
import { CALL, createWorld, terms, WORKLOAD, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
});

const code = (executed: Executed): string => (executed.ok ? 'ok' : executed.failure.code);
const keyed = (key: string, body: object = {}, principal = 'user:op'): Call => ({ ...CALL, idempotency: { principal, key, body: body as never } });

describe('I8: one idempotency key, at most one effect', () => {
  test('a replay gives the first reply and commits nothing, also when the rule would refuse it now', async () => {
    const opened = await world.lifecycle.openTask(CALL, { kind: 'ci', owner: 'team:x' });
    const id = opened.ok ? (opened.reply['task'] as { id: string }).id : '';
    const first = await world.lifecycle.closeTask(keyed('k', { id }), id);
    const events = world.events();
    expect(await world.lifecycle.closeTask(keyed('k', { id }), id)).toEqual({ ...first, replayed: true });
    expect(code(await world.lifecycle.closeTask(CALL, id))).toBe('state');
    expect(world.events()).toBe(events);
  });

  test('the same key with another body, whether it would be granted or refused, is refused as reused', async () => {
    expect(code(await world.lifecycle.issueGrant(keyed('k', { ttlMs: 1 }), terms({ ttlMs: 1 })))).toBe('ok');
    expect(code(await world.lifecycle.issueGrant(keyed('k', { ttlMs: 2 }), terms({ ttlMs: 2 })))).toBe('key-reused');
    expect(code(await world.lifecycle.issueGrant(keyed('k', { ttlMs: 0 }), terms({ ttlMs: 0 })))).toBe('key-reused');
  });

  test('keys of another principal, command or realm are other keys', async () => {
    const issued = await Promise.all([
      world.lifecycle.issueGrant(keyed('k'), terms()), world.lifecycle.issueGrant(keyed('k', {}, 'user:else'), terms()), world.lifecycle.issueGrant({ ...keyed('k'), realm: 'other' }, terms()),
      world.lifecycle.openTask(keyed('k'), { kind: 'ci', owner: 'team:x' }), world.lifecycle.issueGrant(keyed('k', {}, 'user:op","grant.issue'), terms()),
    ]);
    expect(issued.map((one) => one.ok && !one.replayed)).toEqual([true, true, true, true, true]);
  });

  test('a refused command leaves its key free', async () => {
    expect(code(await world.lifecycle.issueGrant(keyed('k', { a: 1 }), terms({ ttlMs: 0 })))).toBe('invalid');
    expect(code(await world.lifecycle.issueGrant(keyed('k', { a: 2 }), terms()))).toBe('ok');
  });

  test('whatever the interleaving of repeated commands: one effect per key, one reply for all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom(1_000, 2_000)), { minLength: 1, maxLength: 12 }), fc.string({ minLength: 1, maxLength: 4 }), async (calls, salt) => {
        const before = world.events();
        const workload = 'spiffe://dev.local/p';
        const outcomes = await Promise.all(calls.map(([key, ttlMs]) => world.lifecycle.issueGrant(keyed(`${salt}${key}${before}`, { ttlMs }), terms({ workload, ttlMs }))));
        const keys = new Set(calls.map(([key]) => key));
        expect(world.events() - before).toBe(keys.size);
        for (const key of keys) {
          const mine = outcomes.filter((_, index) => calls[index]?.[0] === key);
          const effects = mine.filter((one) => one.ok && !one.replayed);
          expect(effects).toHaveLength(1);
          const bodies = new Set(mine.flatMap((one) => (one.ok ? [JSON.stringify([one.reply, one.position, one.at])] : [])));
          expect(bodies.size).toBe(1);
          for (const one of mine) expect(one.ok || one.failure.code === 'key-reused').toBe(true);
        }
        world.at.now += 10_000;
      }),
      { numRuns: 40 },
    );
  });

  test('canonical JSON does not depend on the order of members, and on nothing else', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const reversed = (one: unknown): unknown =>
          Array.isArray(one) ? one.map(reversed) : typeof one === 'object' && one !== null ? Object.fromEntries(Object.entries(one).reverse().map(([name, member]) => [name, reversed(member)])) : one;
        const text = canonicalJson(value);
        expect(canonicalJson(reversed(value) as never)).toBe(text);
        // It says all of the value, so that two different ones never share a text.
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

describe('E8: failures say what is known', () => {
  const failing = async (when: 'read' | 'before' | 'after'): Promise<World> => {
    const made = await createWorld({
      wrap: (store) => ({
        ...store,
        facts: (query) => {
          if (when === 'read') throw new StoreUnavailable('gone');
          return store.facts(query);
        },
        commit: async (commit) => {
          if (when === 'after') await store.commit(commit);
          throw new StoreUnavailable('connection reset');
        },
      }),
    });
    return made;
  };
  test('a store that can not be read: nothing was changed', async () => {
    const made = await failing('read');
    expect(code(await made.lifecycle.issueGrant(CALL, terms()))).toBe('store-unavailable');
    await made.close();
  });
  test.each(['before', 'after'] as const)('a commit whose answer never came is unknown, whether it took effect or not (%s)', async (when) => {
    const made = await failing(when);
    expect(code(await made.lifecycle.issueGrant(CALL, terms()))).toBe('outcome-unknown');
    await made.close();
  });
  test('an unknown outcome, repeated with its key, has one effect', async () => {
    let lost = false;
    const made = await createWorld({
      wrap: (store) => ({
        ...store,
        commit: async (commit) => {
          const outcome = await store.commit(commit);
          if (lost) return outcome;
          lost = true;
          throw new StoreUnavailable('connection reset');
        },
      }),
    });
    expect(code(await made.lifecycle.issueGrant(keyed('k'), terms()))).toBe('outcome-unknown');
    const again = await made.lifecycle.issueGrant(keyed('k'), terms());
    expect(again).toMatchObject({ ok: true, replayed: true });
    expect(made.events()).toBe(1);
    await made.close();
  });
});

test('what keeps changing is given up after a bounded number of tries, with nothing written', async () => {
  let tries = 0;
  const execute = createExecute({
    store: { epoch: 'e', facts: (query) => world.store.facts(query), commit: async () => ({ outcome: 'conflict', key: { kind: 'x', id: String((tries += 1)) } }) },
    clock: world.clock, idempotencyKeepMs: 60_000,
  });
  const rule: Rule = { ends: true, needs: () => [{ kind: 'task', id: 'x' }], judge: () => ({ ok: true, change: { puts: [], events: [], reply: {} } }) };
  expect(code(await execute({ realm: 'default', turn: 't', rule }))).toBe('busy');
  expect(tries).toBe(16);
});

test('a rule that is not the store but a mistake is not swallowed', async () => {
  const execute = createExecute({ store: world.store, clock: world.clock, idempotencyKeepMs: 60_000 });
  const rule: Rule = { ends: true, needs: () => [], judge: () => { throw new TypeError('a mistake'); } };
  await expect(execute({ realm: 'default', turn: 't', rule })).rejects.toThrow('a mistake');
  // And the turn is free again.
  expect(code(await world.lifecycle.issueGrant(CALL, terms()))).toBe('ok');
});

test('turns: one after the other per key, apart per key, and a failure hands on', async () => {
  const turns = createTurns();
  const order: string[] = [];
  const act = (name: string, ticks: number) => async () => {
    for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
    order.push(name);
    if (name === 'a2') throw new Error('a2');
  };
  await Promise.allSettled([turns('a', act('a1', 9)), turns('a', act('a2', 1)), turns('a', act('a3', 1)), turns('b', act('b1', 1))]);
  expect(order.filter((name) => name !== 'b1')).toEqual(['a1', 'a2', 'a3']);
  expect(order[0]).toBe('b1');
});

test('settle waits on the monotonic clock, never shorter', async () => {
  const clock = { monotonicMs: () => performance.now() };
  const started = performance.now();
  await createSettle(clock)(30);
  expect(performance.now() - started).toBeGreaterThanOrEqual(30);
  // A monotonic clock that stands still while timers fire: it goes on waiting.
  let monotonic = 0;
  let over = false;
  const waiting = createSettle({ monotonicMs: () => monotonic })(5).then(() => (over = true));
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(over).toBe(false);
  monotonic = 5;
  await waiting;
});

test('a workload with very many grants is issued to and listed in bounded steps', async () => {
  const made = await createWorld({ config: { caps: { maxLiveGrants: 200 } } });
  await Promise.all(Array.from({ length: 200 }, (_, index) => made.lifecycle.issueGrant(CALL, terms({ ttlMs: 60_000 + index }))));
  expect(code(await made.lifecycle.issueGrant(CALL, terms()))).toBe('limit');
  const seen: string[] = [];
  for (let after: string | undefined; ; ) {
    const page = await made.inspect.grants('default', { workload: WORKLOAD, state: 'active' }, { limit: 30, after });
    seen.push(...page.items.map(({ id }) => String(id)));
    after = page.next;
    if (after === undefined) break;
  }
  expect(new Set(seen).size).toBe(200);
  await made.close();
});
