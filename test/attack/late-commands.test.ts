/**
 * Commands that were judged in time and arrive at the store too late: a slow node, a long pause, a store that took its time. What they rely on has ended by then,
 * so they have no effect. E12, C4; each beside its control, the same pause a millisecond shorter.
 */
import { afterEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/domain/json.ts';
import type { Executed } from '../../src/lifecycle/execute.ts';
import type { Call } from '../../src/lifecycle/lifecycle.ts';
import { createWorld, T0, type World } from '../lifecycle/world.ts';

const HOUR = 3_600_000;
const WORKLOAD = 'spiffe://dev.local/db/migrate';
const person = (name: string, ...names: readonly string[]): Call => ({ realm: 'default', actor: { kind: 'operator', id: `user:${name}`, names: [`user:${name}`, ...names] } });
const [CONFIGURER, DATA, DBA, SRE] = [person('carl'), person('dora', 'team:data'), person('dan', 'team:dba'), person('sue', 'team:sre')];

let world: World;
afterEach(() => world.close());

/** Between the judgement of a command and its commit, it is this late. */
const open = async (): Promise<{ until?: number }> => {
  const late: { until?: number } = {};
  world = await createWorld({
    development: false,
    wrap: (store) => ({
      ...store,
      commit: async (commit) => {
        if (late.until !== undefined) world.at.now = late.until;
        return store.commit(commit);
      },
    }),
  });
  const { policy } = world.at;
  world.at.policy = policy && {
    ...policy,
    entitlement: (id) => { const data = policy.entitlement(id); return id === 'db-migration' && data !== undefined ? { ...data, recertify: { everyMs: HOUR / 2, graceMs: HOUR / 4 } } : data; },
  };
  await world.directory.setWorkload(CONFIGURER, { id: WORKLOAD, kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform', tier: 'sensitive', aliases: [], active: true });
  return late;
};
const must = (executed: Executed): JsonObject => {
  if (!executed.ok) throw new Error(`${executed.failure.code}: ${executed.failure.detail}`);
  return executed.reply;
};
const ask = async () => must(await world.requests.create(DATA, { entitlement: 'db-migration', workload: WORKLOAD, ttlMs: HOUR, justification: 'adds a column', reference: 'CHG-7' }, 'request'))['request'] as { id: string; digest: string };
const issued = async (): Promise<string> => {
  const { id, digest } = await ask();
  must(await world.requests.approve(DBA, id, digest));
  return (must(await world.requests.approve(SRE, id, digest))['request'] as { grant: string }).grant;
};
const grants = async (): Promise<number> => (await world.store.list('default', { kind: 'grant', limit: 10 })).items.length;

describe.each([['too late', 0, false], ['a millisecond sooner', -1, true]] as const)('E12: committed %s', (_name, offset, ok) => {
  test('the last approval of a request that has expired', async () => {
    const late = await open();
    const { id, digest } = await ask();
    must(await world.requests.approve(DBA, id, digest));
    late.until = T0 + 24 * HOUR + offset;
    expect((await world.requests.approve(SRE, id, digest)).ok).toBe(ok);
    expect(await grants()).toBe(ok ? 1 : 0);
  });

  test('demand(5): the last approval of an extension whose grant has ended', async () => {
    const late = await open();
    const grant = await issued();
    must(await world.lifecycle.confirmGrant(DATA, grant, 'needed'));
    world.at.now = T0 + HOUR / 4;
    must(await world.lifecycle.confirmGrant(DATA, grant, 'needed'));
    world.at.now = T0 + HOUR / 2;
    must(await world.lifecycle.confirmGrant(DATA, grant, 'needed'));
    world.at.now = T0 + HOUR - 10;
    must(await world.lifecycle.confirmGrant(DATA, grant, 'needed'));
    const { id, digest } = must(await world.requests.extend(DATA, grant, { ttlMs: HOUR, justification: 'takes longer' }))['request'] as { id: string; digest: string };
    must(await world.requests.approve(DBA, id, digest));
    late.until = T0 + HOUR + offset;
    expect((await world.requests.approve(SRE, id, digest)).ok).toBe(ok);
    expect(await grants()).toBe(ok ? 2 : 1);
  });

  test('demand(40): the word of an owner after the day, and grace after grace', async () => {
    const late = await open();
    const grant = await issued();
    late.until = T0 + HOUR / 2 + offset;
    expect((await world.lifecycle.confirmGrant(DATA, grant, 'needed')).ok).toBe(ok);
    if (ok) return;
    late.until = T0 + HOUR / 2 + HOUR / 4;
    expect((await world.lifecycle.graceGrant(SRE, grant, 'on leave')).ok).toBe(false);
    expect(await world.inspect.grant('default', grant)).toMatchObject({ state: 'ended', endedBecause: 'grant.recertification' });
  });
});

test('E12: what was asked before a suspension, a revocation or a leaver is approved by nobody after it', async () => {
  const ends: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['workload suspended', () => world.lifecycle.suspend(CONFIGURER, { selector: { kind: 'workload', value: WORKLOAD }, reason: 'x' }, true)],
    ['entitlement suspended', () => world.lifecycle.suspend(CONFIGURER, { selector: { kind: 'entitlement', value: 'db-migration' }, reason: 'x' }, true)],
    ['realm suspended', () => world.lifecycle.suspend(CONFIGURER, { selector: { kind: 'realm', value: 'default' }, reason: 'x' }, true)],
    ['approver suspended', () => world.lifecycle.suspend(CONFIGURER, { selector: { kind: 'approver', value: 'user:dan' }, reason: 'x' }, true)],
    ['approver left', () => world.directory.setPerson(CONFIGURER, { id: 'user:dan', accounts: [], teams: [], active: false }, 'api', true)],
    ['requester left', () => world.directory.setPerson(CONFIGURER, { id: 'user:dora', accounts: [], teams: [], active: false }, 'api', true)],
    ['workload no more', () => world.directory.setWorkload(CONFIGURER, { id: WORKLOAD, kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform', tier: 'sensitive', aliases: [], active: false }, true)],
    ['bundle revision revoked', () => world.lifecycle.revoke(CONFIGURER, { selector: { kind: 'bundle-revision', value: world.at.policy?.revision ?? '' }, reason: 'x' }, true)],
  ];
  for (const [name, end] of ends) {
    await open();
    const { id, digest } = await ask();
    must(await world.requests.approve(DBA, id, digest));
    await end();
    await world.requests.approve(SRE, id, digest);
    expect(await grants(), name).toBe(0);
    await world.close();
  }
  await open();
});

test('demand(23) demand(34): nobody who has left becomes an owner, also where no request is needed', async () => {
  await open();
  must(await world.directory.setPerson(CONFIGURER, { id: 'user:olga', accounts: [], teams: [], active: true }, 'api'));
  const issue = () => world.lifecycle.issueGrant(CONFIGURER, { workload: WORKLOAD, model: 'time-boxed', entitlement: 'db-migration', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'orders-db.local/schema/x' } }], ttlMs: HOUR, owner: 'user:olga', justification: 'x', reference: 'CHG-1' });
  expect((await issue()).ok, 'the control').toBe(true);
  must(await world.directory.setPerson(CONFIGURER, { id: 'user:olga', accounts: [], teams: [], active: false }, 'api', true));
  expect(await issue()).toMatchObject({ ok: false, failure: { code: 'invalid', detail: '/owner has left' } });
});
