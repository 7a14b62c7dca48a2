/**
 * Recertification, on virtual time, over both stores and with real decisions: warnings to the owner, the owner's word, one short grace of another
 * person, and then a denial that needs no background job.
 */
import { expect, test } from 'vitest';
import { createDecider } from '../../src/decision/decide.ts';
import type { Clock } from '../../src/decision/ports.ts';
import type { DurationMs, Instant } from '../../src/domain/instant.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { lifecycleConfig } from '../../src/lifecycle/config.ts';
import { createDelegation } from '../../src/lifecycle/delegation.ts';
import { createDirectory } from '../../src/lifecycle/directory.ts';
import { createInspect } from '../../src/lifecycle/inspect.ts';
import { createLifecycle, type Call, type LifecycleDeps } from '../../src/lifecycle/lifecycle.ts';
import { createNoteRefusal } from '../../src/lifecycle/note-refusals.ts';
import { createRequests } from '../../src/lifecycle/requests.ts';
import { createReviewWatch } from '../../src/lifecycle/review-watch.ts';
import type { Executed } from '../../src/lifecycle/execute.ts';
import { evaluationOf, identityOf } from '../decision/world.ts';
import { onBothStores, type OpenStore } from '../support/both-stores.ts';
import { committedPolicy } from './world.ts';

const DAY = 24 * 3_600_000;
const START = 1_800_000_000_000;
const DB = 'spiffe://dev.local/db/migrate';
const OTHER = 'spiffe://dev.local/db/other';
const EVERY = 40 * DAY;
const GRACE = 3 * DAY;

const person = (name: string, ...names: readonly string[]): Call => ({ realm: 'default', actor: { kind: 'operator', id: `user:${name}`, names: [`user:${name}`, ...names] } });
const [ISSUER, CONFIGURER, OWNER, FALLBACK, ELSE] = [person('ines'), person('carl'), person('dora', 'team:data'), person('pat', 'team:platform'), person('sue', 'team:sre')];

const said = (executed: Executed): string => (executed.ok ? 'ok' : `${executed.failure.code}: ${executed.failure.detail}`);

const createRecertifyWorld = async (open: OpenStore, recertify: JsonObject = { everyMs: EVERY, graceMs: GRACE }, onTransfer: 'flag' | 'end' = 'flag') => {
  const at = { now: START };
  const clock: Clock = { now: () => ({ earliest: at.now as Instant, latest: at.now as Instant, trusted: true }), monotonicMs: () => performance.now() };
  const store = await open(clock);
  const committed = await committedPolicy();
  const over = { maxTtlMs: 200 * DAY, logging: 'full', automation: 'full', recertify, delegation: { depth: 1 } };
  const policy = { ...committed, entitlement: (id: string) => { const data = committed.entitlement(id); return id === 'db-migration' && data !== undefined ? { ...data, ...over } : data; } };
  const config = lifecycleConfig.parse({ directory: { onTransfer }, caps: { tiers: { sensitive: { maxTtlMs: { 'time-boxed': 365 * DAY } } }, maxAheadMs: 300 * DAY } });
  const deps: LifecycleDeps = { store, clock, config, policy: () => policy, development: false, enforcementMs: 0, settle: async () => undefined, noteRefusal: createNoteRefusal({ store, clock }) };
  const [lifecycle, requests, directory, delegation] = [createLifecycle(deps), createRequests(deps), createDirectory(deps), createDelegation(deps)];
  const inspect = createInspect({ store, clock, policy: () => policy });
  const watch = createReviewWatch({
    store, clock, lifecycle, realms: ['default'], config: config.breakGlass, entitlements: () => [], intervalMs: 10, onError: (error) => { throw error; },
    answerable: () => ['team:data', 'team:platform', 'team:sre'],
    holds: async (realm, id) => { const grant = await inspect.grant(realm, id); return grant?.['state'] !== 'ended' || grant['endedBecause'] === 'grant.recertification'; },
  });
  const { decide } = createDecider({
    clock, store, policy: () => ({ revision: 'r', digest: 'd', entitlement: policy.entitlement, evaluate: () => ({ kind: 'value', value: true }) }) as never,
    authenticator: { authenticate: (presented) => ({ ok: true, identity: identityOf({ workload: presented.kind === 'bearer' ? presented.token : '', credential: { ...identityOf().credential, issuedAt: at.now as Instant, expiresAt: (at.now + 400 * DAY) as Instant } }) }) },
    entrypoint: 'curfew/access/decision', sink: { write: () => undefined }, quarantine: { enter: () => true, leave: () => undefined },
    limits: { decisionDeadlineMs: 10_000 as DurationMs, maxFactsAgeMs: 10_000 as DurationMs, credentialSkewMs: 1_000, pepCacheMaxMs: 0, policyMaySet: [] },
    realms: new Set(['default']), standing: [],
  });
  let asked = 0;
  const ask = async (workload = DB): Promise<string> => {
    asked += 1;
    const made = await decide(evaluationOf({ id: `d${asked}`, presented: { kind: 'bearer', token: workload }, question: { action: 'GET', resource: { type: 'http', id: 'orders-db.local/schema/x' } } }));
    return made.allow ? `allow until ${made.validUntil - START}` : made.reason;
  };
  for (const id of [DB, OTHER]) await directory.setWorkload(CONFIGURER, { id, kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform', tier: 'sensitive', aliases: [], active: true });
  const issue = async (): Promise<string> => {
    const executed = await lifecycle.issueGrant(ISSUER, {
      workload: DB, model: 'time-boxed', entitlement: 'db-migration', scopes: [{ actions: ['*'], resource: { type: 'http', id: 'orders-db.local/schema/**' } }], ttlMs: 200 * DAY, owner: 'team:data', justification: 'nightly', reference: 'CHG-1',
    });
    if (!executed.ok) throw new Error(said(executed));
    return (executed.reply['grant'] as { id: string }).id;
  };
  const alerts = async () => (await store.list('default', { kind: 'alert', limit: 200 })).items.map(({ value }) => value).filter(({ type }) => String(type).startsWith('recertification.')).toSorted((a, b) => Number(a['at']) - Number(b['at']));
  const told = async () => (await alerts()).map(({ type, at: when, data }) => [type, (Number(when) - START) / DAY, (data as JsonObject)['days']]);
  const confirm = (grant: string, by = OWNER) => lifecycle.confirmGrant(by, grant, 'still needed');
  const grace = (grant: string, by = ELSE) => lifecycle.graceGrant(by, grant, 'the owner is on leave');
  const events = async (grant: string) => (await store.events('default', { after: 0, limit: 500, about: { kind: 'grant', id: grant } })).map(({ type }) => type);
  return { at, store, lifecycle, requests, delegation, directory, inspect, watch, ask, issue, alerts, told, confirm, grace, events };
};

onBothStores('recertification', (open) => {
  test('demand(40): the owner is warned 30, 14, 7 and 1 days before, once each; then it denies, with nobody doing anything', async () => {
    const { at, ask, issue, watch, told, alerts, inspect } = await createRecertifyWorld(open);
    const grant = await issue();
    for (let hour = 0; hour < 45 * 24; hour += 6) {
      at.now = START + hour * 3_600_000;
      await watch.look();
    }
    expect(await told()).toEqual([
      ['recertification.due', 10, 30], ['recertification.due', 26, 14], ['recertification.due', 33, 7], ['recertification.due', 39, 1], ['recertification.overdue', 40, undefined],
    ]);
    expect((await alerts())[0]).toMatchObject({ recipients: ['team:data', 'team:platform', 'team:sre'], data: { grant, owner: 'team:data', dueAt: new Date(START + EVERY).toISOString() } });
    at.now = START + EVERY - 1;
    expect(await ask()).toBe(`allow until ${EVERY}`);
    at.now = START + EVERY;
    expect(await ask()).toBe('grant.recertification');
    expect(await inspect.grant('default', grant)).toMatchObject({ state: 'ended', endedBecause: 'grant.recertification' });
  });

  test('demand(40): it denies also where housekeeping never ran, and what was missed is told once, not one by one', async () => {
    const { at, ask, issue, watch, told } = await createRecertifyWorld(open);
    await issue();
    at.now = START + EVERY - 5 * DAY;
    await watch.look();
    expect(await told()).toEqual([['recertification.due', 35, 7]]);
    at.now = START + EVERY;
    expect(await ask()).toBe('grant.recertification');
  });

  test('demand(40): the word of its owner, or of the owner of its entitlement, holds it for as long again; it moves no end', async () => {
    const { at, ask, issue, confirm, inspect, events, watch, told } = await createRecertifyWorld(open);
    const grant = await issue();
    at.now = START + 20 * DAY;
    await watch.look();
    // Who issued it, who approves, the workload itself, and an account that is nobody.
    for (const by of [ISSUER, ELSE, person('x'), { realm: 'default', actor: { kind: 'workload', id: DB } }, { realm: 'default', actor: { kind: 'operator', id: 'oidc:idp/x', names: ['team:data'] } }] as const) expect(said(await confirm(grant, by)), by.actor.id).toContain('not-permitted');
    expect(said(await confirm(grant))).toBe('ok');
    expect(await ask()).toBe(`allow until ${60 * DAY}`);
    at.now = START + 60 * DAY - 1;
    expect(await ask()).toBe(`allow until ${60 * DAY}`);
    expect(said(await confirm(grant, FALLBACK))).toBe('ok');
    expect(await inspect.grant('default', grant)).toMatchObject({ expiresAt: new Date(START + 200 * DAY).toISOString() });
    expect(await events(grant)).toEqual(['grant.issued', ...Array.from({ length: 5 }, () => 'command.refused'), 'grant.recertified', 'grant.recertified']);
    await watch.look();
    at.now += EVERY - 30 * DAY;
    await watch.look();
    expect(await told(), 'a new day, new warnings').toEqual([['recertification.due', 20, 30], ['recertification.due', expect.closeTo(70), 30]]);
    at.now = START + 199 * DAY;
    expect(said(await confirm(grant)), 'overdue long since').toContain('ask for it anew');
  });

  test('demand(40): its end is its end, however often it is confirmed', async () => {
    const { at, ask, issue, confirm } = await createRecertifyWorld(open);
    const grant = await issue();
    for (let day = 30; day < 200; day += 30) {
      at.now = START + day * DAY;
      expect(said(await confirm(grant))).toBe('ok');
    }
    at.now = START + 200 * DAY - 1;
    expect(await ask()).toBe(`allow until ${200 * DAY}`);
    at.now = START + 200 * DAY;
    expect(await ask()).toBe('grant.expired');
    expect(said(await confirm(grant))).toContain('has ended');
  });

  test('demand(40): one short grace by another person, counted from its day, also shortly after it; never a second one', async () => {
    const { at, ask, issue, grace, confirm, events, watch, told } = await createRecertifyWorld(open);
    const grant = await issue();
    at.now = START + EVERY + DAY;
    expect(await ask()).toBe('grant.recertification');
    for (const by of [OWNER, FALLBACK, person('both', 'team:data', 'team:sre'), { realm: 'default', actor: { kind: 'workload', id: DB } }] as const) expect(said(await grace(grant, by)), by.actor.id).toContain('not-permitted');
    expect(said(await grace(grant))).toBe('ok');
    expect(await ask()).toBe(`allow until ${EVERY + GRACE}`);
    for (const by of [ELSE, person('sam', 'team:ops')]) expect(said(await grace(grant, by))).toContain('given already');
    at.now = START + EVERY + GRACE - 1;
    expect(await ask()).toBe(`allow until ${EVERY + GRACE}`);
    at.now = START + EVERY + GRACE;
    expect(await ask()).toBe('grant.recertification');
    await watch.look();
    expect((await told()).at(-1)).toEqual(['recertification.overdue', 43, undefined]);
    for (const late of [await grace(grant), await confirm(grant)]) expect(said(late)).not.toBe('ok');
    expect((await events(grant)).filter((type) => type !== 'command.refused')).toEqual(['grant.issued', 'grant.graced']);
  });

  test('within the grace its owner confirms, and only then there is another grace; without a rule there is none', async () => {
    const { at, ask, issue, grace, confirm } = await createRecertifyWorld(open);
    const grant = await issue();
    at.now = START + EVERY - 1;
    expect(said(await grace(grant))).toBe('ok');
    at.now = START + EVERY + DAY;
    expect(said(await confirm(grant))).toBe('ok');
    expect(await ask()).toBe(`allow until ${EVERY + DAY + EVERY}`);
    expect(said(await grace(grant))).toBe('ok');
    const strict = await createRecertifyWorld(open, { everyMs: EVERY });
    const other = await strict.issue();
    expect(said(await strict.grace(other))).toContain('knows no grace');
  });

  test('F2: what was handed on falls and rises with the word on what it was cut out of', async () => {
    const { at, ask, issue, delegation, confirm, grace } = await createRecertifyWorld(open);
    const grant = await issue();
    const handOn = () => delegation.delegate({ realm: 'default', actor: { kind: 'workload', id: DB } }, { from: grant, workload: OTHER, ttlMs: 100 * DAY, justification: 'helps' });
    expect(said(await handOn())).toBe('ok');
    expect(await ask(OTHER)).toBe(`allow until ${EVERY}`);
    at.now = START + EVERY;
    expect(await ask(OTHER)).toBe('grant.ancestor');
    expect(said(await handOn()), 'nor is anything handed on').toContain('overdue');
    expect(said(await grace(grant))).toBe('ok');
    expect(await ask(OTHER)).toBe(`allow until ${EVERY + GRACE}`);
    expect(said(await confirm(grant))).toBe('ok');
    expect(await ask(OTHER)).toBe(`allow until ${2 * EVERY}`);
  });

  test('demand(5): a following grant brings no new time to confirm, and grace is not carried on', async () => {
    const { at, issue, requests, grace } = await createRecertifyWorld(open);
    const grant = await issue();
    const extend = () => requests.extend(person('dora', 'team:data'), grant, { ttlMs: DAY, justification: 'more' });
    at.now = START + EVERY - 1;
    expect(said(await grace(grant))).toBe('ok');
    expect(said(await extend()), 'before its day').toBe('ok');
    at.now = START + EVERY;
    expect(said(await extend())).toContain('confirm it first');
  });

  test('I2: nobody confirms what was revoked or suspended, and nobody is asked to', async () => {
    const { at, issue, lifecycle, confirm, grace, watch, told } = await createRecertifyWorld(open);
    const grant = await issue();
    expect(await lifecycle.revoke(CONFIGURER, { selector: { kind: 'grant', value: grant }, reason: 'x' }, true)).toMatchObject({ ok: true });
    for (const attempt of [await confirm(grant), await grace(grant)]) expect(said(attempt)).toContain('is revoked');
    for (const day of [10, 39, 40, 44]) {
      at.now = START + day * DAY;
      await watch.look();
    }
    expect(await told()).toEqual([]);
  });

  test('races: twenty words at once have one grace, and a record that can not be read denies', async () => {
    const { at, ask, issue, grace, store } = await createRecertifyWorld(open);
    const grant = await issue();
    at.now = START + EVERY;
    const words = await Promise.all(Array.from({ length: 20 }, (_, index) => grace(grant, person(`p${index}`))));
    expect(words.filter(({ ok }) => ok)).toHaveLength(1);
    expect(await ask()).toBe(`allow until ${EVERY + GRACE}`);
    for (const value of [{ version: 2 }, { version: 1, grant, owner: 'x', entitlement: 'x', since: 1, dueAt: 9e15, expiresAt: 1, everyMs: 1 }, { version: 1, grant: 'another', owner: 'x', entitlement: 'x', since: 1, dueAt: START + 99 * DAY, expiresAt: START + 99 * DAY, everyMs: 1 }]) {
      await store.commit({ realm: 'default', expect: [], puts: [{ key: { kind: 'recertification', id: grant }, value }], events: [{ type: 'x', about: [], ending: false, data: {} }] });
      expect(await ask(), JSON.stringify(value)).toBe('grant.recertification');
    }
  });

  const SUE = { accounts: [], teams: ['team:sre'], active: true };
  type Recertifying = Awaited<ReturnType<typeof createRecertifyWorld>>;
  const takenAway: readonly (readonly [string, 'flag' | 'end', (world: Recertifying) => Promise<Executed>])[] = [
    ['leaves', 'flag', ({ directory }) => directory.setPerson(CONFIGURER, { id: 'user:sue', ...SUE, active: false }, 'api', true)],
    ['is revoked as approver', 'flag', ({ lifecycle }) => lifecycle.revoke(CONFIGURER, { selector: { kind: 'approver', value: 'user:sue' }, reason: 'x' }, true)],
    ['is suspended as approver', 'flag', ({ lifecycle }) => lifecycle.suspend(CONFIGURER, { selector: { kind: 'approver', value: 'user:sue' }, reason: 'x' }, true)],
    ['loses the role, where that ends approvals', 'end', ({ lifecycle }) => lifecycle.setOperator(CONFIGURER, 'user:sue', [])],
    ['leaves the team, where that ends approvals', 'end', ({ directory }) => directory.setPerson(CONFIGURER, { id: 'user:sue', ...SUE, teams: [] }, 'api', true)],
  ];
  test.each(takenAway)('demand(40) demand(67): grace is over, also of what was handed on, when the person who gave it %s; another may give it then', async (_name, onTransfer, end) => {
    const world = await createRecertifyWorld(open, undefined, onTransfer);
    const { at, ask, issue, grace, delegation, directory, lifecycle } = world;
    expect(said(await directory.setPerson(CONFIGURER, { id: 'user:sue', ...SUE }, 'api'))).toBe('ok');
    expect(said(await lifecycle.setOperator(CONFIGURER, 'user:sue', ['approver']))).toBe('ok');
    const [grant, other] = [await issue(), await issue()];
    expect(said(await delegation.delegate({ realm: 'default', actor: { kind: 'workload', id: DB } }, { from: grant, workload: OTHER, ttlMs: 100 * DAY, justification: 'helps' }))).toBe('ok');
    at.now = START + EVERY + 1;
    expect(said(await grace(grant))).toBe('ok');
    expect(said(await grace(other, person('sam', 'team:ops')))).toBe('ok');
    expect([await ask(), await ask(OTHER)]).toEqual([`allow until ${EVERY + GRACE}`, `allow until ${EVERY + GRACE}`]);
    expect(said(await lifecycle.revoke(CONFIGURER, { selector: { kind: 'approver', value: 'user:else' }, reason: 'another\'s word' }, true))).toBe('ok');
    expect(await ask(OTHER), 'the control').toBe(`allow until ${EVERY + GRACE}`);
    expect(said(await end(world))).toBe('ok');
    expect(await ask(OTHER)).toBe('grant.ancestor');
    expect(await ask(), 'the grace that another person gave for another grant stays').toBe(`allow until ${EVERY + GRACE}`);
    expect(said(await lifecycle.revoke(CONFIGURER, { selector: { kind: 'grant', value: other }, reason: 'x' }, true))).toBe('ok');
    expect(await ask(), 'one revoked, one not confirmed').toMatch(/^grant\.(?:revoked|recertification)$/);
    expect(said(await grace(grant, person('sam', 'team:ops')))).toBe('ok');
    expect([await ask(), await ask(OTHER)]).toEqual([`allow until ${EVERY + GRACE}`, `allow until ${EVERY + GRACE}`]);
  });

  test('a suspended person gives no grace and confirms nothing; lifted, what they gave before stays over', async () => {
    const { at, ask, issue, grace, confirm, lifecycle } = await createRecertifyWorld(open);
    const grant = await issue();
    at.now = START + EVERY - 1;
    expect(said(await grace(grant))).toBe('ok');
    const suspended = await lifecycle.suspend(CONFIGURER, { selector: { kind: 'approver', value: 'user:sue' }, reason: 'x' }, true);
    const other = await lifecycle.suspend(CONFIGURER, { selector: { kind: 'approver', value: 'user:dora' }, reason: 'x' }, true);
    if (!suspended.ok || !other.ok) throw new Error('not suspended');
    expect(said(await grace(grant))).toContain('approver user:sue is suspended');
    expect(said(await confirm(grant))).toContain('approver user:dora is suspended');
    expect(said(await lifecycle.lift(FALLBACK, { id: (suspended.reply['suspension'] as { id: string }).id, persons: [] }))).toBe('ok');
    at.now = START + EVERY;
    expect(await ask()).toBe('grant.recertification');
    expect(said(await grace(grant))).toBe('ok');
    expect(await ask()).toBe(`allow until ${EVERY + GRACE}`);
  });

  test('grace given while its person is taken away: whichever comes first, nothing holds by it afterwards', { timeout: 120_000 }, async () => {
    const { at, ask, issue, grace, lifecycle } = await createRecertifyWorld(open);
    at.now = START;
    const grants = [await issue(), await issue(), await issue()];
    at.now = START + EVERY;
    for (let round = 0; round < 5; round += 1) {
      const by = person(`p${round}`, 'team:sre');
      const end = () => lifecycle.revoke(CONFIGURER, { selector: { kind: 'approver', value: by.actor.id }, reason: 'x' }, true);
      const [first, second, third] = grants as [string, string, string];
      const done = await Promise.all(round % 2 === 0 ? [grace(first, by), end(), grace(second, by), grace(third, by)] : [end(), grace(third, by), grace(second, by), grace(first, by)]);
      expect(done.map(said).filter((text) => text.includes('unknown') || text.includes('busy'))).toEqual([]);
      // A word after the revocation is a new word: the person is still there. It is taken away by the next one.
      expect(said(await end())).toBe('ok');
      expect(await ask(), String(round)).toBe('grant.recertification');
    }
  });

  test('one person holds at most so many grants by grace', { timeout: 120_000 }, async () => {
    const { at, ask, issue, grace, store, lifecycle } = await createRecertifyWorld(open);
    const grant = await issue();
    const full = (until: number) => store.commit({
      realm: 'default', expect: [], puts: [{ key: { kind: 'grace-given', id: 'user:sue' }, value: { version: 1, given: Array.from({ length: 100 }, (_, index) => ({ grant: `g${index}`, until })) } }], events: [{ type: 'x', about: [], ending: false, data: {} }],
    });
    at.now = START + EVERY;
    await full(START + EVERY + 1);
    expect(said(await grace(grant))).toBe('limit: 100 grants hold by your grace already');
    await full(START + EVERY);
    expect(said(await grace(grant))).toBe('ok');
    expect(said(await lifecycle.revoke(CONFIGURER, { selector: { kind: 'approver', value: 'user:sue' }, reason: 'x' }, true))).toBe('ok');
    expect(await ask()).toBe('grant.recertification');
  });
});
