/** What a canary says of gateways that end access, and of ones that don't, on a virtual clock. */
import { expect, test } from 'vitest';
import { runCanary, type Asked } from '../../src/canary/run-canary.ts';
import type { Clock } from '../../src/decision/ports.ts';
import type { Instant } from '../../src/domain/instant.ts';

const TTL = 10_000;
interface World {
  now: number;
  /** When the grant began and ends. */
  from?: number;
  until?: number;
}
type Gateway = (world: World) => Asked;
const live = ({ now, until }: World): boolean => until !== undefined && now < until;
const HONEST: Gateway = (world) => (live(world) ? { was: 'open' } : { was: 'refused' });
const UNCLEAR: Asked = { was: 'unclear', detail: 'the gateway answered 502' };

/** A question takes 30 ms, and its answer is from half way. The clock may be wrong by `apartMs`. */
const run = async (gateway: Gateway, more: { readonly apartMs?: number; readonly issue?: 'fails'; readonly stopAtMs?: number; readonly left?: number } = {}) => {
  const world: World = { now: 1_000, ...(more.left === undefined ? {} : { from: 0, until: 1_000 + more.left }) };
  const asked: number[] = [];
  const clock: Pick<Clock, 'now'> = { now: () => ({ earliest: (world.now - (more.apartMs ?? 0)) as Instant, latest: (world.now + (more.apartMs ?? 0)) as Instant, trusted: true }) };
  const result = await runCanary({
    config: { ttlMs: TTL, askMs: 500, watchMs: 3_000 }, clock,
    ask: async () => {
      world.now += 15;
      asked.push(world.now);
      const answer = gateway(world);
      world.now += 15;
      return answer;
    },
    issue: async () => {
      if (more.issue === 'fails') return { fault: 'no policy bundle is active; nothing was issued' };
      world.from = world.now;
      world.until = world.now + TTL;
      return { grant: 'g1', expiresAt: world.until as Instant };
    },
    sleep: async (ms) => { world.now += ms; },
    stopping: () => more.stopAtMs !== undefined && world.now >= more.stopAtMs,
  });
  return { result, asked, world };
};

test('demand(68) a gateway that asks each time: refused before, let through, refused from the end on', async () => {
  const { result, asked, world } = await run(HONEST);
  expect(result).toMatchObject({ result: 'ended', grant: 'g1' });
  expect(result?.flipMs).toBeLessThan(600);
  // It was asked before, all along, and to the end of the watch.
  expect(asked[0]).toBeLessThan(world.from ?? 0);
  expect(asked.filter((at) => at >= (world.until ?? 0)).length).toBeGreaterThan(4);
  expect((asked.at(-1) ?? 0) - (world.until ?? 0)).toBeGreaterThanOrEqual(3_000);
});

test.each<[string, Gateway, RegExp]>([
  ['asks nobody', () => ({ was: 'open' }), /without a canary grant/],
  ['keeps an allow for two seconds', (world) => (world.until !== undefined && world.now < world.until + 2_000 ? { was: 'open' } : { was: 'refused' }), /after the end/],
  ['keeps every allow for ever', ({ until }) => (until === undefined ? { was: 'refused' } : { was: 'open' }), /after the end/],
  ['lets one through, late', (world) => (live(world) || (world.until !== undefined && world.now > world.until + 1_500 && world.now < world.until + 2_100) ? { was: 'open' } : { was: 'refused' }), /after the end/],
])('a gateway that %s is found open', async (_, gateway, detail) => {
  const { result } = await run(gateway);
  expect(result?.result).toBe('open');
  expect(result?.detail).toMatch(detail);
});

test.each<[string, Gateway, RegExp]>([
  ['is away', () => UNCLEAR, /before the grant: .*502/],
  ['lets nothing through', () => ({ was: 'refused' }), /not let through under its grant/],
  ['breaks at the end', (world) => (world.until === undefined ? { was: 'refused' } : live(world) ? { was: 'open' } : UNCLEAR), /neither access nor a refusal after the end: .*502/],
])('a gateway that %s proves nothing', async (_, gateway, detail) => {
  const { result } = await run(gateway);
  expect(result?.result).toBe('unproven');
  expect(result?.detail).toMatch(detail);
});

test('no grant, no proof; a process that ends says nothing of the gateway', async () => {
  expect((await run(HONEST, { issue: 'fails' })).result).toMatchObject({ result: 'unproven', detail: expect.stringMatching(/no policy bundle/) });
  expect((await run(HONEST, { stopAtMs: 4_000 })).result).toBeUndefined();
  expect((await run(HONEST, { stopAtMs: 12_000 })).result).toBeUndefined();
});

test('an answer that was on its way when the end came is not held against the gateway, nor is a clock that is unsure of the end', async () => {
  expect((await run(HONEST, { apartMs: 400 })).result).toMatchObject({ result: 'ended' });
});

test('an answer that went wrong on its way, before, under or after the grant, is not held against the gateway', async () => {
  let asked = 0;
  const flaky: Gateway = (world) => {
    asked += 1;
    return asked % 3 === 1 ? UNCLEAR : HONEST(world);
  };
  expect((await run(flaky)).result).toMatchObject({ result: 'ended' });
});

test('a grant that a broken-off run left is no open gateway', async () => {
  expect((await run(HONEST, { left: 9_000 })).result).toMatchObject({ result: 'ended' });
});
