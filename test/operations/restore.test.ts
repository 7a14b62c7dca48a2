/** E13: a restored store has forgotten what ended since its backup, so it denies everything until an operator has said what that was. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { readFacts } from '../../src/decision/gather.ts';
import { storeDenied } from '../../src/decision/denied.ts';
import { coverFault } from '../../src/decision/cover.ts';
import type { Evaluation, Identity } from '../../src/decision/evaluation.ts';
import { endingRef } from '../../src/domain/grant-refs.ts';
import type { Instant } from '../../src/domain/instant.ts';
import { judgeStanding } from '../../src/domain/judge-grant.ts';
import { workloadSelectors } from '../../src/domain/selector.ts';
import { backup, exportEndings, restore } from '../../src/operations/copies.ts';
import { acceptLoss, importEndings } from '../../src/operations/endings.ts';
import type { NodeStore } from '../../src/store/port.ts';
import { CALL, terms } from '../lifecycle/world.ts';
import { describeWith } from '../parts.ts';
import { until } from '../support/until.ts';
import { clockHere, eventsOf, fill, lifecycleOf, newPlace, portrait, use, workload, WORKLOADS, type Kind, type Place } from './places.ts';

const places: Place[] = [];
const place = async (kind: Kind): Promise<Place> => {
  const made = await newPlace(kind, ['default']);
  places.push(made);
  return made;
};
afterEach(async () => {
  for (const one of places.splice(0)) await one.remove();
});
const inStore = async <T>(at: Place, work: (store: NodeStore) => Promise<T>): Promise<T> => {
  const store = await at.open();
  try {
    return await work(store);
  } finally {
    await store.close();
  }
};
const messageOf = (work: Promise<unknown>): Promise<string> => work.then(() => 'no error', (error: Error) => error.message);
const SAID = { by: 'user:alice', reason: 'the disk was lost', ranAs: 'root@here' };
const STANDING = [{ kind: 'realm', value: 'default' }] as const;

/** Ids of the grants that hold now. */
const living = async (store: NodeStore): Promise<readonly string[]> => {
  const held: string[] = [];
  for (const owner of WORKLOADS) {
    const keys = [...STANDING, ...workloadSelectors(owner)].map(endingRef);
    const facts = readFacts(await store.facts({ realm: 'default', keys, index: { owner, endsAfter: Date.now() as Instant } }), owner);
    const at = { now: clockHere().now(), facts, selectors: STANDING, entitlementExists: () => true };
    for (const fact of facts.grants) if (judgeStanding(fact, at).live && (fact.usesLeft ?? 1) > 0) held.push(fact.grant.id);
  }
  return held.sort();
};
/** Does a credential of this age still count? */
const credentialCounts = async (store: NodeStore, issuedAt: number): Promise<boolean> => {
  const facts = readFacts(await store.facts({ realm: 'default', keys: STANDING.map(endingRef) }), workload(2));
  const identity = { workload: workload(2), issuer: 'i', credential: { selectors: [], issuedAt, expiresAt: issuedAt + 3_600_000, maxAgeMs: 3_600_000 } } as unknown as Identity;
  return coverFault({ realm: 'default', pep: {} } as unknown as Evaluation, identity, facts, 0) === undefined;
};

/** A store with a backup, and what ended after it. */
const backedUp = async (kind: Kind) => {
  const old = await place(kind);
  const file = join(old.directory, 'backup');
  const made = await inStore(old, async (store) => {
    const filled = await fill(store, 'default', 40);
    const before = await living(store);
    const portraitThen = await portrait(store, 'default');
    return { ...filled, before, portraitThen };
  });
  await backup(old.config, file);
  const after = await inStore(old, async (store) => {
    const lifecycle = await lifecycleOf(store);
    // One by its grant, several by their workload, by a task, by a suspension, one used up, and one that did not exist yet.
    await lifecycle.revoke(CALL, { selector: { kind: 'grant', value: made.before[0] ?? '' }, reason: 'r' }, true);
    await lifecycle.revoke(CALL, { selector: { kind: 'workload', value: workload(3) }, reason: 'r' }, true);
    await lifecycle.closeTask(CALL, made.tasks[1] ?? '', true);
    await lifecycle.suspend(CALL, { selector: { kind: 'workload', value: workload(4) }, reason: 'r' }, true);
    const spent = (await living(store))[1] ?? '';
    for (let count = 0; count < 5; count += 1) await use(store, 'default', spent, `token:later ${count}`);
    await lifecycle.issueGrant(CALL, terms({ workload: workload(5), ttlMs: 3_600_000 }));
    // Ends nothing itself.
    await store.commit({ realm: 'default', expect: [], puts: [], events: [{ type: 'endings.healed', about: [], ending: true, data: { lost: [] } }] });
    return living(store);
  });
  return { old, file, ...made, after };
};

describeWith(['redis'], 'a restored store', () => {
  test.each([['embedded', 'embedded'], ['redis', 'redis'], ['embedded', 'redis'], ['redis', 'embedded']] as const)(
    'E13: a backup of %s, restored into %s: nothing is honoured until the endings since are imported, and then what lives and nothing else', { timeout: 120_000 },
    async (from, to) => {
      const { old, file, before, portraitThen, after } = await backedUp(from);
      const since = join(old.directory, 'endings');
      await exportEndings(old.config, since, { path: file, kind: 'backup' });
      const next = await place(to);
      await restore(next.config, file);
      const node = await next.open();
      // It starts, denies with a reason of its own, takes nothing, and says why it is not ready.
      const refused = await (async () => node.facts({ realm: 'default', keys: [] }))().catch((error: unknown) => storeDenied(error).reason);
      expect(refused).toBe('facts.restored');
      expect(await messageOf(node.commit({ realm: 'default', expect: [], puts: [{ key: { kind: 'thing', id: 'x' }, value: {} }], events: [] }))).toMatch(/restored from a backup/);
      expect(await node.health()).toMatchObject({ readable: false, detail: expect.stringContaining('endings import') });
      expect(node.epoch).not.toBe(portraitThen.epoch);

      const imported = await importEndings(next.config, [since], undefined, SAID);
      expect(imported.get('default')?.taken).toBe(14);
      // The running node answers from now on.
      const held = await living(node);
      expect(held).toEqual(after.filter((id) => before.includes(id)));
      expect(held.length).toBeGreaterThan(5);
      expect(await use(node, 'default', held[0] ?? '', 'token:later 1')).toBe('conflict');
      // Nothing but the endings was added, and the chain goes on from the backup's.
      const { events } = await portrait(node, 'default');
      expect(events.slice(0, portraitThen.events.length)).toEqual(portraitThen.events);
      const told = (await eventsOf(node, 'default')).at(-1);
      expect(told).toMatchObject({ type: 'store.restored', data: { ...SAID, from: { epoch: portraitThen.epoch, sequence: portraitThen.events.length } } });
      expect(await messageOf(importEndings(next.config, [since], undefined, SAID))).toMatch(/said already/);
      await node.close();
      // What is issued now counts, also across another restart.
      await inStore(next, async (store) => {
        const issued = await (await lifecycleOf(store)).issueGrant(CALL, terms({ workload: workload(2), ttlMs: 3_600_000 }));
        expect((await living(store)).length).toBe(held.length + (issued.ok ? 1 : 0));
      });
    });

  test.each(['embedded', 'redis'] as const)('E13: where the loss is accepted on %s nothing issued before counts, grants and credentials; what is issued then does', async (kind) => {
    const { file } = await backedUp(kind);
    const next = await place(kind);
    await restore(next.config, file);
    const before = Date.now();
    await acceptLoss(next.config, SAID);
    await inStore(next, async (store) => {
      expect(await living(store)).toEqual([]);
      expect([await credentialCounts(store, before), await credentialCounts(store, before - 1_000_000)]).toEqual([false, false]);
      expect(await credentialCounts(store, Date.now() + 1)).toBe(true);
      await (await lifecycleOf(store)).issueGrant(CALL, terms({ workload: workload(2), ttlMs: 3_600_000 }));
      expect((await living(store)).length).toBe(1);
      expect((await eventsOf(store, 'default')).at(-2)).toMatchObject({ type: 'store.restored', data: { ...SAID, accepted: true } });
    });
  });

  test('exports follow one another; with a gap, out of order, of another store, cut or changed they are refused and nothing is done', { timeout: 120_000 }, async () => {
    const { old, file } = await backedUp('embedded');
    const [first, second, third] = ['one', 'two', 'three'].map((name) => join(old.directory, name)) as [string, string, string];
    await exportEndings(old.config, first, { path: file, kind: 'backup' });
    await inStore(old, async (store) => void (await (await lifecycleOf(store)).revoke(CALL, { selector: { kind: 'workload', value: workload(5) }, reason: 'r' }, true)));
    await exportEndings(old.config, second, { path: first, kind: 'endings' });
    await inStore(old, async (store) => void (await (await lifecycleOf(store)).revoke(CALL, { selector: { kind: 'workload', value: workload(6) }, reason: 'r' }, true)));
    await exportEndings(old.config, third, { path: second, kind: 'endings' });
    expect(await messageOf(exportEndings(old.config, third, undefined))).toMatch(/EEXIST/);
    const next = await place('embedded');
    await restore(next.config, file);
    const tried = (paths: readonly string[], key?: string) => messageOf(importEndings(next.config, paths, key, SAID));
    expect(await tried([first, third])).toMatch(/gap/);
    expect(await tried([third])).toMatch(/gap/);
    expect(await tried([file])).toMatch(/holds backup, not endings/);
    const stranger = await place('embedded');
    await inStore(stranger, (store) => fill(store, 'default', 3));
    const strange = join(old.directory, 'strange');
    await exportEndings(stranger.config, strange, undefined);
    expect(await tried([strange])).toMatch(/of another store/);
    const text = readFileSync(first, 'utf8');
    const changed = join(old.directory, 'changed');
    for (const damage of [text.slice(0, -20), text.slice(0, text.length / 2), text.replace('grant.used', 'grant.User'), text.split('\n').filter((_, line) => line !== 4).join('\n'), '', 'nothing']) {
      writeFileSync(changed, damage);
      expect(await tried([changed])).toMatch(/cut or changed|damaged|not written by curfew/);
    }
    expect(await tried([first], 'k'.repeat(32))).toMatch(/integrity key/);
    expect(await messageOf(inStore(next, living))).toMatch(/restored from a backup/);
    expect(await tried([first, second, third])).toBe('no error');
    // An overlap does no harm: nothing is taken twice.
    expect((await inStore(next, living)).length).toBeGreaterThan(0);
  });

  test('E13: a node that knows of later endings than were imported does not take the restored server for the one it knew', { timeout: 120_000 }, async () => {
    const { old, file } = await backedUp('redis');
    const since = join(old.directory, 'endings');
    await exportEndings(old.config, since, { path: file, kind: 'backup' });
    // The node sees one more ending; then the server is lost and restored in the same place.
    const node = await old.open();
    await (await lifecycleOf(node)).revoke(CALL, { selector: { kind: 'workload', value: workload(6) }, reason: 'r' }, true);
    await node.facts({ realm: 'default', keys: [] });
    await node.close();
    await old.server?.send('FLUSHALL');
    await restore(old.config, file);
    await (await old.open()).close();
    await importEndings(old.config, [since], undefined, SAID);
    expect(await messageOf(old.open())).toMatch(/another store than the one this node knew/);
  });

  test('a restore that was interrupted is refused until it is run again; another one is not mixed in; a store is never overwritten', { timeout: 120_000 }, async () => {
    const { old, file, portraitThen } = await backedUp('redis');
    for (const kind of ['embedded', 'redis'] as const) {
      const next = await place(kind);
      const { openTarget } = await import('../../src/operations/stores.ts');
      const { openCopyFile } = await import('../../src/operations/copy-file.ts');
      const { copyRealm } = await import('../../src/store/copy/entries.ts');
      const opened = await openCopyFile(file, 'backup', undefined);
      const target = await openTarget(next.config);
      await target.begin({ ...opened.head, epoch: 'AAAAAAAAAAAAAAAA' }, `backup ${opened.digest}`);
      await expect(copyRealm({ copy: (realm) => opened.entries(realm) }, { ...target, endRealm: async () => { throw new Error('cut'); } }, 'default')).rejects.toThrow('cut');
      await target.close();
      expect(await messageOf(next.open())).toMatch(/being filled/);
      const other = join(old.directory, `other ${kind}`);
      await backup(old.config, other);
      expect(await messageOf(restore(next.config, other))).toMatch(/unfinished copy of something else/);
      await restore(next.config, file);
      await acceptLoss(next.config, SAID);
      await inStore(next, async (store) => {
        expect(store.epoch).toBe('AAAAAAAAAAAAAAAA');
        expect((await portrait(store, 'default')).events.slice(0, portraitThen.events.length)).toEqual(portraitThen.events);
      });
      expect(await messageOf(restore(next.config, file))).toMatch(/there is a store already/);
    }
  });

  test('a backup beside a node of a version that notes no changes is refused, and the next one is whole again', async () => {
    const old = await place('redis');
    const store = await old.open();
    await fill(store, 'default', 250);
    const state = 'cf:{default}:state';
    // What such a node leaves behind: a sequence that nobody noted, before the last of ours or after it.
    for (const oursFollows of [true, false]) {
      const { openSource } = await import('../../src/operations/stores.ts');
      const source = await openSource(old.config, true);
      const entries = source.copy('default');
      await entries.next();
      const sequence = Number(/\d+\r\n$/.exec((await old.server?.send(`HGET ${state} sequence`)) ?? '')?.[0]) + 1;
      await old.server?.send(`XADD cf:{default}:events ${sequence}-0 e '{"about":[],"at":1,"data":{},"sequence":${sequence},"type":"x"}'`);
      await old.server?.send(`HSET ${state} sequence ${sequence}`);
      if (oursFollows) await store.commit({ realm: 'default', expect: [], puts: [{ key: { kind: 'thing', id: 'a' }, value: {} }], events: [] });
      expect(await messageOf((async () => { while ((await entries.next()).done !== true) { /* on */ } })())).toMatch(/older version/);
      await source.close();
    }
    await store.commit({ realm: 'default', expect: [], puts: [{ key: { kind: 'thing', id: 'b' }, value: {} }], events: [] });
    await store.close();
    expect((await backup(old.config, join(old.directory, 'whole'))).get('default')?.sequence).toBeGreaterThan(250);
  });

  test.each(['embedded', 'redis'] as const)('a backup of %s is of one instant, while commits go on without pause', { timeout: 120_000 }, async (kind) => {
    const busy = await place(kind);
    const store = await busy.open();
    await fill(store, 'default', 300);
    let round = 0;
    let stop = false;
    // Two records always change together, far apart in the listing; others come and go.
    const pair = ['a', 'z'].map((id) => ({ kind: 'thing', id }));
    const write = async (): Promise<void> => {
      while (!stop) {
        round += 1;
        await store.commit({ realm: 'default', expect: [], puts: pair.map((key) => ({ key, value: { round } })), increments: [{ key: { kind: 'uses', id: 'counted' }, max: 1e9 }], events: [] });
        await store.commit({ realm: 'default', expect: [], puts: [{ key: { kind: 'thing', id: `m${round}` }, value: { round } }], drops: [{ kind: 'thing', id: `m${round - 3}` }], events: [] });
      }
    };
    const writing = write();
    await until('some rounds', () => round > 5);
    const began = round;
    for (let count = 0; count < 2; count += 1) {
      const file = join(busy.directory, `backup ${count}`);
      const { sequence } = (await backup(busy.config, file)).get('default') ?? { sequence: 0 };
      expect(statSync(file).mode & 0o777).toBe(0o600);
      const next = await place(kind === 'redis' ? 'embedded' : 'redis');
      await restore(next.config, file);
      await acceptLoss(next.config, SAID);
      await inStore(next, async (restored) => {
        const [first, second, counted] = await restored.read('default', [...pair, { kind: 'uses', id: 'counted' }]);
        const events = await eventsOf(restored, 'default');
        expect(second?.value).toEqual(first?.value);
        expect(counted?.value['count']).toBe(first?.value['round']);
        const rows = (await restored.list('default', { kind: 'thing', limit: 100 })).items;
        expect(rows.every(({ modified }) => modified.sequence <= sequence)).toBe(true);
        expect(rows.filter(({ key }) => key.id.startsWith('m')).length).toBe(3);
        expect(events[sequence - 1]?.sequence).toBe(sequence);
      });
    }
    expect(round).toBeGreaterThan(began + 5);
    stop = true;
    await writing;
    await store.close();
  });
});
