/** Where the processes that decide can be asked, what ends access is answered when they have said that nothing from before is left in them; and never as enforced before. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import { joinRounds, type Deciders, type Unconfirmed } from '../../src/lifecycle/deciders.ts';
import { createSelfService } from '../../src/lifecycle/self-service.ts';
import { createDeciders, watchLeaving } from '../../src/supervisor/answers-left.ts';
import { createAdminWorld, type AdminWorld } from '../admin/world.ts';
import { identityOf } from '../decision/world.ts';
import { until } from '../support/until.ts';
import { CALL, T0, terms, WORKLOAD } from './world.ts';

const STANDING: Unconfirmed = { node: 'gw-1/4711', holder: 'h1', state: 'pending' };

describe('commands that end access', () => {
  let world: AdminWorld | undefined;
  afterEach(() => world?.close());

  /** `owing` is what becomes of asking; `asked` counts, with whether the ending was there to be read by then. */
  const open = async (owing: readonly Unconfirmed[] = []): Promise<{ readonly world: AdminWorld; readonly state: { owing: readonly Unconfirmed[]; asked: number; at: Instant | undefined } }> => {
    const state: { owing: readonly Unconfirmed[]; asked: number; at: Instant | undefined } = { owing, asked: 0, at: undefined };
    const deciders: Deciders = {
      left: async () => {
        state.asked += 1;
        state.at = opened.clock.now().latest;
        opened.at.now += 7;
        return state.owing;
      },
      owing: (at) => (state.at !== undefined && at <= state.at ? state.owing : []),
    };
    const opened = await createAdminWorld({}, { deciders });
    world = opened;
    return { world: opened, state };
  };
  const unconfirmed = async ({ store }: AdminWorld) => (await store.list('default', { kind: 'alert', limit: 10 })).items.map(({ value }) => value).filter(({ type }) => type === 'revocation.unconfirmed');
  const body = { selector: { kind: 'workload', value: WORKLOAD }, reason: 'leak' };

  test('are answered when all have said so, with that instant; the age of facts is not waited for, what enforcement points keep is', async () => {
    const { world, state } = await open();
    const revoked = await world.ask('POST', '/v1/revocations', body);
    expect(revoked.status).toBe(201);
    expect(revoked.body).toMatchObject({ effectiveAt: new Date(T0).toISOString(), enforcedAt: new Date(T0 + 7).toISOString() });
    expect(revoked.body.nodes).toBeUndefined();
    expect(world.settled).toEqual([0]);
    expect(state.asked).toBe(1);
    expect((await world.ask('POST', '/v1/grants', terms())).status).toBe(201);
    expect((await world.ask('POST', '/v1/revocations', { ...body, selector: { kind: 'nonsense', value: 'x' } })).status).toBe(400);
    expect(state.asked, 'what ends nothing asks nobody').toBe(1);
  });

  test('are not said to be enforced while one has not: 202 without `enforcedAt`, who it is, and an alert; asked again, until it is known', async () => {
    const { world, state } = await open([STANDING]);
    const headers = { 'idempotency-key': 'k' };
    const first = await world.ask('POST', '/v1/revocations', body, headers);
    expect(first.status).toBe(202);
    expect(first.body.nodes).toEqual([STANDING]);
    expect(first.body).not.toHaveProperty('enforcedAt');
    const shown = await world.ask('GET', `/v1/revocations/${first.body.id}`);
    expect(shown.body.nodes).toEqual([STANDING]);
    expect(shown.body).not.toHaveProperty('enforcedAt');
    const [listed] = (await world.ask('GET', '/v1/revocations')).body.items;
    expect(listed).not.toHaveProperty('enforcedAt');
    const again = await world.ask('POST', '/v1/revocations', body, headers);
    expect([again.status, again.body.id, again.body.nodes, 'enforcedAt' in again.body]).toEqual([202, first.body.id, [STANDING], false]);
    const alerts = await unconfirmed(world);
    expect(alerts).toMatchObject([{ type: 'revocation.unconfirmed', data: { node: STANDING.node, state: 'pending' } }]);
    state.owing = [];
    const known = await world.ask('POST', '/v1/revocations', body, headers);
    expect([known.status, known.body.id]).toEqual([201, first.body.id]);
    expect(known.body).toHaveProperty('enforcedAt');
    expect((await world.ask('GET', `/v1/revocations/${first.body.id}`)).body).toHaveProperty('enforcedAt');
  });

  test('nor are a suspension, a pause, a close, a person or a workload that leaves; nor what a workload closes itself', async () => {
    const { world } = await open([STANDING]);
    const task = (await world.ask('POST', '/v1/tasks', { kind: 'ci', owner: 'team:shop' })).body.id;
    expect((await world.lifecycle.issueGrant(CALL, terms({ task }))).ok).toBe(true);
    const suspended = await world.ask('POST', '/v1/suspensions', { ...body, selector: { kind: 'workload', value: 'spiffe://dev.local/other' } });
    expect([suspended.status, 'enforcedAt' in suspended.body]).toEqual([202, false]);
    const paused = await world.ask('POST', `/v1/tasks/${task}/pause`, {});
    expect([paused.status, paused.body.nodes]).toEqual([202, [STANDING]]);
    expect((await world.ask('GET', `/v1/tasks/${task}`)).body.nodes).toEqual([STANDING]);
    expect((await world.ask('POST', `/v1/tasks/${task}/resume`, {})).status).toBe(200);
    const closed = await createSelfService(world.lifecycle, world.inspect, world).closeTask({ identity: identityOf({ workload: WORKLOAD }), realm: 'default' }, task);
    expect(closed).toMatchObject({ ok: true, pending: true });
    expect((await world.ask('PUT', '/v1/people/user%3Agone', { active: false })).status).toBe(202);
    const workload = { owner: 'team:shop', fallbackOwner: 'team:ops' };
    expect((await world.ask('PUT', `/v1/workloads/${encodeURIComponent(WORKLOAD)}`, workload)).status).toBe(200);
    expect((await world.ask('PUT', `/v1/workloads/${encodeURIComponent(WORKLOAD)}`, { ...workload, active: false })).status).toBe(202);
  });

  test('of whom nobody waits for are asked after all the same, and told of', async () => {
    const { world, state } = await open([STANDING]);
    const later = await world.ask('POST', '/v1/revocations', body, { prefer: 'respond-async' });
    expect(later.status).toBe(202);
    expect(world.settled).toEqual([]);
    await until('the alert', async () => (await unconfirmed(world)).length === 1);
    expect(state.asked).toBe(1);
  });
});

describe('asking processes', () => {
  /** Processes that answer when the test says so. */
  const process = (now: () => Instant) => {
    const asks: (() => void)[] = [];
    return { asks, leaving: watchLeaving(1, () => new Promise((resolve) => asks.push(resolve)), now) };
  };
  const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });
  const at = (ms: number): Instant => (T0 + ms) as Instant;

  test('a thousand that end something at once are two questions to each', async () => {
    const { asks, leaving } = process(() => at(0));
    const deciders = createDeciders(() => [leaving]);
    const waits = Array.from({ length: 1_000 }, () => deciders.left());
    await turn();
    expect(asks).toHaveLength(1);
    asks[0]?.();
    await turn();
    expect(asks).toHaveLength(2);
    asks[1]?.();
    expect((await Promise.all(waits)).flat()).toEqual([]);
  });

  test('a question that was on its way before counts for nobody who came later', async () => {
    const { asks, leaving } = process(() => at(0));
    const order: string[] = [];
    let third: Promise<void> | undefined;
    const first = leaving.left().then(() => {
      order.push('first');
      // Between an answer and the next question.
      third = leaving.left();
    });
    const second = leaving.left().then(() => order.push('second'));
    asks[0]?.();
    await first;
    await turn();
    expect(order).toEqual(['first']);
    expect(asks).toHaveLength(2);
    asks[1]?.();
    await Promise.all([second, third]);
    expect(order).toEqual(['first', 'second']);
    expect(asks).toHaveLength(2);
    void leaving.left();
    expect(asks).toHaveLength(3);
  });

  test('one that does not answer is told of after a while, by name; the others are not held up by it', async () => {
    const [silent, other] = [process(() => at(0)), process(() => at(0))];
    const deciders = createDeciders(() => [silent.leaving, other.leaving], 50);
    const told = deciders.left();
    other.asks[0]?.();
    expect(await told).toEqual([silent.leaving.as]);
    // It goes on: what is asked then is answered by a question of its own.
    const again = deciders.left();
    silent.asks[0]?.();
    other.asks[1]?.();
    await turn();
    silent.asks[1]?.();
    expect(await again).toEqual([]);
  });

  test('none, or none any more: nobody can allow', async () => {
    expect(await createDeciders(() => []).left()).toEqual([]);
  });

  test('what is owed: whatever ended since the last question that was answered, while one is not', async () => {
    let ms = 0;
    const { asks, leaving } = process(() => at(ms));
    ms = 10;
    expect(leaving.owes(at(10))).toBe(false);
    void leaving.left();
    expect([leaving.owes(at(-1)), leaving.owes(at(0)), leaving.owes(at(10))]).toEqual([false, true, true]);
    ms = 20;
    asks[0]?.();
    await turn();
    expect(leaving.owes(at(10))).toBe(false);
    void leaving.left();
    expect([leaving.owes(at(9)), leaving.owes(at(10)), leaving.owes(at(20))]).toEqual([false, true, true]);
  });

  test('rounds that fail hold up nobody', async () => {
    let count = 0;
    const join = joinRounds(async () => {
      count += 1;
      if (count === 1) throw new Error('the first');
      return count;
    });
    const [first, second] = [join(), join()];
    await expect(first).rejects.toThrow('the first');
    expect(await second).toBe(2);
    expect(await join()).toBe(3);
  });
});
