/** I2: shorter limits do not take back what was allowed under longer ones. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
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
