/** The outbox: committed with its cause, delivered until every channel has it, never lost, over for good. Over both stores, in virtual time. */
import { expect, test } from 'vitest';
import type { Channel, Sent } from '../../src/alerts/channel.ts';
import { createDeliverer, type Deliverer } from '../../src/alerts/deliverer.ts';
import type { Clock } from '../../src/decision/ports.ts';
import { alertRef, readAlert, type Alert } from '../../src/domain/alert.ts';
import type { Instant } from '../../src/domain/instant.ts';
import { lifecycleConfig } from '../../src/lifecycle/config.ts';
import { createLifecycle, type Call } from '../../src/lifecycle/lifecycle.ts';
import type { NodeStore } from '../../src/store/port.ts';
import { onBothStores } from '../support/both-stores.ts';
import { until } from '../support/until.ts';

const CALL: Call = { realm: 'default', actor: { kind: 'operator', id: 'user:op' } };
const HOUR = 3_600_000;

const virtualClock = () => {
  const at = { now: 1_800_000_000_000 };
  const clock: Clock = { now: () => ({ earliest: at.now as Instant, latest: at.now as Instant, trusted: true }), monotonicMs: () => at.now };
  return { at, clock };
};

interface Receiver extends Channel {
  readonly got: string[];
  tries: number;
  answer: Sent | ((alert: Alert) => Sent);
}
const receiver = (id: string, takes: Channel['takes'] = () => true): Receiver => {
  const made: Receiver = {
    id, takes, got: [], tries: 0, answer: { outcome: 'delivered' },
    send: async (_realm, alert) => {
      made.tries += 1;
      const sent = typeof made.answer === 'function' ? made.answer(alert) : made.answer;
      if (sent.outcome === 'delivered') made.got.push(alert.id);
      return sent;
    },
  };
  return made;
};

const lifecycleOver = (store: NodeStore, clock: Clock) =>
  createLifecycle({ store, clock, config: lifecycleConfig.parse({}), policy: () => undefined, development: true, enforcementMs: 0, settle: async () => undefined });

onBothStores('alerts', (open) => {
  const errors: unknown[] = [];
  const setUp = async (channels: readonly Receiver[], more: Partial<Parameters<typeof createDeliverer>[0]> = {}) => {
    const { at, clock } = virtualClock();
    const store = await open(clock);
    errors.length = 0;
    const delivererOf = (over: NodeStore, holder = 'h1'): Deliverer =>
      createDeliverer({ store: over, clock, realms: ['default', 'other'], channels, retryMaxMs: 60_000, giveUpAfterMs: 24 * HOUR, holder, random: () => 0.5, onError: (error) => errors.push(error), ...more });
    const lifecycle = lifecycleOver(store, clock);
    const revoke = async (value: string, realm = 'default'): Promise<string> => {
      const executed = await lifecycle.revoke({ ...CALL, realm }, { selector: { kind: 'workload', value: `spiffe://dev.local/${value}` }, reason: 'leak' }, true);
      if (!executed.ok) throw new Error(executed.failure.detail);
      return `access.revoked:${(executed.reply['revocation'] as { id: string }).id}`;
    };
    const look = async (deliverer: Deliverer): Promise<void> => {
      await deliverer.look();
      await deliverer.idle();
    };
    /** Until so much virtual time has gone by. */
    const pass = async (deliverer: Deliverer, ms: number, step: number): Promise<void> => {
      for (const end = at.now + ms; at.now < end; ) {
        at.now += step;
        await look(deliverer);
      }
    };
    const stored = async (id: string, realm = 'default') => readAlert((await store.read(realm, [alertRef(id)]))[0]?.value);
    const outbox = async (realm = 'default') => (await store.list(realm, { kind: 'outbox', limit: 100 })).items.map(({ key }) => key.id);
    return { at, clock, store, lifecycle, delivererOf, revoke, look, pass, stored, outbox };
  };

  test('an alert is committed with its cause, told once to each channel that takes it, and is over then', async () => {
    const [all, critical] = [receiver('all'), receiver('critical', ({ severity }) => severity === 'critical')];
    const { delivererOf, revoke, look, stored, outbox, store } = await setUp([all, critical]);
    const deliverer = delivererOf(store);
    await look(deliverer);
    const ids = [await revoke('a'), await revoke('b'), await revoke('c', 'other')];
    expect(await outbox()).toHaveLength(2);
    await look(deliverer);
    await look(deliverer);
    expect(all.got.toSorted()).toEqual(ids.toSorted());
    expect(critical.got).toEqual([]);
    expect([await outbox(), await outbox('other'), deliverer.pending()]).toEqual([[], [], 0]);
    expect(await stored(ids[0]!)).toMatchObject({ state: 'done', type: 'access.revoked', deliveries: { all: { state: 'delivered', attempts: 1 } }, data: { kind: 'workload', reason: 'leak', by: 'user:op' } });
    const history = await store.events('default', { after: 0, limit: 10, about: alertRef(ids[0]!) });
    expect(history.map(({ type }) => type)).toEqual(['alert.delivered']);
    expect(errors).toEqual([]);
  });

  test('demand(26): a receiver that is down for an hour gets every alert once it is back, once each; the others are not held up', async () => {
    const [down, up] = [receiver('down'), receiver('up')];
    down.answer = { outcome: 'failed', detail: 'is away' };
    const { at, delivererOf, revoke, look, pass, outbox, store } = await setUp([down, up]);
    const deliverer = delivererOf(store);
    const ids: string[] = [];
    for (let minute = 0; minute < 60; minute += 1) {
      ids.push(await revoke(`w${minute}`));
      await look(deliverer);
      expect(up.got).toHaveLength(ids.length);
      await pass(deliverer, 60_000, 20_000);
    }
    expect(down.got).toEqual([]);
    // Bounded: one probe at a time, a minute apart at most.
    expect(down.tries).toBeGreaterThan(50);
    expect(down.tries).toBeLessThan(200);
    expect(await outbox()).toHaveLength(60);
    down.answer = { outcome: 'delivered' };
    await pass(deliverer, 61_000, 1_000);
    expect(down.got.toSorted()).toEqual(ids.toSorted());
    expect(up.got.toSorted()).toEqual(ids.toSorted());
    expect(await outbox()).toEqual([]);
    at.now += HOUR;
    await look(deliverer);
    expect(down.got).toHaveLength(60);
    expect(errors).toEqual([]);
  });

  test('a process that ends in between loses nothing and repeats nothing that is over', async () => {
    const [down, up] = [receiver('down'), receiver('up')];
    down.answer = { outcome: 'failed', detail: 'is away' };
    const { at, clock, delivererOf, revoke, look, store } = await setUp([down, up]);
    const first = delivererOf(store);
    const ids = [await revoke('a'), await revoke('b')];
    await look(first);
    await first.close();
    const again = await open(clock, true);
    down.answer = { outcome: 'delivered' };
    at.now += 40_000;
    const second = delivererOf(again, 'h2');
    // On a shared store the first one's turn has to end.
    await again.takeTurn?.('alerts', 'h1', 1);
    await until('the second one delivers', async () => {
      await look(second);
      return down.got.length === 2;
    });
    expect(down.got.toSorted()).toEqual(ids.toSorted());
    expect(up.got).toHaveLength(2);
    expect((await again.list('default', { kind: 'outbox', limit: 100 })).items).toEqual([]);
    expect(errors).toEqual([]);
  });

  test('what a receiver refuses is tried some times, listed as refused, and holds nothing up; an operator has it delivered again', async () => {
    const picky = receiver('picky');
    const { delivererOf, revoke, look, pass, stored, outbox, lifecycle, store } = await setUp([picky]);
    const bad = await revoke('bad');
    const good = await revoke('good');
    picky.answer = (alert) => (alert.id === bad ? { outcome: 'refused', detail: 'the receiver answered 400' } : { outcome: 'delivered' });
    const deliverer = delivererOf(store);
    await look(deliverer);
    expect(picky.got).toEqual([good]);
    expect(await lifecycle.redeliverAlert(CALL, bad)).toMatchObject({ ok: false, failure: { code: 'state' } });
    await pass(deliverer, 200_000, 10_000);
    expect(await stored(bad)).toMatchObject({ state: 'done', deliveries: { picky: { state: 'refused', attempts: 5, detail: 'the receiver answered 400' } } });
    expect(await outbox()).toEqual([]);
    picky.answer = { outcome: 'delivered' };
    expect(await lifecycle.redeliverAlert(CALL, bad)).toMatchObject({ ok: true });
    expect(await lifecycle.redeliverAlert(CALL, 'access.revoked:none')).toMatchObject({ ok: false, failure: { code: 'not-found' } });
    await look(deliverer);
    expect(picky.got).toEqual([good, bad]);
    expect(await stored(bad)).toMatchObject({ state: 'done', deliveries: { picky: { state: 'delivered' } } });
  });

  test('a channel that is away for longer than is waited gives up its alerts, which stay listed as such', async () => {
    const gone = receiver('gone');
    gone.answer = { outcome: 'failed', detail: 'is away' };
    const tries: string[] = [];
    const { delivererOf, revoke, pass, stored, outbox, store } = await setUp([gone], { giveUpAfterMs: HOUR, onTry: (_channel, outcome) => tries.push(outcome) });
    const ids = [await revoke('a'), await revoke('b')];
    const deliverer = delivererOf(store);
    await pass(deliverer, HOUR - 20_000, 20_000);
    for (const id of ids) expect(await stored(id), 'not before').toMatchObject({ state: 'pending', deliveries: {} });
    await pass(deliverer, 620_000, 20_000);
    for (const id of ids) expect(await stored(id)).toMatchObject({ state: 'done', deliveries: { gone: { state: 'given-up', detail: 'is away' } } });
    expect(await outbox()).toEqual([]);
    expect(tries.filter((outcome) => outcome === 'given-up')).toHaveLength(2);
  });

  test('pauses between tries differ by chance, so that those who wait for one receiver do not all come at once', async () => {
    const tries = async (random: number): Promise<number> => {
      const gone = receiver('gone');
      gone.answer = { outcome: 'failed', detail: 'is away' };
      let count = 0;
      const { delivererOf, revoke, pass, store } = await setUp([gone], { random: () => random, onTry: () => { count += 1; } });
      await revoke('a');
      await pass(delivererOf(store), 600_000, 1_000);
      return count;
    };
    expect(await tries(0)).toBeGreaterThan(await tries(0.999));
  });

  test('an alert that no channel takes is over at once', async () => {
    const none = receiver('none', () => false);
    const { delivererOf, revoke, look, stored, store } = await setUp([none]);
    const id = await revoke('a');
    await look(delivererOf(store));
    expect(await stored(id)).toMatchObject({ state: 'done', deliveries: {} });
  });

  test('where several nodes share the store, one delivers', async () => {
    const channel = receiver('one');
    const { delivererOf, revoke, look, store } = await setUp([channel]);
    if (store.takeTurn === undefined) return expect(store.takeTurn).toBeUndefined();
    const [first, second] = [delivererOf(store, 'h1'), delivererOf(store, 'h2')];
    await look(first);
    await look(second);
    await revoke('a');
    await look(second);
    expect(channel.got).toEqual([]);
    await look(first);
    await look(second);
    expect(channel.got).toHaveLength(1);
  });
});
