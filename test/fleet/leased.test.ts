/** demand(6), I2, I5: two real nodes that answer from memory under leases; what one revokes, the other denies once revoke returned. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../parts.ts';
import type { Curfew } from '../runtime/curfew.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startFleet, type Fleet } from './fleet.ts';

/** Longer than a busy machine makes a process wait: who loses its lease acknowledges nothing. */
const LEASE_MS = 2_500;

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

  const states = (body: { readonly nodes?: readonly { readonly state: string }[] }): readonly string[] => (body.nodes ?? []).map(({ state }) => state).sort();
  const tookMs = (body: { readonly effectiveAt: string; readonly enforcedAt: string }): number => Date.parse(body.enforcedAt) - Date.parse(body.effectiveAt);

  test('revoke tells who knows of it; a worker that is frozen is waited for as long as its lease, and when it wakes up it denies', async () => {
    const gone = await fleet.issue(first());
    await until('both allow', bothAllow);
    const known = await fleet.revoke(first(), gone);
    expect([known.status, states(known.body)]).toEqual([201, ['acknowledged', 'acknowledged']]);
    expect((await fleet.read(first(), `/revocations/${known.body.id}`)).body).toMatchObject({ nodes: [{ state: 'acknowledged' }, { state: 'acknowledged' }] });

    const grant = await fleet.issue(first());
    await until('both allow', bothAllow);
    const [worker] = second().workers() as [number];
    process.kill(worker, 'SIGSTOP');
    const revoked = await fleet.revoke(first(), grant);
    const waiting = ask(second());
    process.kill(worker, 'SIGCONT');
    expect([revoked.status, states(revoked.body)]).toEqual([201, ['acknowledged', 'lapsed']]);
    expect(revoked.body.nodes.find(({ state }: { state: string }) => state === 'lapsed').node).toMatch(new RegExp(`/${worker}$`));
    expect(tookMs(revoked.body)).toBeGreaterThan(LEASE_MS / 2);
    expect(await waiting).toBe(403);
    expect(await unconfirmed()).toMatchObject([{ severity: 'critical', data: { node: expect.stringMatching(new RegExp(`/${worker}$`)) as string, since: revoked.body.effectiveAt } }]);
  });

  const unconfirmed = async () => ((await fleet.read(first(), '/alerts?limit=100')).body.items as readonly { readonly type: string; readonly data: { readonly node: string; readonly since: string } }[]).filter(({ type }) => type === 'revocation.unconfirmed');

  test('demand(32): a process that does not confirm in time is told of by node and since when, also where nobody waits for the answer', async () => {
    const before = (await unconfirmed()).length;
    const grant = await fleet.issue(first());
    await until('both allow', bothAllow);
    const [worker] = second().workers() as [number];
    process.kill(worker, 'SIGSTOP');
    try {
      const answer = await fleet.revoke(first(), grant, { prefer: 'respond-async' });
      expect(answer.status).toBe(202);
      await until('it is told of', async () => (await unconfirmed()).length > before);
      expect((await unconfirmed())[0]).toMatchObject({ data: { node: expect.stringMatching(new RegExp(`/${worker}$`)) as string, since: answer.body.effectiveAt } });
    } finally {
      process.kill(worker, 'SIGCONT');
    }
    await until('and confirms again', async () => (await ask(second())) === 403);
    const other = await fleet.issue(first());
    await until('both allow again', bothAllow);
    const count = (await unconfirmed()).length;
    expect(states((await fleet.revoke(second(), other)).body)).toEqual(['acknowledged', 'acknowledged']);
    expect((await unconfirmed()).length, 'the control').toBe(count);
  });

  test('pausing and closing a task tell who knows of it, also later; a resumption and an open task name nobody', async () => {
    const grant = await fleet.issue(first());
    const { task } = (await fleet.read(first(), `/grants/${grant}`)).body;
    const act = async (act: string) => {
      const answer = await fleet.admin(first(), 'issuer', 'POST', `/tasks/${task}/${act}`);
      return [answer.status, answer.body.state, states(answer.body)];
    };
    const later = async () => states((await fleet.read(second(), `/tasks/${task}`)).body);
    await until('both allow', bothAllow);
    expect(await later()).toEqual([]);
    expect(await act('pause')).toEqual([200, 'paused', ['acknowledged', 'acknowledged']]);
    expect([await ask(first()), await ask(second())]).toEqual([403, 403]);
    expect(await later()).toEqual(['acknowledged', 'acknowledged']);
    expect(await act('resume')).toEqual([200, 'open', []]);
    await until('both allow', bothAllow);
    expect(await later()).toEqual([]);
    expect(await act('close')).toEqual([200, 'closed', ['acknowledged', 'acknowledged']]);
    expect([await ask(first()), await ask(second())]).toEqual([403, 403]);
    expect(await later()).toEqual(['acknowledged', 'acknowledged']);
  });

  test('Prefer: respond-async answers at once; who knows of it is told later', async () => {
    const grant = await fleet.issue(first());
    await until('both allow', bothAllow);
    const committed = await fleet.revoke(second(), grant, { prefer: 'respond-async' });
    expect(committed.status).toBe(202);
    expect(tookMs(committed.body)).toBeGreaterThanOrEqual(LEASE_MS);
    await until('all to know', async () => states((await fleet.read(second(), `/revocations/${committed.body.id}`)).body).every((state) => state === 'acknowledged'));
    expect([await ask(first()), await ask(second())]).toEqual([403, 403]);
  });

  test('while the server is frozen it goes on from memory for its lease, then denies; when it is back, so is access', async () => {
    await fleet.issue(first());
    await until('both allow', bothAllow);
    let fromMemory = 0;
    // A busy machine may ask for the first time when the lease is over; one round in which it does not shows that memory answers.
    for (let round = 0; round < 10 && fromMemory === 0; round += 1) {
      server.signal('SIGSTOP');
      const frozen = performance.now();
      await until('denials', async () => {
        const asked = performance.now();
        const status = await ask(first());
        if (status === 200) {
          fromMemory += 1;
          // By when it was asked: nothing that was asked after the lease is allowed, however slow this machine is.
          expect(asked - frozen).toBeLessThan(LEASE_MS);
        }
        return status === 403;
      });
      server.signal('SIGCONT');
      const healed = performance.now();
      await until('L1: both allow again', bothAllow);
      expect(performance.now() - healed).toBeLessThan(5_000);
    }
    expect(fromMemory).toBeGreaterThan(0);
  });

  test('a worker that was killed is waited for once', async () => {
    const grant = await fleet.issue(first());
    await until('both allow', bothAllow);
    const [worker] = second().workers() as [number];
    process.kill(worker, 'SIGKILL');
    const revoked = await fleet.revoke(first(), grant);
    expect(revoked.body.nodes.find(({ node }: { node: string }) => node.endsWith(`/${worker}`)).state).toBe('lapsed');
    await until('the row to go', async () => !JSON.stringify((await fleet.read(first(), `/revocations/${revoked.body.id}`)).body).includes(`/${worker}`));
    const next = await fleet.issue(first());
    await until('it allows', async () => (await ask(first())) === 200);
    const { nodes } = (await fleet.revoke(first(), next)).body as { nodes: readonly { node: string; state: string }[] };
    // Its successor may have begun to answer from memory, and then says that it knows; nobody is waited for in vain.
    expect(nodes.filter(({ node }) => node.endsWith(`/${worker}`))).toEqual([]);
    expect(new Set(nodes.map(({ state }) => state))).toEqual(new Set(['acknowledged']));
  });
});
