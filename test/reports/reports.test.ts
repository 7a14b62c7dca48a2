/** What is there that should not be: orphans, exceptions, what is still open after its end, standing access, systems told by hand. Over both stores. */
import { expect, test } from 'vitest';
import type { Clock } from '../../src/decision/ports.ts';
import type { DecisionRecord } from '../../src/decision/record.ts';
import type { StandingEntry } from '../../src/decision/standing.ts';
import type { Instant } from '../../src/domain/instant.ts';
import { givenByGroups } from '../../src/domain/reports/groups.ts';
import { scopesMeet } from '../../src/domain/scope.ts';
import { exceptionConfig } from '../../src/config/exceptions.ts';
import { lifecycleConfig } from '../../src/lifecycle/config.ts';
import { createLifecycle, type Call } from '../../src/lifecycle/lifecycle.ts';
import { createReports } from '../../src/lifecycle/reports.ts';
import { createSurveyWatch } from '../../src/lifecycle/survey-watch.ts';
import { createUseNotes } from '../../src/lifecycle/use-notes.ts';
import { committedPolicy, terms, WORKLOAD } from '../lifecycle/world.ts';
import { onBothStores } from '../support/both-stores.ts';
import { until } from '../support/until.ts';

const T0 = 1_800_000_000_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const CALL: Call = { realm: 'default', actor: { kind: 'operator', id: 'user:op' } };
const http = (id: string, ...actions: string[]) => ({ actions: actions.length === 0 ? ['GET'] : actions, resource: { type: 'http', id } });
const LONG = { caps: { tiers: { standard: { maxTtlMs: { 'time-boxed': 300 * DAY } } }, logging: { basic: 300 * DAY }, automation: { partial: 300 * DAY } } };
const DATA = { owner: 'team:shop', fallbackOwner: 'team:platform', model: 'time-boxed', tier: 'standard', direct: true, alerts: ['team:shop'] };
const ENTITLEMENTS: Readonly<Record<string, { readonly downstream?: readonly string[]; readonly [member: string]: unknown }>> = {
  'ends-orphans': { ...DATA, scopes: [http('shop.local/**', '*')], orphan: { unusedMs: DAY, unseenMs: 3 * DAY, action: 'end' } },
  'by-hand': { ...DATA, scopes: [http('shop.local/**', '*')], orphan: { unusedMs: 300 * DAY, action: 'flag' }, downstream: ['mainframe', 'automatic'] },
  'by-secret': { ...DATA, scopes: [http('shop.local/**', '*')], orphan: { unusedMs: 300 * DAY, action: 'flag' }, downstream: ['orders-secret'] },
};

onBothStores('reports', (open) => {
  const setUp = async (over: { standing?: readonly StandingEntry[]; exceptions?: readonly object[] } = {}) => {
    const at = { now: T0 };
    const clock: Clock = { now: () => ({ earliest: at.now as Instant, latest: at.now as Instant, trusted: true }), monotonicMs: () => performance.now() };
    const store = await open(clock);
    const policy = { ...(await committedPolicy()), entitlement: (id: string) => ENTITLEMENTS[id] as never };
    const config = lifecycleConfig.parse({ ...LONG, manualSystems: { mainframe: { assignee: 'team:ops', withinMs: 2 * HOUR }, 'orders-secret': { assignee: 'team:vault', withinMs: HOUR } } });
    const lifecycle = createLifecycle({ store, clock, config, policy: () => policy, development: true, enforcementMs: 0, settle: async () => undefined });
    const reports = createReports({ store, clock, policy: () => policy, standing: over.standing ?? [], exceptions: (over.exceptions ?? []).map((one) => exceptionConfig.parse(one)), orphans: config.orphans });
    const errors: unknown[] = [];
    const onError = (error: unknown): void => void errors.push(error);
    const watch = createSurveyWatch({
      store, clock, lifecycle, reports, realms: ['default'], manualSystems: config.manualSystems, everyMs: 1_000, onError,
      downstreamOf: (id) => ENTITLEMENTS[id]?.downstream ?? [],
    });
    const notes = createUseNotes({ store, clock, everyMs: 1_000, onError });
    const use = (grant: string, id = 'shop.local/orders/1', action = 'GET', workload = WORKLOAD): void =>
      notes.note({ realm: 'default', workload, action, resource: { type: 'http', id }, now: { earliest: at.now, latest: at.now }, result: { allow: true, grant } } as unknown as DecisionRecord);
    const issued = async (more: object = {}): Promise<string> => {
      const executed = await lifecycle.issueGrant(CALL, terms({ ttlMs: 200 * DAY, ...more }));
      if (!executed.ok) throw new Error(executed.failure.detail);
      return (executed.reply['grant'] as { id: string }).id;
    };
    const alerts = async (type: string) => (await store.list('default', { kind: 'alert', limit: 200 })).items.map(({ value }) => value).filter((value) => value['type'] === type);
    const orphans = async () => (await reports.orphans('default')).items.map(({ grant, cause }) => [grant.id, cause]);
    return { at, store, lifecycle, reports, watch, notes, use, issued, alerts, orphans, errors };
  };

  test('demand(45): planted orphans of every cause are found in one look, heard of once, and ended where the entitlement says so', async () => {
    const { at, store, lifecycle, watch, notes, use, issued, alerts, orphans, errors } = await setUp();
    const two = [http('shop.local/orders/**'), http('shop.local/stock/**')];
    const [used, never, half, gone, ending] = [await issued(), await issued({ owner: 'team:other' }), await issued({ scopes: two }), await issued({ owner: 'user:mallory' }), await issued({ entitlement: 'ends-orphans' })];
    const unseen = await issued({ workload: 'spiffe://dev.local/away' });
    await store.commit({ realm: 'default', expect: [], puts: [{ key: { kind: 'person', id: 'user:mallory' }, value: { version: 1, id: 'user:mallory', active: false } }], events: [] });
    expect(await orphans()).toEqual([[gone, 'owner-gone']]);
    for (let day = 0; day < 31; day += 1) {
      at.now += DAY;
      use(used);
      use(half);
      if (day % 10 === 0) await notes.flush();
    }
    await notes.flush();
    expect(Object.fromEntries(await orphans())).toEqual({ [never]: 'never-used', [half]: 'scope-never-used', [gone]: 'owner-gone', [ending]: 'never-used', [unseen]: 'workload-unseen' });
    await watch.look();
    await watch.look();
    const told = await alerts('orphan.found');
    expect(told.map(({ data }) => [(data as { grant: string }).grant, (data as { cause: string }).cause]).toSorted((a, b) => String(a).localeCompare(String(b)))).toEqual(
      [[never, 'never-used'], [half, 'scope-never-used'], [gone, 'owner-gone'], [ending, 'never-used'], [unseen, 'workload-unseen']].toSorted((a, b) => String(a).localeCompare(String(b))));
    const { items } = await store.list('default', { kind: 'revocation', limit: 10 });
    expect(items.map(({ value }) => [value['selector'], value['placedBy']])).toEqual([[{ kind: 'grant', value: ending }, 'system:survey']]);
    // What is used at last is no orphan any more.
    use(half, 'shop.local/stock/7');
    await notes.flush();
    expect((await orphans()).map(([id]) => id)).not.toContain(half);
    void lifecycle;
    expect(errors).toEqual([]);
  });

  test('demand(68): use is noted by scope, first and last, merged over processes and never backwards', async () => {
    const { at, store, notes, use, issued } = await setUp();
    const id = await issued({ scopes: [http('shop.local/orders/**'), http('shop.local/stock/**', 'POST')] });
    const noted = async () => (await store.read('default', [{ kind: 'use', id }]))[0]?.value;
    use(id);
    await notes.flush();
    expect(await noted()).toEqual({ version: 1, firstAt: T0, lastAt: T0, scopes: [0], peps: { '-': { firstAt: T0, lastAt: T0 } } });
    at.now += HOUR;
    use(id, 'shop.local/stock/1', 'POST');
    await notes.flush();
    at.now -= 2 * HOUR;
    use(id);
    await notes.flush();
    expect(await noted()).toEqual({ version: 1, firstAt: T0 - HOUR, lastAt: T0 + HOUR, scopes: [0, 1], peps: { '-': { firstAt: T0 - HOUR, lastAt: T0 + HOUR } } });
    const { sequence } = (await store.facts({ realm: 'default', keys: [] })).position;
    await notes.flush();
    notes.note({ realm: 'default', workload: undefined, now: { earliest: T0, latest: T0 }, result: { allow: false } } as unknown as DecisionRecord);
    notes.note({ realm: 'default', now: { earliest: T0, latest: T0 }, result: { allow: true, grant: 'no-such-grant' } } as unknown as DecisionRecord);
    await notes.flush();
    expect((await store.facts({ realm: 'default', keys: [] })).position.sequence).toBe(sequence);
  });

  test('what could not be noted because the store was away is noted later', async () => {
    const { at, store, issued } = await setUp();
    const id = await issued();
    let away = true;
    const notes = createUseNotes({ store: { ...store, commit: async (commit) => {
      if (away) throw new Error('away');
      return store.commit(commit);
    } }, clock: { now: () => ({ earliest: at.now as Instant, latest: at.now as Instant, trusted: true }), monotonicMs: () => 0 }, everyMs: 1_000, onError: () => undefined });
    notes.note({ realm: 'default', workload: WORKLOAD, action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' }, now: { earliest: T0, latest: T0 }, result: { allow: true, grant: id } } as unknown as DecisionRecord);
    await expect(notes.flush()).rejects.toThrow('away');
    away = false;
    await notes.flush();
    expect((await store.read('default', [{ kind: 'use', id }, { kind: 'seen', id: WORKLOAD }])).map((record) => record?.value['lastAt'])).toEqual([T0, T0]);
  });

  test('a flood of names costs bounded memory: what is beyond is not noted now', async () => {
    const { store, notes, use, issued } = await setUp();
    const id = await issued();
    for (let index = 0; index < 30_000; index += 1) use(index === 0 ? id : `flood-${index}`, 'shop.local/orders/1', 'GET', `spiffe://dev.local/w${index % 25_000}`);
    // What can't be written on a busy machine waits for the next time.
    await until('all of it is written', () => notes.flush().then(() => true, () => false));
    expect((await store.read('default', [{ kind: 'use', id }]))[0]?.value).toMatchObject({ scopes: [0] });
    let seen = 0;
    for (let after: string | undefined; ; ) {
      const page = await store.list('default', { kind: 'seen', limit: 1_000, ...(after === undefined ? {} : { after }) });
      seen += page.items.length;
      if (page.next === undefined) break;
      after = page.next;
    }
    expect(seen).toBe(20_000);
  });

  test('demand(47) demand(48) demand(55): access that ended and is open by another grant, a standing entry or nested groups is found; what was revoked is heard of', async () => {
    const standing: StandingEntry = { id: 'legacy-batch', match: { scopes: [http('shop.local/stock/**', '*')] }, identity: 'required', observe: false, owner: 'team:shop', reason: 'x', end: (T0 + 100 * DAY) as Instant };
    const { at, lifecycle, reports, watch, issued, alerts, store } = await setUp({ standing: [standing] });
    const task = await lifecycle.openTask(CALL, { kind: 'ci-run', owner: 'team:shop' });
    const taskId = task.ok ? (task.reply['task'] as { id: string }).id : '';
    const byTask = await issued({ model: 'jit', task: taskId, ttlMs: HOUR, reference: undefined, scopes: [http('shop.local/*/1')] });
    const revoked = await issued({ scopes: [http('shop.local/stock/1')] });
    const alone = await issued({ workload: 'spiffe://dev.local/alone', scopes: [http('other.local/**')] });
    const other = await issued({ scopes: [http('shop.local/orders/**')] });
    await lifecycle.importGroups(CALL, { version: 1, source: 'ldap', groups: [
      { id: 'everybody', members: ['group:admins'], scopes: [] }, { id: 'admins', members: ['group:ring', 'spiffe://dev.local/alone'], scopes: [http('other.local/db/**', '*')] }, { id: 'ring', members: ['group:admins'], scopes: [] },
    ] });
    expect((await reports.residuals('default')).items).toEqual([]);
    await lifecycle.closeTask(CALL, taskId);
    at.now += 60_000;
    for (const value of [revoked, alone]) await lifecycle.revoke(CALL, { selector: { kind: 'grant', value }, reason: 'over' }, true);
    at.now += HOUR;
    const found = Object.fromEntries((await reports.residuals('default')).items.map(({ grant, endedAt, endedBecause, ...rest }) => [grant.id, { at: endedAt - T0, endedBecause, ...rest }]));
    expect(found).toEqual({
      [byTask]: { at: 0, endedBecause: 'task.closed', grants: [other], standing: ['legacy-batch'], groups: [] },
      [revoked]: { at: 60_000, endedBecause: 'grant.revoked', grants: [], standing: ['legacy-batch'], groups: [] },
      [alone]: { at: 60_000, endedBecause: 'grant.revoked', grants: [], standing: [], groups: [['admins']] },
    });
    await watch.look();
    await watch.look();
    expect((await alerts('access.residual')).map(({ data }) => (data as { grant: string }).grant)).toEqual([revoked]);
    expect(await alerts('group.re-expands')).toMatchObject([{ data: { grant: alone, groups: [['admins']] } }]);
    at.now += 8 * DAY;
    expect((await reports.residuals('default')).items).toEqual([]);
    const bad = { version: 1, source: 'ldap', groups: [{ id: 'a', members: ['group:none', 'not a workload'], scopes: [http('x/**/y')] }] } as const;
    expect(await lifecycle.importGroups(CALL, bad)).toMatchObject({ ok: false, failure: { code: 'invalid', faults: [{ path: '/groups/0/members/0' }, { path: '/groups/0/members/1' }, { path: expect.stringContaining('/groups/0/scopes/0') }] } });
    expect((await store.list('default', { kind: 'group-graph', limit: 5 })).items).toHaveLength(1);
  });

  test('demand(32): how much of the last 30 days a workload had access; what overlaps counts once, what ended early counts until then', async () => {
    const { at, reports, lifecycle, issued } = await setUp();
    const first = await issued({ ttlMs: 10 * DAY });
    await issued({ ttlMs: 5 * DAY });
    await issued({ workload: 'spiffe://dev.local/short', ttlMs: 3 * DAY });
    at.now += 6 * DAY;
    await lifecycle.revoke(CALL, { selector: { kind: 'grant', value: first }, reason: 'over' }, true);
    at.now += 24 * DAY;
    const { items } = await reports.shares('default');
    expect(items).toEqual([
      { workload: WORKLOAD, grants: 2, accessMs: 6 * DAY, share: 0.2 },
      { workload: 'spiffe://dev.local/short', grants: 1, accessMs: 3 * DAY, share: 0.1 },
    ]);
    // Only what lies within the 30 days: from day 32 back to day 2.
    at.now += 2 * DAY;
    expect((await reports.shares('default')).items.map(({ accessMs }) => accessMs)).toEqual([4 * DAY, DAY]);
  });

  test('demand(32): what was suspended meanwhile is no access: lifted, still in place, overlapping, of the workload or of everything; another is untouched', async () => {
    const { at, reports, lifecycle, issued } = await setUp();
    const other = 'spiffe://dev.local/other';
    await issued({ ttlMs: 20 * DAY });
    await issued({ workload: other, ttlMs: 20 * DAY });
    const suspend = async (selector: { kind: 'workload' | 'owner' | 'realm'; value: string }): Promise<string> => {
      const executed = await lifecycle.suspend(CALL, { selector, reason: 'odd' }, true);
      if (!executed.ok) throw new Error(executed.failure.detail);
      return (executed.reply['suspension'] as { id: string }).id;
    };
    const lift = async (id: string): Promise<void> => {
      const executed = await lifecycle.lift({ realm: 'default', actor: { kind: 'operator', id: 'user:lena' } }, { id, persons: [] });
      if (!executed.ok) throw new Error(executed.failure.detail);
    };
    const ms = async () => Object.fromEntries((await reports.shares('default')).items.map(({ workload, accessMs, grants }) => [workload, [accessMs / DAY, grants]]));
    at.now += 2 * DAY;
    const first = await suspend({ kind: 'workload', value: WORKLOAD });
    at.now += DAY;
    const second = await suspend({ kind: 'workload', value: WORKLOAD });
    at.now += 2 * DAY;
    await lift(first);
    at.now += DAY;
    await lift(second);
    at.now += 4 * DAY;
    // Days 2 to 6 are gone.
    expect(await ms()).toEqual({ [WORKLOAD]: [6, 1], [other]: [10, 1] });
    const everything = await suspend({ kind: 'realm', value: 'default' });
    at.now += 3 * DAY;
    expect(await ms()).toEqual({ [WORKLOAD]: [6, 1], [other]: [10, 1] });
    await lift(everything);
    at.now += DAY;
    expect(await ms()).toEqual({ [WORKLOAD]: [7, 1], [other]: [11, 1] });
  });

  test('demand(46): a system that must be told by hand: a step with assignee, deadline and proof, alarms, done by whom it is for', async () => {
    const { at, lifecycle, watch, issued, alerts, store } = await setUp();
    const grant = await issued({ entitlement: 'by-hand', ttlMs: HOUR });
    await issued({ ttlMs: HOUR });
    await watch.look();
    expect(await alerts('revocation.manual')).toEqual([]);
    at.now += HOUR;
    await watch.look();
    await watch.look();
    const id = `${grant}:mainframe`;
    expect(await alerts('revocation.manual')).toMatchObject([{ recipients: ['team:ops'], data: { step: id, system: 'mainframe', assignee: 'team:ops', dueAt: T0 + 3 * HOUR } }]);
    at.now += 2 * HOUR;
    await watch.look();
    await watch.look();
    expect(await alerts('revocation.manual-overdue')).toHaveLength(1);
    const finish = (proof: string, persons: readonly string[] = []) => lifecycle.finishStep(CALL, { id, proof, persons });
    expect(await finish(' ')).toMatchObject({ ok: false, failure: { code: 'invalid', faults: [{ path: '/proof' }] } });
    expect(await finish('CHG-77: user dropped, see the listing')).toMatchObject({ ok: true, reply: { step: { state: 'done', doneBy: 'user:op' } } });
    expect(await finish('again')).toMatchObject({ ok: false, failure: { code: 'state' } });
    expect((await store.list('default', { kind: 'open-manual', limit: 5 })).items).toEqual([]);
    await watch.look();
    expect(await alerts('revocation.manual')).toHaveLength(1);
  });

  test('demand(65): each end of access that rests on a secret asks for its rotation, by timer or by revocation, and the proof of it is in the history of the grant', async () => {
    const { at, lifecycle, watch, issued, alerts, store } = await setUp();
    const [timed, revoked, other] = [await issued({ entitlement: 'by-secret', ttlMs: HOUR }), await issued({ entitlement: 'by-secret', ttlMs: DAY }), await issued({ ttlMs: HOUR })];
    expect(await lifecycle.revoke(CALL, { selector: { kind: 'grant', value: revoked }, reason: 'leaked' }, true)).toMatchObject({ ok: true });
    await watch.look();
    const open = async () => (await store.list('default', { kind: 'open-manual', limit: 5 })).items.map(({ key }) => key.id).toSorted();
    expect(await open()).toEqual([`${revoked}:orders-secret`]);
    at.now += HOUR;
    await watch.look();
    expect(await open()).toEqual([timed, revoked].map((grant) => `${grant}:orders-secret`).toSorted());
    const finish = (grant: string, proof: string) => lifecycle.finishStep(CALL, { id: `${grant}:orders-secret`, proof, persons: [] });
    expect(await finish(timed, ''), 'no rotation without a proof').toMatchObject({ ok: false });
    expect(await finish(timed, 'orders-db password, version 42 of 2027-01-15')).toMatchObject({ ok: true });
    at.now += HOUR;
    await watch.look();
    expect((await alerts('revocation.manual-overdue')).map(({ data }) => (data as { step: string }).step), 'the other one is late').toEqual([`${revoked}:orders-secret`]);
    const history = async (grant: string) => (await store.events('default', { after: 0, limit: 100, about: { kind: 'grant', id: grant } })).filter(({ type }) => type.startsWith('manual.'));
    expect((await history(timed)).map(({ type }) => type)).toEqual(['manual.opened', 'manual.done']);
    expect(JSON.stringify((await history(timed)).at(-1)?.data)).toContain('version 42');
    expect((await history(revoked)).map(({ type }) => type)).toEqual(['manual.opened']);
    expect(await history(other)).toEqual([]);
  });

  test('demand(43): exceptions are listed with owner, tier and end, standing entries among them; one past its end is heard of once', async () => {
    const standing: StandingEntry = { id: 'roll-out', match: { scopes: [http('x/**')] }, identity: 'optional', observe: true, owner: 'team:shop', reason: 'rolling out', end: (T0 + DAY) as Instant };
    const day = (days: number): string => new Date(T0 + days * DAY).toISOString();
    const { at, reports, watch, alerts } = await setUp({ standing: [standing], exceptions: [
      { id: 'old-batch', kind: 'batch', subject: 'spiffe://dev.local/nightly', tier: 'critical', owner: 'team:shop', reason: 'replaced in spring', agreed: day(-1), end: day(29) },
    ] });
    expect(await reports.exceptions('default')).toMatchObject([
      { id: 'roll-out', kind: 'observe', owner: 'team:shop', end: T0 + DAY, state: 'standing' }, { id: 'old-batch', kind: 'batch', tier: 'critical', owner: 'team:shop', end: T0 + 29 * DAY, state: 'standing' },
    ]);
    await watch.look();
    at.now += DAY;
    await watch.look();
    await watch.look();
    expect(await alerts('exception.ended')).toMatchObject([{ data: { id: 'roll-out' }, recipients: ['team:shop'] }]);
  });
});

test('demand(43): an exception without owner, tier or end, or one that lasts too long for its tier, is no configuration', () => {
  const good = { id: 'a', kind: 'legacy', subject: 'billing', tier: 'critical', owner: 'team:x', reason: 'x', agreed: '2026-01-01T00:00:00Z', end: '2026-01-31T00:00:00Z' };
  expect(exceptionConfig.safeParse(good).success).toBe(true);
  for (const bad of [{ owner: undefined }, { owner: 'x' }, { tier: undefined }, { tier: 'low' }, { end: undefined }, { end: '2026-02-15T00:00:00Z' }, { end: '2025-01-01T00:00:00Z' }, { kind: 'whatever' }, { reason: '' }]) {
    expect(exceptionConfig.safeParse({ ...good, ...bad }).success, JSON.stringify(bad)).toBe(false);
  }
});

test('scopes that meet, and groups in rings', () => {
  const meet = (a: string, b: string) => scopesMeet([http(a)], [http(b)]);
  for (const [a, b] of [['a/b', 'a/b'], ['a/*', 'a/b'], ['a/**', 'a'], ['**', 'x/y'], ['a/*/c', 'a/b/*'], ['a/**', 'a/b/c']] as const) expect([meet(a, b), meet(b, a)], `${a} ${b}`).toEqual([true, true]);
  for (const [a, b] of [['a/b', 'a/c'], ['a/*', 'a'], ['a/*', 'a/b/c'], ['b/**', 'a/b']] as const) expect([meet(a, b), meet(b, a)], `${a} ${b}`).toEqual([false, false]);
  expect(scopesMeet([http('a', 'GET')], [http('a', 'POST')])).toBe(false);
  const ring = { version: 1, source: 's', groups: [{ id: 'a', members: ['group:b'], scopes: [http('x')] }, { id: 'b', members: ['group:a', 'w'], scopes: [] }] } as const;
  expect([...givenByGroups(ring)]).toEqual([['w', [{ path: ['a', 'b'], scopes: [http('x')] }]]]);
});
