/** I5, I6: rows of leases on a real Redis: given back when a node shuts down, never taken for those of another process. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../parts.ts';
import type { Curfew } from '../runtime/curfew.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startFleet, type Fleet } from './fleet.ts';

/** So long that whoever is waited for in vain is noticed. */
const LEASE_MS = 40_000;

interface Knows {
  readonly node: string;
  readonly holder: string;
  readonly state: string;
}

describeWith(['redis'], 'leases of two nodes that come and go', () => {
  let server: RedisServer;
  let fleet: Fleet;
  let credential = '';
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
  /** 0: nobody listens just now. */
  const ask = (node: Curfew): Promise<number> => fleet.answer(node, credential).then(({ status }) => status, () => 0);
  /** A grant under which both workers hold a lease. */
  const bothHold = async (): Promise<string> => {
    const grant = await fleet.issue(first());
    await until('both allow', async () => (await ask(first())) === 200 && (await ask(second())) === 200);
    const pids = [...first().workers(), ...second().workers()];
    await until('both leases', async () => {
      const rows = await server.send('HGETALL cf:{default}:holders');
      return pids.every((pid) => rows.includes(`/${pid}\r\n`));
    });
    return grant;
  };
  const knowing = (body: { readonly nodes?: readonly Knows[] }): readonly Knows[] => body.nodes ?? [];
  const of = (all: readonly Knows[], pid: number): readonly Knows[] => all.filter(({ node }) => node.endsWith(`/${pid}`));

  test('a node that shuts down gives its lease back: revoke names and waits for those alone that run', async () => {
    const grant = await bothHold();
    const [gone] = second().workers() as [number];
    second().signal('SIGTERM');
    expect((await second().exited).code).toBe(0);
    expect(await server.send('HGETALL cf:{default}:holders')).not.toContain(`/${gone}`);
    const { status, body } = await fleet.revoke(first(), grant);
    expect([status, knowing(body).map(({ state }) => state), of(knowing(body), gone)]).toEqual([201, ['acknowledged'], []]);
    expect(Date.parse(body.enforcedAt) - Date.parse(body.effectiveAt)).toBeLessThan(LEASE_MS);
  });

  test('the same node started again, and a worker in the place of one that was killed, are holders that were never there before', { timeout: 120_000 }, async () => {
    await fleet.restart(1);
    const seen = new Set<string>();
    const revoke = async (): Promise<readonly Knows[]> => {
      // Who is dead is not waited for here: what it says is looked at.
      const { status, body } = await fleet.revoke(first(), await bothHold(), { prefer: 'respond-async' });
      expect(status).toBe(202);
      return knowing(body);
    };
    const before = await revoke();
    for (const { holder } of before) seen.add(holder);
    expect(seen.size).toBe(2);

    const [killed] = second().workers() as [number];
    process.kill(killed, 'SIGKILL');
    const successor = await until('another worker', () => second().workers().find((pid) => pid !== killed));
    const after = await revoke();
    const [old, fresh] = [of(after, killed), of(after, successor)];
    expect([old.length, fresh.length, new Set(after.map(({ holder }) => holder)).size]).toEqual([1, 1, 3]);
    expect(seen.has(old[0]?.holder ?? '')).toBe(true);
    expect(seen.has(fresh[0]?.holder ?? '')).toBe(false);
    // What its successor says is not taken for the word of the one that was killed.
    const { body } = await fleet.revoke(first(), await bothHold(), { prefer: 'respond-async' });
    const live = async (): Promise<readonly Knows[]> => knowing((await fleet.read(first(), `/revocations/${body.id}`)).body);
    await until('its successor to know', async () => of(await live(), successor)[0]?.state === 'acknowledged');
    expect(of(await live(), killed).map(({ state }) => state)).toEqual(['pending']);
  });
});
