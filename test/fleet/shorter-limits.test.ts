/** I2: shorter limits do not take back what was allowed under longer ones, by this node or by another one. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { describeWith } from '../parts.ts';
import { MEMORY, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startFleet, type Fleet } from './fleet.ts';

let fleet: Fleet | undefined;
afterAll(() => fleet?.stop());

const CACHE_MS = 1_500;

test('a reload with a shorter time for which answers may be reused does not shorten what revoking waits for: some of them are in use', { timeout: 180_000 }, async () => {
  fleet = await startFleet('', 1, { store: () => '{kind: embedded}', limits: `pepCacheMaxMs: ${CACHE_MS}` });
  const [node] = fleet.nodes;
  const tookMs = async (): Promise<number> => {
    const { status, body } = await fleet!.revoke(node!, await fleet!.issue(node!));
    expect(status).toBe(201);
    return Date.parse(body.enforcedAt) - Date.parse(body.effectiveAt);
  };
  expect(await tookMs()).toBeGreaterThanOrEqual(CACHE_MS);
  const file = join(fleet.directory(0), 'curfew.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace(`pepCacheMaxMs: ${CACHE_MS}`, 'pepCacheMaxMs: 0'));
  node!.signal('SIGHUP');
  await until('the reload', async () => (await node!.metrics()).includes('curfew_reloads_total{what="configuration",result="done"} 1'));
  expect(await tookMs()).toBeGreaterThanOrEqual(CACHE_MS);
});

test('nor does a restart on a store of its own, until nothing from before it can be in use', { timeout: 180_000 }, async () => {
  let own = 'pepCacheMaxMs: 60000';
  const single = await startFleet('', 1, { store: () => '{kind: embedded}', limits: () => own });
  try {
    // Told ahead: nobody waits for it here.
    const toldMs = async (): Promise<number> => {
      const { status, body } = await single.revoke(single.nodes[0]!, await single.issue(single.nodes[0]!), { prefer: 'respond-async' });
      expect(status).toBe(202);
      // Nothing is said while a worker, one that starts perhaps, has not confirmed.
      const later = await until('a time', async () => {
        const { body: seen } = await single.read(single.nodes[0]!, `/revocations/${body.id}`);
        return seen.enforcedAt === undefined ? undefined : seen;
      });
      return Date.parse(later.enforcedAt) - Date.parse(later.effectiveAt);
    };
    expect(await toldMs()).toBeGreaterThanOrEqual(60_000);
    for (const again of ['pepCacheMaxMs: 0', 'pepCacheMaxMs: 10']) {
      await single.nodes[0]!.stop();
      own = again;
      await single.restart(0);
      expect(await toldMs()).toBeGreaterThanOrEqual(60_000);
    }
  } finally {
    await single.stop();
  }
});

const LONGER = { maxFactsAgeMs: 1_500, pepCacheMaxMs: 700 };
const AT_LEAST_MS = LONGER.maxFactsAgeMs + LONGER.pepCacheMaxMs;

describeWith(['redis'], 'nodes with limits of their own', () => {
  test('what one node ends waits for what another one may have allowed by longer limits, also when that one was started anew with shorter ones', { timeout: 180_000 }, async () => {
    const server = await startRedis(MEMORY);
    let both: Fleet | undefined;
    let own = '';
    try {
      both = await startFleet(`{port: ${server.port}, durability: memory}`, 2, { limits: (index) => (index === 1 ? own : '') });
      const { nodes, issue, revoke, ask } = both;
      const tookMs = async (): Promise<readonly number[]> => {
        const grant = await issue(nodes[0]!);
        await until('an allow', async () => (await ask(nodes[1]!)) === 200);
        const from = performance.now();
        const { status, body } = await revoke(nodes[0]!, grant);
        expect(status).toBe(201);
        return [performance.now() - from, Date.parse(body.enforcedAt) - Date.parse(body.effectiveAt)];
      };
      const restarted = async (limits: string): Promise<void> => {
        await nodes[1]!.stop();
        own = limits;
        await both!.restart(1);
      };
      for (const took of await tookMs()) expect(took).toBeLessThan(AT_LEAST_MS);
      await restarted(`maxFactsAgeMs: ${LONGER.maxFactsAgeMs}, pepCacheMaxMs: ${LONGER.pepCacheMaxMs}`);
      for (const took of await tookMs()) expect(took).toBeGreaterThanOrEqual(AT_LEAST_MS);
      await restarted('');
      for (const took of await tookMs()) expect(took).toBeGreaterThanOrEqual(AT_LEAST_MS);
    } finally {
      await both?.stop();
      await server.stop();
    }
  });
});
