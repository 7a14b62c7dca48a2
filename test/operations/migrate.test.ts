/** `curfew migrate`: everything arrives, both ways, between real stores; interrupted it goes on; two stores never answer for one realm. */
import { afterEach, expect, test } from 'vitest';
import { abandonMove, migrate } from '../../src/operations/copies.ts';
import { openTarget } from '../../src/operations/stores.ts';
import { copyRealm } from '../../src/store/copy/entries.ts';
import { nextEndings } from '../../src/store/event.ts';
import { CALL } from '../lifecycle/world.ts';
import { openLeasedStore } from '../../src/store/leased/open.ts';
import { redisStoreConfig } from '../../src/store/redis/config.ts';
import { openRedisStore } from '../../src/store/redis/open.ts';
import { describeWith } from '../parts.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { clockHere, eventsOf, fill, lifecycleOf, newPlace, portrait, REALMS, use, workload, type Kind, type Place } from './places.ts';

const MIB = 2 ** 20;
const places: Place[] = [];
const place = async (kind: Kind, realms?: readonly string[]): Promise<Place> => {
  const made = await newPlace(kind, realms);
  places.push(made);
  return made;
};
afterEach(async () => {
  for (const one of places.splice(0)) await one.remove();
});
const inStore = async <T>(at: Place, work: (store: Awaited<ReturnType<Place['open']>>) => Promise<T>): Promise<T> => {
  const store = await at.open();
  try {
    return await work(store);
  } finally {
    await store.close();
  }
};
const portraits = (at: Place, realms: readonly string[] = REALMS) => inStore(at, (store) => Promise.all(realms.map((realm) => portrait(store, realm))));
const messageOf = (work: Promise<unknown>): Promise<string> => work.then(() => 'no error', (error: Error) => error.message);

describeWith(['redis'], 'moving realms', () => {
  test.each([['embedded', 'redis'], ['redis', 'embedded'], ['embedded', 'embedded'], ['redis', 'redis']] as const)(
    'from %s to %s: grants, endings, history, positions, the hash of endings and idempotency keys are the same, and it goes on from there', { timeout: 120_000 },
    async (from, to) => {
      const [old, next] = [await place(from), await place(to)];
      const made = await inStore(old, async (store) => [await fill(store, 'default'), await fill(store, 'other', 12)]);
      const before = await portraits(old);
      expect([...(await migrate(old.config, next.config, REALMS)).keys()]).toEqual([...REALMS]);
      expect(await portraits(next)).toEqual(before);
      expect(await messageOf(old.open())).toMatch(/were moved to another store/);
      await inStore(next, async (store) => {
        // I8: what was done under a key is still done.
        const again = await (await lifecycleOf(store)).openTask({ ...CALL, idempotency: { principal: 'p', key: 'open 10', body: {} } }, { kind: 'ci', owner: 'team:x' });
        expect(again).toMatchObject({ ok: true, replayed: true, reply: { task: { id: made[0]?.tasks[1] } } });
        // What is used up stays used up, and what was counted is counted on.
        expect(await use(store, 'default', made[0]?.grants[3] ?? '', 'token:a')).toBe('conflict');
        for (let count = 1; count < 5; count += 1) expect(await use(store, 'default', made[0]?.grants[3] ?? '', `token:${count}`)).toBe('committed');
        expect(await use(store, 'default', made[0]?.grants[3] ?? '', 'token:9')).toBe('exhausted');
        // Position and hash follow the ones before.
        const marks = await store.facts({ realm: 'default', keys: [] });
        await (await lifecycleOf(store)).revoke(CALL, { selector: { kind: 'workload', value: workload(0) }, reason: 'r' }, true);
        const after = await store.facts({ realm: 'default', keys: [] });
        expect(after.position).toEqual({ epoch: store.epoch, sequence: marks.position.sequence + 1 });
        expect(after.endings).toEqual(nextEndings(marks.endings, (await eventsOf(store, 'default')).at(-1)?.bytes ?? Buffer.alloc(0)));
      });
    });

  test.each(['embedded', 'redis'] as const)('interrupted on the way to %s: neither store answers for the realm; run again it goes on, and all is there', { timeout: 120_000 }, async (to) => {
    const [old, next] = [await place(to === 'redis' ? 'embedded' : 'redis'), await place(to)];
    await inStore(old, (store) => fill(store, 'default', 220));
    const before = await portraits(old);
    // As `migrate` does it, up to a place in the middle.
    const { openSource } = await import('../../src/operations/stores.ts');
    const [source, target] = [await openSource(old.config, false), await openTarget(next.config)];
    for (const realm of REALMS) await source.retire(realm, to === 'redis' ? `127.0.0.1:${next.server?.port}/0` : next.config.store.path);
    await target.begin(source.head, `move ${source.head.epoch}`);
    let batches = 0;
    await expect(copyRealm(source, { ...target, write: async (...args) => {
      batches += 1;
      if (batches === 3) throw new Error('cut');
      return target.write(...args);
    } }, 'default')).rejects.toThrow('cut');
    await target.close();
    await source.close();
    expect(await messageOf(old.open())).toMatch(/were moved to another store/);
    expect(await messageOf(next.open())).toMatch(/being filled/);
    // Something else is not mixed in.
    const stranger = await place('embedded');
    await inStore(stranger, (store) => fill(store, 'default', 2));
    expect(await messageOf(migrate(stranger.config, next.config, ['default']))).toMatch(/unfinished copy of something else/);
    await inStore(stranger, (store) => fill(store, 'default', 2));
    await migrate(old.config, next.config, REALMS);
    expect(await portraits(next)).toEqual(before);
    // A third run changes nothing.
    expect((await migrate(old.config, next.config, REALMS)).size).toBe(0);
    expect(await portraits(next)).toEqual(before);
  });

  test.each([['embedded', 'redis'], ['redis', 'embedded']] as const)('given up from %s to %s: the old store answers again; a move that was finished can not be given up', async (from, to) => {
    const [old, next] = [await place(from, ['default']), await place(to, ['default'])];
    await inStore(old, (store) => fill(store, 'default', 10));
    const before = await portraits(old, ['default']);
    const { openSource } = await import('../../src/operations/stores.ts');
    const source = await openSource(old.config, false);
    await source.retire('default', 'elsewhere');
    await source.close();
    expect(await messageOf(migrate(old.config, next.config, ['default']))).toMatch(/was moved to elsewhere before/);
    await abandonMove(old.config, next.config, ['default']);
    expect(await portraits(old, ['default'])).toEqual(before);
    await migrate(old.config, next.config, ['default']);
    expect(await messageOf(abandonMove(old.config, next.config, ['default']))).toMatch(/was moved whole/);
    expect(await messageOf(old.open())).toMatch(/were moved/);
  });

  test('realm by realm into one store; moving back needs an empty place; a store of others is refused', { timeout: 120_000 }, async () => {
    const [old, next, stranger] = [await place('embedded'), await place('redis'), await place('redis')];
    await inStore(old, async (store) => { for (const realm of REALMS) await fill(store, realm, 5); });
    const before = await portraits(old);
    await migrate(old.config, next.config, ['default']);
    expect(await messageOf(old.open())).toMatch(/default/);
    await migrate(old.config, next.config, ['other']);
    expect(await portraits(next)).toEqual(before);
    expect(await messageOf(migrate(next.config, old.config, REALMS))).toMatch(/still holds what/);
    await inStore(stranger, (store) => fill(store, 'default', 2));
    expect(await messageOf(migrate(next.config, stranger.config, REALMS))).toMatch(/there is a store already/);
    expect(await messageOf(migrate(next.config, next.config, REALMS))).toMatch(/the same store/);
    // Refused before anything was done to it.
    expect(await portraits(next)).toEqual(before);
  });

  test('nodes that still run on the old Redis are refused from the first moment of the move', async () => {
    const [old, next] = [await place('redis'), await place('embedded')];
    const node = await old.open();
    await fill(node, 'default', 3);
    await migrate(old.config, next.config, REALMS);
    expect(await messageOf(Promise.resolve(node.facts({ realm: 'default', keys: [] })))).toMatch(/moved to another store/);
    expect(await messageOf(node.commit({ realm: 'default', expect: [], puts: [{ key: { kind: 'thing', id: 'x' }, value: {} }], events: [] }))).toMatch(/moved to another store/);
    await node.close();
  });

  test('I5: a move waits for who answers from memory and can not be told: when it is done, nobody may rely on what the old Redis said', { timeout: 120_000 }, async () => {
    const [old, next] = [await place('redis'), await place('embedded')];
    await inStore(old, (store) => fill(store, 'default', 3));
    const proxy = await startTcpProxy(old.server?.port ?? 0);
    const clock = clockHere();
    // Much longer than the copy itself takes.
    const config = redisStoreConfig.parse({ port: proxy.port, mode: 'leased', leaseMs: 3_000 });
    const node = openLeasedStore(await openRedisStore({ config, mode: 'production', clock, secrets: { readFile: () => '', env: () => undefined }, decides: true }), { clock, bytesMax: MIB });
    try {
      const held = await until('an answer from memory', async () => {
        const read = await node.facts({ realm: 'default', keys: [{ kind: 'thing', id: 'a' }] });
        return read.holds === undefined ? undefined : { holds: read.holds };
      });
      proxy.up = 'drop';
      await migrate(old.config, next.config, REALMS);
      expect(held.holds()).toBe(false);
    } finally {
      proxy.up = 'pass';
      proxy.reset();
      await node.close();
      await proxy.close();
    }
  });

  test('an embedded store that a service has open is not moved', async () => {
    const [old, next] = [await place('embedded'), await place('redis')];
    await inStore(old, (store) => fill(store, 'default', 2));
    const { lockInstance } = await import('../../src/supervisor/instance-lock.ts');
    const lock = await lockInstance(old.config.store.path);
    expect(await messageOf(migrate(old.config, next.config, REALMS))).toMatch(/another Curfew already uses/);
    lock.release();
    expect((await migrate(old.config, next.config, REALMS)).size).toBe(2);
  });
});
