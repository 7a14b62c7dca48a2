/**
 * demand(6), I2: three nodes, strict and leased, and one with two workers on the embedded store, asked without pause over
 * HTTP and gRPC; no question that begins after `revoke` returned is allowed. `npm run test:probes` asks a million times after it, of each.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeWith } from '../parts.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { startGrpcProber, startProber } from './prober.ts';

const PROBES = Number(process.env['CURFEW_TEST_PROBES'] ?? 600);
/** After each revocation. */
const EACH = Math.min(PROBES, 3_000);
const AT_ONCE = 6;

describeWith(['redis'], 'probes after revoke', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.stop());

  describe.each(['strict', 'leased', 'embedded'])('%s', (mode) => {
    let fleet: Fleet;
    beforeAll(async () => {
      fleet = mode === 'embedded'
        ? await startFleet('', 1, { store: () => '{kind: embedded}', workers: 2 })
        : await startFleet(`{port: ${server.port}, mode: ${mode}, database: ${mode === 'strict' ? 1 : 2}}`, 3);
    });
    afterAll(() => fleet?.stop());

    test(`none of ${PROBES} is allowed, and before it all were`, { timeout: 60_000 + PROBES * 50 }, async () => {
      const probers = await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => (index % 2 === 0 ? startProber : startGrpcProber)(fleet.nodes[index % fleet.nodes.length]!)));
      // A new one for each revocation: on a busy machine a hundred of them outlast a credential.
      let credential = '';
      const statusOf = (index: number): Promise<number> => probers[index]!.ask(credential);
      let after = 0;
      let before = 0;
      const late: number[] = [];
      for (let round = 0; after < PROBES; round += 1) {
        credential = fleet.credential();
        const grant = await fleet.issue(fleet.nodes[round % fleet.nodes.length]!);
        await until('all to allow', async () => (await Promise.all(probers.map((_, index) => statusOf(index)))).every((status) => status === 200), 60_000);
        let returned = false;
        let left = EACH;
        const probe = async (index: number): Promise<void> => {
          while (left > 0) {
            const begunAfter = returned;
            const status = await statusOf(index);
            if (!begunAfter) before += 1;
            else {
              left -= 1;
              after += 1;
              if (status === 200) late.push(after);
            }
          }
        };
        const probes = Array.from({ length: AT_ONCE }, (_, index) => probe(index));
        const revoked = await fleet.revoke(fleet.nodes[(round + 1) % fleet.nodes.length]!, grant);
        returned = true;
        expect(revoked.status).toBe(201);
        await Promise.all(probes);
      }
      probers.forEach(({ close }) => close());
      expect(late).toEqual([]);
      expect(before).toBeGreaterThan(0);
    });
  });
});
