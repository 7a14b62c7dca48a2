/** demand(6), I2: two real nodes on one real Redis server; what one revokes, the other denies at once. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../parts.ts';
import type { Curfew } from '../runtime/curfew.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startFleet, type Fleet } from './fleet.ts';

describeWith(['redis'], 'two nodes on one Redis', () => {
  let server: RedisServer;
  let fleet: Fleet;
  const [first, second] = [(): Curfew => fleet.nodes[0] as Curfew, (): Curfew => fleet.nodes[1] as Curfew];
  beforeAll(async () => {
    server = await startRedis();
    fleet = await startFleet(`{port: ${server.port}}`);
  });
  afterAll(async () => {
    await fleet?.stop();
    await server?.stop();
  });
  const bothAllow = async (): Promise<boolean> => (await fleet.ask(first())) === 200 && (await fleet.ask(second())) === 200;

  test('a grant issued at one node is allowed at the other; revoked there, it is denied here as soon as revoke returns, 20 times', async () => {
    for (let round = 0; round < 20; round += 1) {
      const [here, there] = round % 2 === 0 ? [first(), second()] : [second(), first()];
      const grant = await fleet.issue(here);
      expect([await fleet.ask(here), await fleet.ask(there)]).toEqual([200, 200]);
      expect((await fleet.revoke(there, grant)).status).toBe(201);
      expect([await fleet.ask(here), await fleet.ask(there)]).toEqual([403, 403]);
    }
  });

  test('no allow is answered to a question asked after revoke returned, while both are asked without pause', async () => {
    const grant = await fleet.issue(first());
    let returnedMs = Number.POSITIVE_INFINITY;
    let asked = 0;
    const late: number[] = [];
    let stop = false;
    const probe = async (node: Curfew): Promise<void> => {
      while (!stop) {
        const startedMs = performance.now();
        const status = await fleet.ask(node);
        asked += 1;
        if (status === 200 && startedMs > returnedMs) late.push(startedMs - returnedMs);
      }
    };
    const probes = [first(), first(), second(), second()].map(probe);
    await until('some answers', () => asked > 40);
    const revoked = await fleet.revoke(second(), grant);
    returnedMs = performance.now();
    expect(Date.parse(revoked.body.enforcedAt)).toBeGreaterThanOrEqual(Date.parse(revoked.body.effectiveAt));
    const before = asked;
    await until('more answers', () => asked > before + 40);
    stop = true;
    await Promise.all(probes);
    expect(late).toEqual([]);
  });

  const usesLeft = async (node: Curfew, grant: string): Promise<number> => (await fleet.read(node, `/grants/${grant}`)).body.usesLeft;
  /** So many questions at once, over both nodes; one whose node dies is no answer. */
  const askAtOnce = async (count: number, onAllow: () => void = () => undefined): Promise<{ readonly allowed: number; readonly unavailable: number }> => {
    const answers = await Promise.all(Array.from({ length: count }, async (_, index) => {
      const answer = await fleet.answer(index % 2 === 0 ? first() : second()).catch(() => undefined);
      if (answer?.status === 200) onAllow();
      return answer;
    }));
    return { allowed: answers.filter((answer) => answer?.status === 200).length, unavailable: answers.filter((answer) => answer?.reason === 'unavailable').length };
  };
  const revokeEverything = async (): Promise<void> => {
    const listed = await fleet.read(first(), '/grants?state=active');
    for (const { id } of listed.body.items as { id: string }[]) await fleet.revoke(first(), id);
  };

  test.each([1, 5])('I8, E11: a grant for %i uses, asked for by 40 at once at two nodes, is used so often', async (uses) => {
    await revokeEverything();
    const grant = await fleet.issue(first(), { uses });
    const { allowed, unavailable } = await askAtOnce(40);
    expect(allowed).toBeLessThanOrEqual(uses);
    // A use that was counted for an answer that came too late to be written is the only one that may be missing.
    expect(allowed).toBeGreaterThanOrEqual(uses - unavailable);
    expect(await usesLeft(second(), grant)).toBe(0);
    expect(await askAtOnce(4)).toMatchObject({ allowed: 0 });
  });

  test('I8: with kill -9 of one of the nodes meanwhile there is never one use more, and none is left', async () => {
    await revokeEverything();
    const grant = await fleet.issue(first(), { uses: 5 });
    let killed: Promise<unknown> | undefined;
    let { allowed } = await askAtOnce(40, () => {
      if (killed !== undefined) return;
      killed = second().exited;
      second().signal('SIGKILL');
    });
    expect(killed, 'one was allowed').toBeDefined();
    await killed;
    await fleet.restart(1);
    await until('L1: both answer', async () => (await Promise.all(fleet.nodes.map((node) => fleet.administers(node)))).every((answers) => answers));
    await until('nothing is left', async () => {
      if ((await fleet.ask(second())) === 200) allowed += 1;
      return (await usesLeft(first(), grant)) === 0;
    });
    allowed += (await askAtOnce(10)).allowed;
    expect(allowed).toBeLessThanOrEqual(5);
  });

  test('a frozen server denies within the deadline, never hangs, and access returns by itself', async () => {
    await fleet.issue(first());
    await until('both allow', bothAllow);
    server.signal('SIGSTOP');
    const [one, other] = await Promise.all([first(), second()].map(async (node) => {
      const started = performance.now();
      const { status, reason } = await fleet.answer(node);
      return { status, reason, ms: performance.now() - started };
    }));
    expect([one?.status, other?.status, one?.reason]).toEqual([403, 403, 'unavailable']);
    expect(one?.ms).toBeLessThan(5_000);
    server.signal('SIGCONT');
    const healed = performance.now();
    await until('L1: both allow again', bothAllow);
    for (const node of fleet.nodes) await until('L1: administration', () => fleet.administers(node));
    expect(performance.now() - healed).toBeLessThan(5_000);
  });

  test('I7: kill -9 of the server: nodes deny, and what was confirmed is there when it is back', async () => {
    const grant = await fleet.issue(first());
    expect((await fleet.revoke(first(), grant)).status).toBe(201);
    const kept = await fleet.issue(second());
    await server.kill();
    expect(await Promise.all(fleet.nodes.map(fleet.ask))).toEqual([403, 403]);
    // Who asks can't be looked up either; that is no reason to call a good credential bad.
    expect(await fleet.revoke(second(), kept)).toMatchObject({ status: 503, body: { code: 'store-unavailable' } });
    await server.start();
    for (const node of fleet.nodes) await until('L1: administration', () => fleet.administers(node));
    await until('L1: both allow again', bothAllow);
    expect((await fleet.read(first(), `/grants/${grant}`)).body.state).toBe('ended');
    expect((await fleet.read(first(), `/grants/${kept}`)).body.state).toBe('active');
  });
});
