/** Extension and back-to-back grants: no end ever moves, and no chain of short grants becomes a standing one. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/domain/json.ts';
import type { Executed } from '../../src/lifecycle/execute.ts';
import type { Call } from '../../src/lifecycle/lifecycle.ts';
import { createWorld, T0, terms, type World } from './world.ts';

const HOUR = 3_600_000;
const WORKLOAD = 'spiffe://dev.local/db/migrate';
const person = (name: string, ...names: readonly string[]): Call => ({ realm: 'default', actor: { kind: 'operator', id: `user:${name}`, names: [`user:${name}`, ...names] } });
const [CONFIGURER, DATA, DBA, SRE] = [person('carl'), person('dora', 'team:data'), person('dan', 'team:dba'), person('sue', 'team:sre')];

let world: World;
beforeEach(async () => {
  world = await createWorld({ development: false });
  await world.directory.setWorkload(CONFIGURER, { id: WORKLOAD, kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform', tier: 'sensitive', aliases: ['spiffe://dev.local/db/alias'], active: true });
});
afterEach(() => world.close());

/** Entitlements of the committed bundle, one of them with more. */
const withMore = (id: string, more: JsonObject): void => {
  const { policy } = world.at;
  world.at.policy = policy && { ...policy, entitlement: (name) => { const data = policy.entitlement(name); return name === id && data !== undefined ? { ...data, ...more } : data; } };
};
const said = (executed: Executed): string => (executed.ok ? 'ok' : `${executed.failure.code}: ${executed.failure.detail}`);
const requestIn = (executed: Executed): JsonObject => {
  if (!executed.ok) throw new Error(said(executed));
  return executed.reply['request'] as JsonObject;
};
const ask = (ttlMs = HOUR, workload = WORKLOAD): Promise<Executed> => world.requests.create(DATA, { entitlement: 'db-migration', workload, ttlMs, justification: 'adds a column', reference: 'CHG-7' }, 'request');
const approved = async (asked: Executed): Promise<string> => {
  const { id, digest } = requestIn(asked) as { id: string; digest: string };
  await world.requests.approve(DBA, id, digest);
  return requestIn(await world.requests.approve(SRE, id, digest))['grant'] as string;
};
const extend = (grant: string, ttlMs = HOUR) => world.requests.extend(DATA, grant, { ttlMs, justification: 'takes longer' });
const shown = async (grant: string) => world.inspect.grant('default', grant);

describe('demand(5) demand(66): extension', () => {
  test('demand(26): a fresh approval gives a grant that follows; the first end stays, and an alert tells', async () => {
    const first = await approved(await ask());
    world.at.now = T0 + HOUR - 1;
    const second = await approved(await extend(first));
    expect(await shown(first)).toMatchObject({ state: 'active', expiresAt: new Date(T0 + HOUR).toISOString() });
    expect(await shown(second)).toMatchObject({ state: 'scheduled', notBefore: new Date(T0 + HOUR).toISOString(), expiresAt: new Date(T0 + 2 * HOUR).toISOString() });
    world.at.now = T0 + HOUR;
    expect([(await shown(first))?.['state'], (await shown(second))?.['state']]).toEqual(['ended', 'active']);
    const alerts = await world.store.list('default', { kind: 'alert', limit: 50 });
    expect(alerts.items.map(({ value }) => value['type'])).toContain('window.extended');
  });

  test('demand(26) demand(27): a direct issue where two persons are to approve is heard of, once, in the commit that issues; an approved one is not', async () => {
    const skipped = async () => (await world.store.list('default', { kind: 'alert', limit: 50 })).items.map(({ value }) => value).filter(({ type }) => type === 'two-person.skipped');
    await approved(await ask());
    expect(await skipped()).toEqual([]);
    withMore('db-migration', { direct: true });
    const direct = (justification: string) => world.lifecycle.issueGrant({ ...CONFIGURER, idempotency: { principal: 'user:carl', key: 'k', body: justification } },
      terms({ workload: WORKLOAD, entitlement: 'db-migration', justification, scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'orders-db.local/schema/x' } }] }));
    const issued = await direct('at once');
    if (!issued.ok) throw new Error(said(issued));
    const { id } = issued.reply['grant'] as { id: string };
    expect(await skipped()).toMatchObject([{ id: `two-person.skipped:${id}`, severity: 'critical', state: 'pending', data: { grant: id, entitlement: 'db-migration', needed: 2, given: 0, by: 'user:carl' } }]);
    expect((await world.store.read('default', [{ kind: 'outbox', id: `two-person.skipped:${id}` }]))[0]).toBeDefined();
    await direct('at once');
    expect(await skipped(), 'said twice, told once').toHaveLength(1);
    withMore('db-migration', { direct: true, approval: { count: 1, by: ['team:dba'] }, tier: 'standard' });
    expect(said(await world.lifecycle.issueGrant(CONFIGURER, terms({ workload: 'spiffe://dev.local/db/other', entitlement: 'db-migration', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'orders-db.local/schema/x' } }] })))).toBe('ok');
    expect(await skipped(), 'where one is enough').toHaveLength(1);
  });

  test('demand(14) demand(63): not after the end, also when the last approval comes too late; not with an old approval', async () => {
    const first = await approved(await ask());
    const { id, digest } = requestIn(await extend(first)) as { id: string; digest: string };
    await world.requests.approve(DBA, id, digest);
    world.at.now = T0 + HOUR;
    expect(said(await world.requests.approve(SRE, id, digest))).not.toBe('ok');
    expect(said(await extend(first))).not.toBe('ok');
    expect((await world.inspect.grants('default', {}, { limit: 50 })).items).toHaveLength(1);
  });

  test('E12: revoking the first grant, its approver or its workload after the extension ends the one that follows, too', async () => {
    for (const [kind, value] of [['grant', ''], ['approver', 'user:dan'], ['workload', WORKLOAD], ['owner', 'team:data']] as const) {
      const first = await approved(await ask());
      const second = await approved(await extend(first));
      await world.lifecycle.revoke(CONFIGURER, { selector: { kind, value: value === '' ? first : value }, reason: 'leak' }, true);
      expect([(await shown(first))?.['endedBecause'], (await shown(second))?.['endedBecause']], kind).toEqual(['grant.revoked', 'grant.revoked']);
      expect(said(await extend(first)), kind).toContain('revoked');
    }
  });

  test('I13: between asking and approving the grant is revoked: nothing follows', async () => {
    const first = await approved(await ask());
    const { id, digest } = requestIn(await extend(first)) as { id: string; digest: string };
    await world.lifecycle.revoke(CONFIGURER, { selector: { kind: 'grant', value: first }, reason: 'leak' }, true);
    expect(said(await world.requests.approve(DBA, id, digest))).toContain('cancelled');
  });
});

describe('F7: back-to-back grants', () => {
  test('add up to at most maxContinuousMs, then rest for cooldownMs; under another name of the workload too', async () => {
    withMore('db-migration', { maxContinuousMs: 2 * HOUR, cooldownMs: HOUR, maxTtlMs: HOUR, request: { persons: ['team:data'], for: ['spiffe://dev.local/db/**'] } });
    const first = await approved(await ask());
    world.at.now = T0 + HOUR - 1_000;
    expect(said(await world.requests.create(DATA, { entitlement: 'db-migration', workload: 'spiffe://dev.local/db/alias', ttlMs: HOUR, justification: 'again', reference: 'CHG-7' }, 'request'))).toBe('ok');
    const second = await approved(await extend(first));
    expect(said(await extend(second)), 'a third hour without a rest').toContain('back-to-back');
    world.at.now = T0 + 2 * HOUR + HOUR - 1;
    expect(said(await ask())).toContain('back-to-back');
    expect(said(await ask(HOUR, 'spiffe://dev.local/db/alias')), 'by its other name').toContain('back-to-back');
    world.at.now = T0 + 3 * HOUR;
    expect(said(await ask()), 'rested').toBe('ok');
  });

  test('direct issues count as well, and scopes that have nothing in common do not', async () => {
    withMore('kb-read', { model: 'time-boxed', maxContinuousMs: 2 * HOUR, cooldownMs: HOUR, reference: 'none' });
    const issue = (id: string, ttlMs: number): Promise<Executed> =>
      world.lifecycle.issueGrant(CONFIGURER, terms({ entitlement: 'kb-read', ttlMs, scopes: [{ actions: ['GET'], resource: { type: 'http', id } }] }));
    expect(said(await issue('kb.local/articles/a/**', 2 * HOUR))).toBe('ok');
    world.at.now = T0 + HOUR;
    expect(said(await issue('kb.local/articles/b/**', 2 * HOUR)), 'something else').toBe('ok');
    expect(said(await issue('kb.local/articles/*/x', 2 * HOUR)), 'overlaps').toContain('back-to-back');
  });
});
