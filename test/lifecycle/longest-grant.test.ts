/** `lifecycle.caps.maxGrantMs` over both stores: no grant lasts longer, and what ended is kept for as long as one may last. */
import { afterEach, expect, test } from 'vitest';
import { createAdminWorld, type AdminWorld } from '../admin/world.ts';
import { createCompactor, type Compactor } from '../../src/lifecycle/compact.ts';
import { FORGET_AFTER_MS } from '../../src/lifecycle/forget.ts';
import { onBothStores } from '../support/both-stores.ts';
import { CALL, T0, terms, WORKLOAD, worldsOver } from './world.ts';

const HOUR_MS = 3_600_000;
/** Shorter than every tier's own cap of the model. */
const LONGEST_MS = 20 * HOUR_MS;
const KEEP_MS = HOUR_MS;

onBothStores('the longest grant', (open) => {
  let world: AdminWorld;
  let compact: Compactor['compact'];
  const start = async (maxGrantMs: number): Promise<void> => {
    worldsOver(open);
    world = await createAdminWorld({}, { config: { caps: { maxGrantMs } } });
    const { store, clock, config } = world;
    ({ compact } = createCompactor({ store, clock, realms: ['default'], keepEndedMs: KEEP_MS, credentialMs: KEEP_MS, grantMs: config.caps.maxGrantMs, pauseMs: 1, onError: (error) => { throw error; } }));
  };
  afterEach(async () => {
    worldsOver(undefined);
    await world.close();
  });
  const ask = (more: object) => world.ask('POST', '/v1/grants', { ...terms(), ttlMs: undefined, ...more });

  test('demand(4): a longer one is refused over HTTP by the name of its field, and nothing is written; one as long is issued', async () => {
    await start(5_000);
    const instants = (ms: number) => ({ notBefore: new Date(T0).toISOString(), expiresAt: new Date(T0 + ms).toISOString() });
    const [ttl, window] = [await ask({ ttlMs: 5_001 }), await ask(instants(5_001))];
    expect([ttl.status, ttl.body.errors]).toMatchObject([400, [{ path: '/ttlMs' }]]);
    expect([window.status, window.body.errors]).toMatchObject([400, [{ path: '/expiresAt' }]]);
    expect(await world.sequence()).toBe(0);
    expect([(await ask({ ttlMs: 5_000 })).status, (await ask(instants(5_000))).status]).toEqual([201, 201]);
  });

  test('I6: what ended is kept as long as a grant may last, and goes then; its floor stays', async () => {
    await start(LONGEST_MS);
    const ending = async () => (await world.store.read('default', [{ kind: 'ending', id: `workload:${WORKLOAD}` }]))[0];
    const issued = await ask({ ttlMs: LONGEST_MS });
    expect(issued.status).toBe(201);
    expect((await world.lifecycle.revoke(CALL, { selector: { kind: 'workload', value: WORKLOAD }, reason: 'r' }, true)).ok).toBe(true);
    const state = async () => (await world.ask('GET', `/v1/grants/${issued.body.id}`)).body;
    world.at.now = T0 + LONGEST_MS - 1;
    await compact();
    expect([await ending(), await state()]).toMatchObject([{ value: { selector: `workload:${WORKLOAD}` } }, { state: 'ended', endedBecause: 'grant.revoked' }]);
    world.at.now = T0 + LONGEST_MS + KEEP_MS + FORGET_AFTER_MS + 1;
    await compact();
    expect(await ending()).toBeUndefined();
    expect((await world.store.read('default', [{ kind: 'ending', id: 'realm:default' }]))[0]?.value['floor']).toEqual({ sequence: 2, at: T0 });
  });

  test('I6: without such a grant in the store too, an ending is not dropped before a grant could have ended', async () => {
    await start(LONGEST_MS);
    await world.lifecycle.revoke(CALL, { selector: { kind: 'workload', value: WORKLOAD }, reason: 'r' }, true);
    const kept = async () => (await world.store.list('default', { kind: 'ending', limit: 10 })).items.map(({ key }) => key.id);
    world.at.now = T0 + LONGEST_MS + FORGET_AFTER_MS - 1;
    expect([await compact(), await kept()]).toEqual([0, [`workload:${WORKLOAD}`]]);
    world.at.now += 1;
    await compact();
    expect(await kept()).toEqual(['realm:default']);
  });
});
