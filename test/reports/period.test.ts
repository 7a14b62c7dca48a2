/** What a period shows an auditor: told from the record, over both stores; kept bounded; hostile text stays text. */
import { expect, test } from 'vitest';
import type { Clock } from '../../src/decision/ports.ts';
import type { DecisionRecord } from '../../src/decision/record.ts';
import type { StandingEntry } from '../../src/decision/standing.ts';
import { periodHtml, periodMarkdown } from '../../src/cli/period-pages.ts';
import type { CanaryRun } from '../../src/domain/lifecycle/canary-rules.ts';
import { runCli, type LocalCommand } from '../../src/cli/program.ts';
import type { Grant } from '../../src/domain/grant.ts';
import { grantRef } from '../../src/domain/grant-refs.ts';
import type { Instant } from '../../src/domain/instant.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { lastQuarter, replayPeriod } from '../../src/domain/reports/period.ts';
import { lifecycleConfig } from '../../src/lifecycle/config.ts';
import { createLifecycle, type Call } from '../../src/lifecycle/lifecycle.ts';
import { createCoverage } from '../../src/lifecycle/coverage.ts';
import { createPeriodReport } from '../../src/lifecycle/period-report.ts';
import { createReports } from '../../src/lifecycle/reports.ts';
import { createUseNotes, useRef } from '../../src/lifecycle/use-notes.ts';
import { createAdminWorld } from '../admin/world.ts';
import { committedPolicy, terms, WORKLOAD } from '../lifecycle/world.ts';
import { onBothStores } from '../support/both-stores.ts';

const T0 = 1_800_000_000_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const CALL: Call = { realm: 'default', actor: { kind: 'operator', id: 'user:op' } };
const http = (id: string) => ({ actions: ['GET'], resource: { type: 'http', id } });
const LONG = { caps: { tiers: { standard: { maxTtlMs: { 'time-boxed': 300 * DAY } } }, logging: { basic: 300 * DAY }, automation: { partial: 300 * DAY } } };
const SHOP = { owner: 'team:shop', fallbackOwner: 'team:platform', model: 'time-boxed', tier: 'standard', direct: true, alerts: ['team:shop'], orphan: { unusedMs: 300 * DAY, action: 'flag' }, scopes: [{ actions: ['*'], resource: { type: 'http', id: 'shop.local/**' } }] };

onBothStores('period report', (open) => {
  const setUp = async (over: { standing?: readonly StandingEntry[]; eventsMax?: number; canaries?: readonly { id: string; pep: string; realm: string }[]; systems?: object } = {}) => {
    const at = { now: T0 };
    const clock: Clock = { now: () => ({ earliest: at.now as Instant, latest: at.now as Instant, trusted: true }), monotonicMs: () => performance.now() };
    const store = await open(clock);
    const policy = { ...(await committedPolicy()), entitlement: (id: string) => (id === 'shop' ? ({ ...SHOP, downstream: ['orders-db'] } as never) : undefined) };
    const lifecycle = createLifecycle({ store, clock, config: lifecycleConfig.parse({ ...LONG, systems: over.systems ?? {} }), policy: () => policy, development: true, enforcementMs: 0, settle: async () => undefined });
    const standing = over.standing ?? [];
    const reports = createReports({ store, clock, policy: () => policy, standing, exceptions: [], orphans: { unusedMs: DAY, unseenMs: DAY } });
    const peps = [{ id: 'edge', realms: ['default'] }, { id: 'idle', realms: ['default'] }, { id: 'elsewhere', realms: ['other'] }];
    const coverage = createCoverage({ store, peps, standing, canaries: over.canaries ?? [], systems: lifecycleConfig.parse({ systems: over.systems ?? {} }).systems, tiers: lifecycleConfig.parse({}).caps.tiers, downstreamOf: (id) => (id === 'shop' ? ['orders-db'] : []), entitlementIds: () => ['shop'] });
    const report = createPeriodReport({ store, clock, reports, coverage, ...(over.eventsMax === undefined ? {} : { eventsMax: over.eventsMax }) });
    const notes = createUseNotes({ store, clock, everyMs: 1_000, onError: (error) => { throw error; } });
    const use = (grant: string, pep: string): void =>
      notes.note({ realm: 'default', workload: WORKLOAD, action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' }, pep, now: { earliest: at.now, latest: at.now }, result: { allow: true, grant } } as unknown as DecisionRecord);
    const issued = async (more: object = {}): Promise<string> => {
      const executed = await lifecycle.issueGrant(CALL, terms({ ttlMs: 200 * DAY, ...more }));
      if (!executed.ok) throw new Error(executed.failure.detail);
      return (executed.reply['grant'] as { id: string }).id;
    };
    const revoke = async (kind: 'grant' | 'workload', value: string): Promise<void> => {
      const executed = await lifecycle.revoke(CALL, { selector: { kind, value }, reason: 'over' }, true);
      if (!executed.ok) throw new Error(executed.failure.detail);
    };
    const period = (from: number, to: number) => report('default', { from: from as Instant, to: to as Instant });
    return { at, store, lifecycle, notes, use, issued, revoke, period };
  };

  test('demand(11) demand(16): systems that are not asked about each use are known, the riskiest first, with what bounds them; one that nobody described is worst', async () => {
    const { at, period, issued, lifecycle } = await setUp({
      standing: [{ id: 'trial', observe: true, identity: 'optional', owner: 'team:shop', reason: 'rollout', end: (T0 + 3 * DAY) as Instant, match: { peps: ['idle'] } } as unknown as StandingEntry],
      systems: {
        web: { owner: 'team:web', peps: ['edge'] }, trial: { owner: 'team:web', peps: ['idle'] },
        payroll: { owner: 'team:pay', asks: 'sometimes', maxGrantMs: 2 * HOUR, reason: 'keeps sessions' }, longer: { owner: 'team:pay', asks: 'sometimes', maxGrantMs: 9 * HOUR },
        vault: { owner: 'team:sec', asks: 'sometimes', maxGrantMs: HOUR, tier: 'critical' }, mainframe: { owner: 'team:old', asks: 'never', maxGrantMs: HOUR },
      },
      canaries: [{ id: 'c1', pep: 'edge', realm: 'default' }, { id: 'c2', pep: 'edge', realm: 'default' }, { id: 'other', pep: 'idle', realm: 'other' }],
    });
    await issued({ entitlement: 'shop' });
    const note = (id: string, run: CanaryRun) => lifecycle.noteCanary({ realm: 'default', actor: { kind: 'system', id: 'system:canary' } }, { id, pep: 'edge' }, run);
    expect((await note('c1', { result: 'ended', detail: 'as it should', grant: 'g', flipMs: 12 })).ok).toBe(true);
    at.now = T0 + DAY;
    const { systems, coverage, canaries } = await period(T0 - DAY, T0 + DAY);
    expect(systems.map(({ system, mode }) => `${system} ${mode}`)).toEqual(['orders-db unknown', 'mainframe never-asks', 'trial observing', 'vault advisory', 'longer advisory', 'payroll advisory', 'web enforcing']);
    expect(systems[0]).toMatchObject({ live: 1 });
    expect(systems.at(-2)).toMatchObject({ maxGrantMs: 2 * HOUR, reason: 'keeps sessions', owner: 'team:pay' });
    expect(canaries).toMatchObject([{ canary: 'c1', result: 'ended', flipMs: 12 }, { canary: 'c2', result: 'none' }]);
    expect(coverage).toMatchObject([{ pep: 'edge', canary: 'ended' }, { pep: 'idle' }]);
    expect((await note('c2', { result: 'unproven', detail: 'away' })).ok).toBe(true);
    expect((await period(T0 - DAY, T0 + DAY)).coverage[0]).toMatchObject({ pep: 'edge', canary: 'unproven' });
    const pages = periodMarkdown(JSON.parse(JSON.stringify({ systems, canaries, coverage })));
    expect(pages).toContain('1 of 7 are asked about at each use');
  });

  test('demand(47): a canary that fails is told when it begins to, when it turns worse, and once a day; one that is well again tells anew', async () => {
    const { at, store, lifecycle } = await setUp();
    const told = async (run: CanaryRun): Promise<readonly string[]> => {
      const executed = await lifecycle.noteCanary({ realm: 'default', actor: { kind: 'system', id: 'system:canary' } }, { id: 'c1', pep: 'edge' }, run);
      if (!executed.ok) throw new Error(executed.failure.detail);
      const events = await store.events('default', { after: 0, limit: 100 });
      const { type, data } = events.at(-1) ?? {};
      expect(type).toBe('canary.ran');
      at.now += HOUR;
      return (data?.['alerts'] as readonly string[] | undefined ?? []).map((id) => id.split(':')[0] as string);
    };
    const [ended, unproven, open] = (['ended', 'unproven', 'open'] as const).map((result): CanaryRun => ({ result, detail: 'seen' })) as [CanaryRun, CanaryRun, CanaryRun];
    expect(await told(ended)).toEqual([]);
    expect(await told(unproven)).toEqual(['canary.unproven']);
    expect(await told(unproven)).toEqual([]);
    expect(await told(open)).toEqual(['canary.open']);
    expect(await told(open)).toEqual([]);
    at.now += DAY;
    expect(await told(open)).toEqual(['canary.open']);
    expect(await told(ended)).toEqual([]);
    expect(await told(open)).toEqual(['canary.open']);
  });

  test('demand(11): a grant of an entitlement that names a system which is not asked about each use is no longer than that system bears', async () => {
    const { issued } = await setUp({ systems: { 'orders-db': { owner: 'team:dba', asks: 'never', maxGrantMs: HOUR } } });
    await expect(issued({ entitlement: 'shop', ttlMs: HOUR + 1 })).rejects.toThrow();
    await issued({ entitlement: 'shop', ttlMs: HOUR });
    // One that names no such system is not bounded by it.
    await issued({ ttlMs: 2 * HOUR });
  });

  test('demand(30) demand(47): per entitlement what was issued, used and ended, by what and how fast; what ended before, or was issued later, is no part of it', async () => {
    const { at, lifecycle, notes, use, issued, revoke, period, store } = await setUp();
    await issued({ ttlMs: HOUR });
    const before = await issued({ entitlement: 'shop' });
    const [from, to] = [T0 + DAY, T0 + 10 * DAY];
    at.now = from;
    const used = await issued({ entitlement: 'shop', ttlMs: 2 * DAY });
    const task = await lifecycle.openTask(CALL, { kind: 'ticket', owner: 'team:shop', reference: 'SHOP-1' });
    const taskId = task.ok ? (task.reply['task'] as { id: string }).id : '';
    await issued({ model: 'jit', task: taskId, ttlMs: HOUR });
    await issued({ workload: 'spiffe://dev.local/other' });
    await issued();
    at.now += 30 * 60_000;
    use(used, 'edge');
    use(used, 'removed');
    await notes.flush();
    await lifecycle.closeTask(CALL, taskId);
    await revoke('workload', 'spiffe://dev.local/other');
    await revoke('grant', before);
    // Ended grants are dropped by housekeeping some day; the record still tells of them.
    at.now = from + 3 * DAY;
    await store.commit({ realm: 'default', expect: [], puts: [], drops: [grantRef(used)], events: [{ type: 'records.dropped', about: [], ending: false, data: { kind: 'grant', count: 1 } }] });
    at.now = to;
    await issued({ entitlement: 'shop' });
    await revoke('workload', WORKLOAD);
    at.now = to + DAY;
    const told = await period(from, to);
    expect(told).toMatchObject({ from, to, asOf: to + DAY, truncated: false, placed: { revocations: 2, suspensions: 0, shortestMs: expect.any(Number), longestMs: expect.any(Number) } });
    expect(told.entitlements).toEqual([
      {
        entitlement: 'shop', issued: 1, used: 1, live: 0, usedAfterEnd: 0,
        ended: [{ because: 'grant.expired', count: 1 }, { because: 'grant.revoked', selector: 'grant', count: 1, longestMs: expect.any(Number) }],
      },
      {
        issued: 3, used: 0, live: 1, usedAfterEnd: 0,
        ended: [{ because: 'grant.revoked', selector: 'workload', count: 1, longestMs: expect.any(Number) }, { because: 'task.closed', count: 1 }],
      },
    ]);
    // A period that is not over ends now: nothing of the future is told as if it had happened.
    expect(await period(to, to + 400 * DAY)).toMatchObject({ to: to + DAY, placed: { revocations: 1 } });
  });

  test('demand(16): every enforcement point is listed: enforcing or observing and until when, last use, not configured; an allow after the end is counted', async () => {
    const observe = (id: string, end: number): StandingEntry => ({ id, match: { peps: ['idle'], scopes: [http('x/**')] }, identity: 'optional', observe: true, owner: 'team:shop', reason: 'rolling out', end: end as Instant });
    const { at, notes, use, issued, revoke, period, store } = await setUp({ standing: [observe('roll-out', T0 + 50 * DAY), observe('over', T0 + HOUR)] });
    const id = await issued();
    at.now += 2 * HOUR;
    use(id, 'edge');
    use(id, 'unnamed-before');
    await notes.flush();
    await revoke('grant', id);
    at.now += DAY;
    const whole = () => period(T0, at.now);
    expect((await whole()).coverage).toEqual([
      { pep: 'edge', configured: true, mode: 'enforcing', observe: [], lastUsedAt: T0 + 2 * HOUR },
      { pep: 'idle', configured: true, mode: 'observing', observe: [{ entry: 'roll-out', end: T0 + 50 * DAY }] },
      { pep: 'unnamed-before', configured: false, mode: 'enforcing', observe: [], lastUsedAt: T0 + 2 * HOUR },
    ]);
    expect((await whole()).exceptions.map(({ id: name, state }) => [name, state])).toEqual([['roll-out', 'standing'], ['over', 'ended']]);
    expect((await whole()).entitlements).toMatchObject([{ used: 1, usedAfterEnd: 0 }]);
    const [noted] = await store.read('default', [useRef(id)]);
    await store.commit({ realm: 'default', expect: [], puts: [{ key: useRef(id), value: { ...noted?.value, lastAt: at.now } }], events: [] });
    expect((await whole()).entitlements).toMatchObject([{ used: 1, usedAfterEnd: 1 }]);
  });

  test('demand(49): what owners had not confirmed in time is listed while the grant would still run, and no longer once it was ended; long records are read in pages', async () => {
    const { at, issued, revoke, period, store } = await setUp();
    const [late, gone] = [await issued(), await issued()];
    const due = (grant: string): JsonObject => ({ version: 1, grant, workload: WORKLOAD, entitlement: 'shop', expiresAt: T0 + 200 * DAY, owner: 'team:shop', since: T0, dueAt: T0 + DAY, everyMs: DAY });
    await store.commit({ realm: 'default', expect: [], puts: [late, gone].map((grant) => ({ key: { kind: 'recertification', id: grant }, value: due(grant) })), events: [] });
    await revoke('grant', gone);
    for (let part = 0; part < 3; part += 1) await store.commit({ realm: 'default', expect: [], puts: [], events: Array.from({ length: 250 }, () => ({ type: 'use.noted', about: [], ending: false, data: { count: 1 } })) });
    at.now += DAY - 1;
    await issued({ entitlement: 'shop' });
    const issuedNow = async () => (await period(T0, at.now + 1)).entitlements;
    at.now += 1;
    expect(await issuedNow()).toMatchObject([{ entitlement: 'shop', issued: 1, live: 1 }, { issued: 2, live: 1 }]);
    expect((await period(T0, at.now)).overdue).toEqual([{ kind: 'recertification', grant: late, entitlement: 'shop', who: 'team:shop', dueAt: T0 + DAY }]);
  });

  test('of a record that is longer than may be read the newest is, and the report says that it is not complete', async () => {
    const { at, issued, period } = await setUp({ eventsMax: 3 });
    for (const more of [{}, ...Array.from({ length: 4 }, () => ({ entitlement: 'shop' }))]) await issued(more);
    at.now += 1;
    const later = await period(T0, at.now);
    expect(later).toMatchObject({ truncated: true, entitlements: [{ entitlement: 'shop' }] });
    expect(periodMarkdown(later as unknown as JsonObject)).toContain('NOT COMPLETE');
  });
});

const grant = (id: string, more: Partial<Grant> = {}): JsonObject => ({
  version: 1, id, realm: 'default', epoch: 'e', workload: `spiffe://dev.local/${id}`, scopes: [http('x')], conditions: {}, notBefore: T0, expiresAt: T0 + DAY, model: 'time-boxed', owners: ['team:shop'], approvals: [],
  bundleRevision: 'r1', issuedBy: 'user:op', issuedAt: T0, direct: true, justification: 'x', tier: 'standard', chain: [], ...more,
} as unknown as JsonObject);
const period = { from: T0 as Instant, to: (T0 + 10 * DAY) as Instant };

test('what is kept is bounded: more grants at once are said to be missing, and those that ended before the period make room', () => {
  const replay = replayPeriod(period, 10);
  const add = (id: string, at: number, expiresAt: number): void => replay.take({ at: at as Instant, type: 'grant.issued', data: { grant: grant(id, { issuedAt: at as Instant, notBefore: at as Instant, expiresAt: expiresAt as Instant }) } });
  for (let index = 0; index < 1_000; index += 1) add(`old-${index}`, T0 - DAY, T0 - HOUR);
  for (let index = 0; index < 10; index += 1) add(`new-${index}`, T0, T0 + DAY);
  expect([[...replay.grants()].length, replay.truncated()]).toEqual([10, false]);
  add('one more', T0, T0 + DAY);
  expect([[...replay.grants()].length, replay.truncated()]).toEqual([10, true]);
});

test('a delegated grant ends with what it was cut out of; the first end counts; what the record holds that is no grant is passed over', () => {
  const replay = replayPeriod(period);
  const parent = grant('parent');
  const take = (type: string, data: JsonObject, at = T0): void => replay.take({ at: at as Instant, type, data });
  take('grant.issued', { grant: parent });
  take('grant.delegated', { grant: grant('child', { chain: [parent as unknown as Grant] }), from: 'parent' });
  for (const data of [{}, { grant: null }, { grant: { id: 'x' } }, { revocation: {} }, { revocation: { selector: 'x' } }, { task: { id: 7 } }]) for (const type of ['grant.issued', 'revocation.placed', 'suspension.placed', 'task.closed']) take(type, data);
  take('revocation.placed', { revocation: { selector: { kind: 'workload', value: 'spiffe://dev.local/parent' }, settleMs: 7 } }, T0 + HOUR);
  take('revocation.placed', { revocation: { selector: { kind: 'owner', value: 'team:shop' }, settleMs: 9 } }, T0 + 2 * HOUR);
  expect([...replay.grants()].map(({ id, end }) => [id, end])).toEqual(['parent', 'child'].map((id) => [id, { at: T0 + HOUR, because: 'grant.revoked', selector: 'workload', enforcedMs: 7 }]));
  expect(replay.placed()).toMatchObject({ shortestMs: 7, longestMs: 9 });
});

test('the last quarter is the calendar quarter that is over, over the turn of a year too', () => {
  const of = (now: string) => Object.values(lastQuarter(Date.parse(now) as Instant)).map((at) => new Date(at).toISOString().slice(0, 10));
  expect(of('2026-11-28T16:00:00Z')).toEqual(['2026-07-01', '2026-10-01']);
  expect(of('2027-01-01T00:00:00Z')).toEqual(['2026-10-01', '2027-01-01']);
  expect(of('2026-12-31T23:59:59.999Z')).toEqual(['2026-07-01', '2026-10-01']);
});

const HOSTILE = '<script>alert(1)</script> "\' onload=x | a\r\n# not a heading\n| x |\u001b[31m\u202egnp.exe\u200b`code` [link](javascript:alert(1)) ![i](x) &lt; <!-- </table> \\| **b** ~~s~~';

test('THREATS G4: hostile text in any field is text in Markdown and HTML: no markup, no new row, no heading, no link, nothing invisible', () => {
  const planted = (text: string): JsonObject => ({
    realm: text, from: text, to: text, asOf: text, truncated: true,
    entitlements: [{ entitlement: text, issued: text, used: text, live: text, usedAfterEnd: text, ended: [{ because: text, selector: text, count: text, longestMs: 3 }] }],
    placed: { revocations: text, suspensions: text, shortestMs: 1, longestMs: 2 },
    overdue: [{ kind: text, grant: text, entitlement: text, who: text, dueAt: text }],
    exceptions: [{ id: text, kind: text, subject: text, tier: text, owner: text, reason: text, end: text, state: text, lastUsedAt: text }],
    coverage: [{ pep: text, configured: false, mode: text, observe: [{ entry: text, end: text }], lastUsedAt: text }],
  });
  const tags = (text: string): readonly string[] => text.match(/<[^>]*>/g) ?? [];
  // eslint-disable-next-line no-control-regex
  const unseen = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e]/;
  const [hostile, plain] = [periodHtml(planted(HOSTILE)), periodHtml(planted('x'))];
  expect(tags(hostile)).toEqual(tags(plain));
  expect(hostile).toContain('&lt;script&gt;');
  expect(hostile.split('\n')).toHaveLength(plain.split('\n').length);
  expect(hostile).not.toMatch(unseen);
  const [evil, tame] = [periodMarkdown(planted(HOSTILE)), periodMarkdown(planted('x'))];
  // What has a backslash before it is a character, no markup.
  const markup = (text: string): string => text.replaceAll(/\\[\\`*_{}[\]<>|#~!&]/g, '').replaceAll(/[^\n|#`*_[\]<>~!&]/g, '');
  expect(markup(evil)).toBe(markup(tame));
  expect(evil).not.toMatch(unseen);
  expect(tame).toContain('NOT COMPLETE');
});

test('over the API: for those who read reports; what is no period is refused; one at a time', async () => {
  const world = await createAdminWorld();
  const { status, body } = await world.ask('GET', '/v1/period-report');
  expect([status, body]).toEqual([200, expect.objectContaining({ realm: 'default', entitlements: [], truncated: false })]);
  const from = new Date(T0 - DAY).toISOString();
  expect((await world.ask('GET', `/v1/period-report?from=${from}`)).status).toBe(200);
  for (const query of [`to=${from}`, `from=${from}&to=${from}`, 'from=yesterday', `from=${from}&realm=other`, `from=2999-01-01T00:00:00Z`]) expect((await world.ask('GET', `/v1/period-report?${query}`)).status, query).toBe(400);
  for (const token of ['nobody', 'bootstrap', 'wrong']) expect((await world.ask('GET', '/v1/period-report', undefined, { authorization: `Bearer ${token}` })).status, token).toBe(token === 'wrong' ? 401 : 403);
  let finish = (): void => undefined;
  const slow = new Promise<void>((resolve) => (finish = resolve));
  const busy = await createAdminWorld({ periodReport: async () => { await slow; throw new Error('the store is gone'); } });
  const first = busy.ask('GET', '/v1/period-report');
  expect((await busy.ask('GET', '/v1/period-report')).body.code).toBe('busy');
  finish();
  // One that failed blocks no later one.
  expect((await first).status).toBe(500);
  expect((await busy.ask('GET', '/v1/period-report')).status).toBe(500);
});

test('`curfew report` asks for the period and writes Markdown, HTML or JSON; another format, or no instant, is refused', async () => {
  const world = await createAdminWorld();
  expect((await world.ask('POST', '/v1/grants', { workload: WORKLOAD, model: 'time-boxed', scopes: [http('shop.local/**')], ttlMs: HOUR, owner: 'team:shop', justification: 'x', reference: 'SHOP-1' })).status).toBe(201);
  world.at.now += 1;
  const none: LocalCommand = { run: async () => 1 };
  const cli = async (...line: readonly string[]): Promise<readonly [number, string]> => {
    let printed = '';
    const code = await runCli(['report', ...line], {
      version: '0', stdout: (text) => (printed += text), stderr: () => undefined, env: { CURFEW_TOKEN: 'all', CURFEW_SERVER: 'http://localhost:8182' }, readFile: () => '', readStdin: async () => '',
      fetch: async (input, init) => world.app.request(String(input), { ...init, headers: { ...Object.fromEntries(new Headers(init?.headers)), host: 'localhost:8182' } }),
      local: { serve: none, dev: none, 'config check': none, 'dev-token': none },
    });
    return [code, printed];
  };
  const since = ['--from', new Date(T0 - DAY).toISOString()];
  const [code, text] = await cli(...since);
  expect([code, text]).toEqual([0, expect.stringContaining('| (without an entitlement) | 1 | 0 | 1 |  | 0 |')]);
  expect((await cli(...since, '--format', 'html'))[1]).toMatch(/^<!doctype html>[^]*<td>\(without an entitlement\)<\/td><td>1<\/td>/);
  for (const json of [['--format', 'json'], ['--json']]) expect(JSON.parse((await cli(...since, ...json))[1])).toMatchObject({ from: new Date(T0 - DAY).toISOString(), entitlements: [{ issued: 1 }] });
  expect(JSON.parse((await cli('--json'))[1])).toMatchObject({ to: '2027-01-01T00:00:00.000Z', entitlements: [] });
  for (const wrong of [['--format', 'pdf'], ['--from', 'yesterday'], ['--to', since[1] ?? '']]) expect((await cli(...wrong))[0], wrong.join(' ')).toBe(1);
});
