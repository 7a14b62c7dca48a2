/** demand(6), I2, I5: two real nodes that answer from memory under leases; what one revokes, the other denies once revoke returned. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../parts.ts';
import type { Curfew } from '../runtime/curfew.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startFleet, type Fleet } from './fleet.ts';

const LEASE_MS = 1_000;

describeWith(['redis'], 'two leased nodes on one Redis', () => {
  let server: RedisServer;
  let fleet: Fleet;
  const [first, second] = [(): Curfew => fleet.nodes[0] as Curfew, (): Curfew => fleet.nodes[1] as Curfew];
  beforeAll(async () => {
    server = await startRedis();
    fleet = await startFleet(`{port: ${server.port}, mode: leased, leaseMs: ${LEASE_MS}}`);
    credential = fleet.credential();
  });
  afterAll(async () => {
    await fleet?.stop();
    await server?.stop();
  });
  /** Always the same: what is known of a credential is remembered too. */
  let credential = '';
  const ask = async (node: Curfew): Promise<number> => (await fleet.answer(node, credential)).status;
  const bothAllow = async (): Promise<boolean> => (await ask(first())) === 200 && (await ask(second())) === 200;

  test('revoked at one node, it is denied at the other as soon as revoke returns, 20 times', async () => {
    for (let round = 0; round < 20; round += 1) {
      const [here, there] = round % 2 === 0 ? [first(), second()] : [second(), first()];
      const grant = await fleet.issue(here);
      await until('both allow', bothAllow);
      expect((await fleet.revoke(there, grant)).status).toBe(201);
      expect([await ask(here), await ask(there)]).toEqual([403, 403]);
    }
  });

  test('while the server is frozen it goes on from memory for its lease, then denies; when it is back, so is access', async () => {
    await fleet.issue(first());
    await until('both allow', bothAllow);
    server.signal('SIGSTOP');
    const frozen = performance.now();
    expect(await ask(first())).toBe(200);
    await until('denials', async () => (await ask(first())) === 403);
    expect(performance.now() - frozen).toBeLessThan(LEASE_MS + 3_000);
    server.signal('SIGCONT');
    const healed = performance.now();
    await until('L1: both allow again', bothAllow);
    expect(performance.now() - healed).toBeLessThan(5_000);
  });
});
