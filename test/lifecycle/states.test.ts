/**
 * Every state of requests and grants, and every way from one into another, by the tables of the domain: a state or an end that is added there and has
 * no visit here fails. What the tables don't know is tried too, by everybody and every command that could, and refused without a trace.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/domain/json.ts';
import { REQUEST_MOVES, REQUEST_STATES, type RequestState } from '../../src/domain/lifecycle/request.ts';
import { REASONS, type Reason } from '../../src/domain/reasons.ts';
import type { Executed } from '../../src/lifecycle/execute.ts';
import type { Call } from '../../src/lifecycle/lifecycle.ts';
import { createWorld, T0, type World } from './world.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const [DB, OTHER] = ['spiffe://dev.local/db/migrate', 'spiffe://dev.local/db/other'];
const person = (name: string, ...names: readonly string[]): Call => ({ realm: 'default', actor: { kind: 'operator', id: `user:${name}`, names: [`user:${name}`, ...names] } });
const [CONFIGURER, DATA, DBA, SRE, RITA, ROB] = [person('carl'), person('dora', 'team:data'), person('dan', 'team:dba'), person('sue', 'team:sre'), person('rita'), person('rob')];
const SWEEPER: Call = { realm: 'default', actor: { kind: 'system', id: 'system:sweeper' } };
const EVERYBODY = [DATA, DBA, SRE, person('sid', 'team:sre'), CONFIGURER, { realm: 'default', actor: { kind: 'workload', id: DB } }, SWEEPER] as const;

let world: World;
beforeEach(async () => {
  world = await createWorld({ development: false, config: { caps: { tiers: { sensitive: { maxTtlMs: { 'time-boxed': 100 * DAY, jit: 100 * DAY } } } } } });
  const { policy } = world.at;
  const more: JsonObject = { delegation: { depth: 1 }, maxTtlMs: 90 * DAY, logging: 'full', automation: 'full', recertify: { everyMs: 40 * DAY, graceMs: DAY } };
  world.at.policy = policy && { ...policy, entitlement: (id) => { const data = policy.entitlement(id); return id === 'db-migration' && data !== undefined && !gone ? { ...data, ...more } : id === 'db-migration' ? undefined : data; } };
  gone = false;
  for (const id of [DB, OTHER]) await world.directory.setWorkload(CONFIGURER, { id, kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform', tier: 'sensitive', aliases: [], active: true });
});
afterEach(() => world.close());
/** The bundle lost its entitlement. */
let gone = false;

const must = (executed: Executed): JsonObject => {
  if (!executed.ok) throw new Error(`${executed.failure.code}: ${executed.failure.detail}`);
  return executed.reply;
};

describe('requests', () => {
  const ask = async (): Promise<{ readonly id: string; readonly digest: string }> =>
    must(await world.requests.create(DATA, { entitlement: 'db-migration', workload: DB, ttlMs: HOUR, justification: 'adds a column', reference: 'CHG-7' }, 'request'))['request'] as { id: string; digest: string };
  const digestOf = async (id: string): Promise<string> => ((await world.requests.get('default', id))?.['digest'] as string | undefined) ?? '';
  const stateOf = async (id: string): Promise<unknown> => (await world.store.read('default', [{ kind: 'request', id }]))[0]?.value['state'];
  const approveBy = async (by: Call, id: string): Promise<Executed> => world.requests.approve(by, id, await digestOf(id));

  /** How a waiting request gets there. */
  const into: Readonly<Record<Exclude<RequestState, 'pending'>, readonly ((id: string) => Promise<Executed>)[]>> = {
    approved: [async (id) => { must(await approveBy(DBA, id)); return approveBy(SRE, id); }],
    denied: [(id) => world.requests.deny(SRE, id, 'not now'), async (id) => { must(await approveBy(DBA, id)); return world.requests.deny(DBA, id, 'on second thoughts'); }],
    expired: [(id) => { world.at.now += 25 * HOUR; return world.requests.settle(SWEEPER, id); }],
    cancelled: [
      (id) => world.requests.cancel(DATA, id, 'not needed'),
      async (id) => { must(await world.lifecycle.revoke(CONFIGURER, { selector: { kind: 'workload', value: DB }, reason: 'x' }, true)); return world.requests.settle(SWEEPER, id); },
    ],
  };
  const commands: Readonly<Record<string, (by: Call, id: string) => Promise<Executed>>> = {
    approve: approveBy, deny: (by, id) => world.requests.deny(by, id, 'no'), cancel: (by, id) => world.requests.cancel(by, id), settle: (by, id) => world.requests.settle(by, id),
  };

  test('the table knows every state, and what is decided leads nowhere', () => {
    expect(Object.keys(REQUEST_MOVES).sort()).toEqual([...REQUEST_STATES].sort());
    expect(REQUEST_MOVES.pending.toSorted()).toEqual(Object.keys(into).sort());
    for (const state of REQUEST_STATES) if (state !== 'pending') expect(REQUEST_MOVES[state], state).toEqual([]);
  });

  const moves = Object.entries(into).flatMap(([to, ways]) => ways.map((way, index) => [to as RequestState, index + 1, way] as const));
  test.each(moves)('demand(35): pending to %s, way %i; from there no command by anybody leads anywhere', async (to, _index, way) => {
    const { id } = await ask();
    expect(await stateOf(id)).toBe('pending');
    must(await way(id));
    expect(await stateOf(id)).toBe(to);
    const [before, grants, events] = [(await world.store.read('default', [{ kind: 'request', id }]))[0], (await world.store.list('default', { kind: 'grant', limit: 10 })).items.length, world.events()];
    expect(grants).toBe(to === 'approved' ? 1 : 0);
    for (const passed of [0, 25 * HOUR, 100 * DAY]) {
      world.at.now += passed;
      for (const by of EVERYBODY) for (const [name, command] of Object.entries(commands)) expect((await command(by, id)).ok, `${name} by ${by.actor.id}`).toBe(false);
    }
    expect((await world.store.read('default', [{ kind: 'request', id }]))[0]).toEqual(before);
    expect([(await world.store.list('default', { kind: 'grant', limit: 10 })).items.length, world.events()]).toEqual([grants, events]);
  });

  test('from pending, by those who may not: refused, and it still waits', async () => {
    const { id, digest } = await ask();
    const refused: readonly (readonly [string, () => Promise<Executed>])[] = [
      ['who asked approves', () => approveBy(DATA, id)], ['another than who asked cancels', () => world.requests.cancel(DBA, id)], ['a workload denies', () => world.requests.deny({ realm: 'default', actor: { kind: 'workload', id: DB } }, id, 'no')],
      ['settled before its time', () => world.requests.settle(SWEEPER, id)], ['another digest', () => world.requests.approve(DBA, id, digest.replace(/^./, (first) => (first === '0' ? '1' : '0')))],
    ];
    const events = world.events();
    for (const [name, attempt] of refused) expect((await attempt()).ok, name).toBe(false);
    expect([await stateOf(id), world.events()]).toEqual(['pending', events]);
  });

  test('E8: the last approval, a denial, a cancellation and a sweep at once: one of them is it, and what came of it fits', async () => {
    for (let round = 0; round < 24; round += 1) {
      const { id } = await ask();
      must(await approveBy(DBA, id));
      const attempts = [() => approveBy(SRE, id), () => approveBy(person('sid', 'team:sre'), id), () => world.requests.deny(person('dave', 'team:dba'), id, 'no'), () => world.requests.cancel(DATA, id), () => world.requests.settle(SWEEPER, id)];
      const order = attempts.map((_, index) => (index + round) % attempts.length);
      const done = await Promise.all(order.map((index) => (attempts[index] as () => Promise<Executed>)()));
      expect(done.filter(({ ok }) => ok)).toHaveLength(1);
      const { value } = (await world.store.read('default', [{ kind: 'request', id }]))[0] as { value: JsonObject };
      expect(['approved', 'denied', 'cancelled']).toContain(value['state']);
      const grants = (await world.store.list('default', { kind: 'grant', limit: 200 })).items.filter((record) => record.value['request'] === id);
      expect(grants.map(({ key }) => key.id)).toEqual(value['state'] === 'approved' ? [value['grant']] : []);
    }
  });
});

describe('grants', () => {
  const state = async (id: string): Promise<string> => {
    const { state: now, endedBecause } = (await world.inspect.grant('default', id)) ?? {};
    return endedBecause === undefined ? String(now) : String(endedBecause);
  };
  const issue = async (over: object = {}): Promise<string> => {
    const reply = must(await world.lifecycle.issueGrant(CONFIGURER, {
      workload: DB, model: 'time-boxed', entitlement: 'db-migration', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'orders-db.local/schema/**' } }], ttlMs: 60 * DAY, owner: 'team:data', justification: 'x', reference: 'CHG-1', ...over,
    }));
    return (reply['grant'] as { id: string }).id;
  };
  const suspend = async (kind: 'grant' | 'workload', value: string): Promise<string> =>
    (must(await world.lifecycle.suspend(RITA, { selector: { kind, value }, reason: 'x' }, true))['suspension'] as { id: string }).id;
  const openTask = async (over: object = {}): Promise<string> => (must(await world.lifecycle.openTask(CONFIGURER, { kind: 'ticket', owner: 'team:data', ...over }))['task'] as { id: string }).id;
  const onTask = async (over: object = {}): Promise<{ readonly id: string; readonly task: string }> => {
    const task = await openTask(over);
    return { task, id: await issue({ task, ttlMs: HOUR }) };
  };

  interface Visit {
    /** A live grant. */
    readonly begin: () => Promise<{ readonly id: string; readonly task?: string }>;
    readonly end: (grant: { readonly id: string; readonly task?: string }) => Promise<unknown>;
    /** What alone brings it back; absent: nothing does. */
    readonly back?: (grant: { readonly id: string; readonly task?: string }) => Promise<unknown>;
  }
  const plain = async () => ({ id: await issue() });
  let held = '';
  const visits: Readonly<Partial<Record<Reason, Visit>>> = {
    'grant.expired': { begin: plain, end: async () => { world.at.now += 60 * DAY; } },
    'grant.revoked': { begin: plain, end: async ({ id }) => must(await world.lifecycle.revoke(RITA, { selector: { kind: 'grant', value: id }, reason: 'x' }, true)) },
    'grant.suspended': { begin: plain, end: async ({ id }) => { held = await suspend('grant', id); }, back: async () => must(await world.lifecycle.lift(ROB, { id: held, reason: 'x', persons: ['user:rob'] })) },
    'grant.uses_exhausted': {
      begin: async () => ({ id: await issue({ uses: 1 }) }),
      end: ({ id }) => world.store.commit({ realm: 'default', expect: [], puts: [], increments: [{ key: { kind: 'uses', id }, max: 1 }], events: [{ type: 'grant.used', about: [{ kind: 'grant', id }], ending: false, data: {} }] }),
    },
    'grant.entitlement': { begin: plain, end: async () => { gone = true; }, back: async () => { gone = false; } },
    'grant.recertification': { begin: plain, end: async () => { world.at.now += 40 * DAY; }, back: async ({ id }) => must(await world.lifecycle.graceGrant(SRE, id, 'x')) },
    'grant.ancestor': {
      begin: async () => {
        held = await issue();
        return { id: (must(await world.delegation.delegate({ realm: 'default', actor: { kind: 'workload', id: DB } }, { from: held, workload: OTHER, ttlMs: HOUR, justification: 'x' }))['grant'] as { id: string }).id };
      },
      end: async () => { held = await suspend('grant', held); },
      back: async () => must(await world.lifecycle.lift(ROB, { id: held, reason: 'x', persons: ['user:rob'] })),
    },
    'task.closed': { begin: onTask, end: async ({ task = '' }) => must(await world.lifecycle.closeTask(CONFIGURER, task, true)) },
    'task.paused': { begin: onTask, end: async ({ task = '' }) => must(await world.lifecycle.pauseTask(CONFIGURER, task, true)), back: async ({ task = '' }) => must(await world.lifecycle.resumeTask(CONFIGURER, task)) },
    'task.deadline': {
      begin: onTask,
      // No command gives a task another deadline, and no grant lasts longer than its task's; a record that says so counts all the same.
      end: async ({ task = '' }) => {
        const { value } = (await world.store.read('default', [{ kind: 'task', id: task }]))[0] as { value: JsonObject };
        await world.store.commit({ realm: 'default', expect: [], puts: [{ key: { kind: 'task', id: task }, value: { ...value, deadline: T0 } }], events: [{ type: 'x', about: [], ending: false, data: {} }] });
      },
    },
    'task.heartbeat': { begin: () => onTask({ heartbeatMs: 60_000 }), end: async () => { world.at.now += 60_000; } },
    'task.missing': { begin: onTask, end: ({ task = '' }) => world.store.commit({ realm: 'default', expect: [], puts: [], drops: [{ kind: 'task', id: task }], events: [{ type: 'x', about: [], ending: false, data: {} }] }) },
  };
  /** These say why a question is not covered, not how the grant is. */
  const OF_THE_QUESTION: readonly Reason[] = ['grant.none', 'grant.malformed', 'grant.condition', 'grant.binding', 'grant.not_yet'];
  const ENDS = REASONS.filter((reason) => (reason.startsWith('grant.') || reason.startsWith('task.')) && !OF_THE_QUESTION.includes(reason));

  test('every way in which a grant can be over has its visit', () => {
    expect(Object.keys(visits).sort()).toEqual(ENDS.toSorted());
  });

  /** All that anybody could try so that it lives again; none of them is what brings it back. */
  const attempts: readonly ((grant: { readonly id: string; readonly task?: string }, by: Call) => Promise<Executed>)[] = [
    ({ id }, by) => world.requests.extend(by, id, { ttlMs: HOUR, justification: 'more' }),
    ({ id }, by) => world.lifecycle.confirmGrant(by, id, 'needed'),
    ({ task = 'none' }, by) => world.lifecycle.beatTask(by, task),
    ({ id }, by) => world.delegation.delegate({ ...by, actor: { kind: 'workload', id: DB } }, { from: id, workload: OTHER, ttlMs: 1_000, justification: 'x' }),
    ({ task = 'none' }, by) => world.lifecycle.openTask(by, { kind: 'ticket', owner: 'team:data' }, task),
  ];
  const FINAL_TOO: typeof attempts = [
    ({ id }, by) => world.lifecycle.graceGrant(by, id, 'needed'),
    ({ task = 'none' }, by) => world.lifecycle.resumeTask(by, task),
    ({ id }, by) => world.lifecycle.lift(by, { id, persons: [by.actor.id] }),
  ];

  test.each(ENDS)('demand(35): active to %s; nothing that anybody tries brings it back, but what the table says', async (reason) => {
    const visit = visits[reason] as Visit;
    const grant = await visit.begin();
    expect(await state(grant.id)).toBe('active');
    const end = (await world.store.read('default', [{ kind: 'grant', id: grant.id }]))[0]?.value['expiresAt'];
    await visit.end(grant);
    expect(await state(grant.id)).toBe(reason);
    for (const attempt of visit.back === undefined ? [...attempts, ...FINAL_TOO] : attempts) for (const by of EVERYBODY) await attempt(grant, by);
    expect(await state(grant.id)).toBe(reason);
    expect((await world.store.read('default', [{ kind: 'grant', id: grant.id }]))[0]?.value['expiresAt'], 'demand(5)').toBe(end);
    if (visit.back === undefined) return;
    await visit.back(grant);
    expect(await state(grant.id)).toBe('active');
  });

  test('scheduled: it begins by time alone, and may be over before it began', async () => {
    const id = await issue({ ttlMs: undefined, notBefore: T0 + HOUR, expiresAt: T0 + 2 * HOUR });
    expect(await state(id)).toBe('scheduled');
    world.at.now = T0 + HOUR;
    expect(await state(id)).toBe('active');
    const never = await issue({ ttlMs: undefined, notBefore: T0 + 2 * HOUR, expiresAt: T0 + 3 * HOUR });
    must(await world.lifecycle.revoke(RITA, { selector: { kind: 'grant', value: never }, reason: 'x' }, true));
    expect(await state(never)).toBe('grant.revoked');
    world.at.now = T0 + 2 * HOUR;
    expect([await state(id), await state(never)]).toEqual(['grant.expired', 'grant.revoked']);
  });
});
