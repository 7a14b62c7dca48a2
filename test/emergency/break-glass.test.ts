/** Emergency access: heard of with its first use, before the answer; looked at by somebody else; stopped when nobody looks; tried; not made a habit. */
import { expect, test } from 'vitest';
import { StoreUnavailable } from '../../src/store/port.ts';
import { onBothStores } from '../support/both-stores.ts';
import type { Call } from '../../src/lifecycle/lifecycle.ts';
import { createEmergencyWorld, ENTITLEMENT, HOUR, REVIEWER } from './world.ts';

const close = (grant: string, outcome: 'drill' | 'real' | 'misuse' = 'real') => ({ grant, outcome, note: 'looked at', persons: [] });

onBothStores('break-glass', (open) => {
  test('demand(20): the first use is on record, heard of and to be reviewed before it is answered; the next ones cost nothing', async () => {
    const { ask, issued, alerts, review, store } = await createEmergencyWorld(open);
    const grant = await issued();
    expect([await alerts('break-glass.used'), await review(grant)]).toEqual([[], undefined]);
    expect(await ask()).toBe('allow');
    expect(await alerts('break-glass.used')).toMatchObject([{ id: `break-glass.used:${grant}`, severity: 'critical', recipients: ['user:owner'], data: { grant, reference: 'INC-9', decision: 'd1' } }]);
    expect(await review(grant)).toMatchObject({ state: 'open', usedAt: 1_800_000_000_000, dueAt: 1_800_000_000_000 + 24 * HOUR, issuedBy: 'user:op' });
    const { sequence } = (await store.facts({ realm: 'default', keys: [] })).position;
    expect([await ask(), await ask(1), await ask(2)]).toEqual(['allow', 'allow', 'allow']);
    expect((await store.facts({ realm: 'default', keys: [] })).position.sequence).toBe(sequence);
    const events = await store.events('default', { after: 0, limit: 100, about: { kind: 'grant', id: grant } });
    expect(events.map(({ type }) => type)).toEqual(['grant.issued', 'emergency.used']);
  });

  test('B8: first uses at once, by several deciders: all are answered, and one alert is there', async () => {
    const { ask, issued, alerts } = await createEmergencyWorld(open);
    await issued();
    expect(await Promise.all(Array.from({ length: 12 }, (_, index) => ask(index % 3)))).toEqual(Array.from({ length: 12 }, () => 'allow'));
    expect(await alerts('break-glass.used')).toHaveLength(1);
  });

  test('a first use that can not be recorded, or of which nobody knows whether it was, denies', async () => {
    let failing = true;
    const world = await createEmergencyWorld(open, { wrap: (store) => ({ ...store, commit: async (commit) => {
      if (failing && commit.events.some(({ type }) => type === 'emergency.used')) throw new StoreUnavailable('lost');
      return store.commit(commit);
    } }) });
    await world.issued();
    expect(await world.ask()).toBe('claim.unknown');
    expect(await world.alerts('break-glass.used')).toEqual([]);
    failing = false;
    expect(await world.ask()).toBe('allow');
    expect(await world.alerts('break-glass.used')).toHaveLength(1);
  });

  test('demand(63): the timer runs from issuance; an unused grant ends on time, and what explains a decision uses nothing', async () => {
    const { at, ask, issued, alerts, deciders } = await createEmergencyWorld(open);
    await issued();
    await deciders[0]!.explain({ id: 'e1', realm: 'default', protocol: 'forward-auth', pep: { id: undefined, obligations: [] }, presented: { kind: 'bearer', token: 't' }, question: { action: 'GET', resource: { type: 'http', id: 'prod.local/x' } }, input: {} });
    expect(await alerts('break-glass.used')).toEqual([]);
    at.now += 15 * 60_000;
    expect(await ask()).toBe('grant.expired');
    expect(await alerts('break-glass.used')).toEqual([]);
  });

  test('demand(20): the review is done by a person whom it does not concern, once, and sorts it; misuse is heard of', async () => {
    const { ask, opened, lifecycle, alerts, review, store } = await createEmergencyWorld(open, { development: false, emergencyChannels: 2 });
    const grant = await opened();
    const by = (id: string, names: readonly string[] = []): Call => ({ realm: 'default', actor: { kind: 'operator', id, names } });
    const codeOf = async (call: Call, command: object = {}) => {
      const executed = await lifecycle.closeReview(call, { ...close(grant), persons: call.actor.names ?? [], ...command });
      return executed.ok ? 'ok' : executed.failure.code;
    };
    expect(await codeOf(by('user:eve', ['team:audit']))).toBe('not-found');
    expect(await ask()).toBe('allow');
    expect(await codeOf(by('oidc:login.example/eve', ['team:audit']))).toBe('not-permitted');
    // Who issued it, and whoever is of the owner's team.
    expect(await codeOf(by('user:op', ['team:audit']))).toBe('not-permitted');
    expect(await codeOf(by('user:pat', ['team:prod', 'team:audit']))).toBe('not-permitted');
    expect(await codeOf(by('user:eve', ['team:audit']), { note: 'x\u0000' })).toBe('invalid');
    expect(await review(grant)).toMatchObject({ state: 'open', entitlement: ENTITLEMENT, by: 'team:audit', dueAt: 1_800_000_000_000 + 2 * HOUR });
    expect((await alerts('break-glass.used'))[0]?.['recipients']).toEqual(['team:audit', 'team:prod', 'user:op', 'team:oncall']);
    expect(await codeOf(by('user:eve', ['team:audit']), { outcome: 'misuse' })).toBe('ok');
    expect(await codeOf(by('user:eve', ['team:audit']))).toBe('state');
    expect(await review(grant)).toMatchObject({ state: 'closed', outcome: 'misuse', closedBy: 'user:eve' });
    expect(await alerts('break-glass.misused')).toMatchObject([{ data: { grant, by: 'user:eve', note: 'looked at' } }]);
    expect((await store.list('default', { kind: 'open-review', limit: 10 })).items).toEqual([]);
  });

  test('demand(20): an overdue review stops the person and the entitlement, tells it once, and bars further emergency access even before', async () => {
    const { at, ask, issue, issued, alerts, review, watch, lifecycle, store, errors } = await createEmergencyWorld(open);
    const grant = await issued();
    expect(await ask()).toBe('allow');
    at.now += 24 * HOUR - 1;
    await watch.look();
    expect(await alerts('break-glass.review-overdue')).toEqual([]);
    at.now += 1;
    // Whether or not housekeeping came by: judged by the clock.
    for (const terms of [{}, { workload: 'spiffe://dev.local/other' }]) expect(await issue(terms)).toMatchObject({ ok: false, failure: { code: 'suspended', detail: expect.stringContaining(grant) } });
    expect(await issue({ workload: 'spiffe://dev.local/other', owner: 'user:else' }, REVIEWER)).toMatchObject({ ok: true });
    await watch.look();
    await watch.look();
    expect(await alerts('break-glass.review-overdue')).toMatchObject([{ data: { grant } }]);
    const stopped = (await review(grant))?.['stopped'] as string[];
    const suspensions = await store.read('default', stopped.map((id) => ({ kind: 'suspension', id })));
    expect(suspensions.map((record) => record?.value['selector'])).toEqual([{ kind: 'owner', value: 'user:owner' }, { kind: 'owner', value: 'user:op' }]);
    // Other access of the person is stopped too.
    const other = await lifecycle.issueGrant(REVIEWER, { workload: 'spiffe://dev.local/ci/deployer', model: 'time-boxed', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'prod.local/**' } }], ttlMs: 60_000, owner: 'user:owner', justification: 'x', reference: 'CHG-1' });
    expect(other).toMatchObject({ ok: false, failure: { code: 'suspended' } });
    expect(await lifecycle.closeReview(REVIEWER, close(grant))).toMatchObject({ ok: true });
    expect(await lifecycle.closeReview(REVIEWER, close(grant))).toMatchObject({ ok: false, failure: { code: 'state' } });
    for (const id of stopped) expect(await lifecycle.lift(REVIEWER, { id, persons: ['user:eve'] })).toMatchObject({ ok: true });
    expect(await issue()).toMatchObject({ ok: true });
    expect((await store.list('default', { kind: 'open-review', limit: 10 })).items).toEqual([]);
    expect(errors).toEqual([]);
  });

  test('demand(20): with fewer than two channels that would hear of it, no emergency access is issued in production', async () => {
    for (const emergencyChannels of [0, 1]) {
      const { issue, opened, store } = await createEmergencyWorld(open, { development: false, emergencyChannels });
      expect(await issue({ entitlement: ENTITLEMENT })).toMatchObject({ ok: false, failure: { code: 'unavailable' } });
      await expect(opened()).rejects.toThrow('2 channels of alerts');
      expect((await store.facts({ realm: 'default', keys: [] })).position.sequence).toBe(0);
    }
  });

  test('demand(30): used too often it is heard of; drills do not count', async () => {
    const { at, ask, issued, alerts, watch, lifecycle } = await createEmergencyWorld(open);
    const grants: string[] = [];
    for (let use = 0; use < 4; use += 1) {
      grants.push(await issued());
      expect(await ask()).toBe('allow');
      if (use === 0) await lifecycle.closeReview(REVIEWER, close(grants[0]!, 'drill'));
      await watch.look();
      expect(await alerts('break-glass.frequent')).toHaveLength(use < 3 ? 0 : 1);
      at.now += HOUR;
    }
    await watch.look();
    expect(await alerts('break-glass.frequent')).toMatchObject([{ data: { grant: grants[3], uses: 3 } }]);
  });

  test('demand(30): an entitlement for emergencies that was not tried for too long is heard of, once, until it is tried', async () => {
    const { at, ask, issued, alerts, watch, lifecycle } = await createEmergencyWorld(open, { entitlements: [ENTITLEMENT] });
    await watch.look();
    at.now += 90 * 24 * HOUR - 1;
    await watch.look();
    expect(await alerts('break-glass.drill-overdue')).toEqual([]);
    at.now += 1;
    await watch.look();
    await watch.look();
    expect(await alerts('break-glass.drill-overdue')).toMatchObject([{ data: { entitlement: ENTITLEMENT } }]);
    const grant = await issued({ entitlement: ENTITLEMENT });
    expect(await ask()).toBe('allow');
    await lifecycle.closeReview(REVIEWER, { ...close(grant, 'drill'), persons: ['team:audit'] });
    at.now += 90 * 24 * HOUR - 1;
    await watch.look();
    expect(await alerts('break-glass.drill-overdue')).toHaveLength(1);
    at.now += 1;
    await watch.look();
    expect(await alerts('break-glass.drill-overdue')).toHaveLength(2);
  });
});

