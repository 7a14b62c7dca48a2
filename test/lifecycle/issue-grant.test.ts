/** Issuing grants: what no grant goes without, and what stands in its way. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { resourcePatternFault, type Scope } from '../../src/domain/scope.ts';
import { selectorKey, type SelectorKind } from '../../src/domain/selector.ts';
import type { Executed } from '../../src/lifecycle/execute.ts';
import { CALL, createWorld, OPERATOR, T0, terms, WORKLOAD, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
});

const issue = (over: object = {}): Promise<Executed> => world.lifecycle.issueGrant(CALL, terms(over));
const faultPaths = (executed: Executed): readonly string[] => (executed.ok ? ['issued'] : (executed.failure.faults ?? []).map(({ path }) => path));
const code = (executed: Executed): string => (executed.ok ? 'issued' : executed.failure.code);
const openTask = async (over: object = {}): Promise<string> => {
  const executed = await world.lifecycle.openTask(CALL, { kind: 'ci-run', owner: 'team:shop', ...over });
  if (!executed.ok) throw new Error(executed.failure.detail);
  return (executed.reply['task'] as { id: string }).id;
};

describe('C1 demand(4): a TTL is a whole number of milliseconds within the cap', () => {
  const CAPS = { 'time-boxed': 86_400_000, jit: 43_200_000, 'break-glass': 3_600_000 } as const;

  test.each([-1, 0, -0, Number.NaN, Number.POSITIVE_INFINITY, 1e308, 1.5, 86_400_001, Number.MAX_SAFE_INTEGER, 2 ** 53])('%s is refused and nothing is written', async (ttlMs) => {
    const executed = await issue({ ttlMs });
    expect(faultPaths(executed)).toEqual(['/ttlMs']);
    expect(world.events()).toBe(0);
  });

  test('no tier allows more than the longest grant of the configuration', async () => {
    await world.close();
    world = await createWorld({ config: { caps: { maxGrantMs: 5_000 } } });
    expect([faultPaths(await issue({ ttlMs: 5_001 })), code(await issue({ ttlMs: 5_000 }))]).toEqual([['/ttlMs'], 'issued']);
    expect(faultPaths(await issue({ ttlMs: undefined, notBefore: T0, expiresAt: T0 + 5_001 }))).toEqual(['/expiresAt']);
  });

  test('whatever the number: issued exactly when it is whole and within the cap of its model, and its end is start plus TTL', async () => {
    const task = await openTask();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('time-boxed', 'jit', 'break-glass'),
        fc.oneof(fc.double(), fc.integer(), fc.integer({ min: 1, max: 90_000_000 }), fc.constantFrom(...Object.values(CAPS), ...Object.values(CAPS).map((cap) => cap + 1))),
        async (model, ttlMs) => {
          const before = world.events();
          const executed = await issue({ model, ttlMs, task, reference: 'INC-1' });
          const wanted = Number.isSafeInteger(ttlMs) && ttlMs >= 1 && ttlMs <= CAPS[model];
          expect(executed.ok).toBe(wanted);
          expect(world.events()).toBe(before + (wanted ? 1 : 0));
          if (executed.ok) expect(executed.reply['grant']).toMatchObject({ notBefore: T0, expiresAt: T0 + ttlMs });
        },
      ),
      { numRuns: 300 },
    );
  });

  test('whatever the window: issued exactly when it lies ahead, in order, and within the caps', async () => {
    const around = fc.oneof(fc.integer({ min: T0 - 120_000, max: T0 + 200_000_000 }), fc.integer({ min: T0 - 60_002, max: T0 + 5 }), fc.double(), fc.constant(T0 + 30 * 86_400_000 + 1));
    await fc.assert(
      fc.asyncProperty(around, around, async (notBefore, expiresAt) => {
        const executed = await issue({ ttlMs: undefined, notBefore, expiresAt });
        const whole = [notBefore, expiresAt].every((instant) => Number.isSafeInteger(instant) && instant >= 0 && instant <= 253_402_300_799_999);
        const wanted = whole && expiresAt > T0 && notBefore >= T0 - 60_000 && notBefore <= T0 + 30 * 86_400_000 && expiresAt > notBefore && expiresAt - notBefore <= 86_400_000;
        expect(executed.ok).toBe(wanted);
      }),
      { numRuns: 300 },
    );
  });

  test.each([
    ['as long as the cap', T0, T0 + 86_400_000, true], ['a millisecond longer', T0, T0 + 86_400_001, false],
    ['as far ahead as may be', T0 + 30 * 86_400_000, T0 + 30 * 86_400_000 + 1, true], ['a millisecond further', T0 + 30 * 86_400_000 + 1, T0 + 30 * 86_400_000 + 2, false],
    ['begun as long ago as is taken', T0 - 60_000, T0 + 1, true], ['begun a millisecond before', T0 - 60_001, T0 + 1, false],
    ['over now', T0 - 1, T0, false], ['without any length', T0 + 1, T0 + 1, false],
  ])('a window %s', async (_name, notBefore, expiresAt, issued) => {
    expect((await issue({ ttlMs: undefined, notBefore, expiresAt })).ok).toBe(issued);
  });

  test('a grant without an end, or with two, is refused', async () => {
    expect(faultPaths(await issue({ ttlMs: undefined }))).toEqual(['/ttlMs']);
    expect(faultPaths(await issue({ notBefore: T0, expiresAt: T0 + 1 }))).toEqual(['/ttlMs']);
    expect(faultPaths(await issue({ ttlMs: undefined, expiresAt: T0 + 1 }))).toEqual(['/notBefore']);
  });
});

describe('demand(17) demand(22) demand(23): each model has its own demands', () => {
  test('time-boxed needs a reference or a task', async () => {
    expect(faultPaths(await issue({ reference: undefined }))).toEqual(['/reference']);
    expect(code(await issue({ reference: undefined, task: await openTask() }))).toBe('issued');
  });

  test('demand(19) demand(50): jit needs an open task and ends within its deadline', async () => {
    expect(faultPaths(await issue({ model: 'jit' }))).toEqual(['/task']);
    expect(faultPaths(await issue({ model: 'jit', task: 'unknown' }))).toEqual(['/task']);
    const task = await openTask({ deadline: T0 + 60_000 });
    expect(code(await issue({ model: 'jit', task, ttlMs: 60_000 }))).toBe('issued');
    expect(faultPaths(await issue({ model: 'jit', task, ttlMs: 60_001 }))).toEqual(['/ttlMs']);
    await world.lifecycle.pauseTask(CALL, task);
    expect(code(await issue({ model: 'jit', task }))).toBe('state');
    await world.lifecycle.resumeTask(CALL, task);
    await world.lifecycle.closeTask(CALL, task);
    expect(code(await issue({ model: 'jit', task }))).toBe('state');
  });

  test('demand(20) demand(63): break-glass needs an incident and its timer starts at issuance', async () => {
    expect(faultPaths(await issue({ model: 'break-glass', reference: undefined }))).toEqual(['/reference']);
    expect(faultPaths(await issue({ model: 'break-glass', ttlMs: undefined, notBefore: T0 + 1_000, expiresAt: T0 + 2_000 }))).toEqual(['/notBefore']);
  });

  test('demand(41): owner, justification and workload are never missing or vague', async () => {
    for (const owner of ['', 'shop', 'group:x', 'team:', 'user:a b', 'team:shop\n']) expect(faultPaths(await issue({ owner })), owner).toEqual(['/owner']);
    for (const justification of ['', '  ', 'a\u0000b', 'a\nb', '\u202ex', 'x'.repeat(2_001), '\ud800']) expect(faultPaths(await issue({ justification })), justification).toEqual(['/justification']);
  });

  test('A7 E3: a workload has one spelling', async () => {
    const wrong = [
      '', 'x', 'spiffe://dev.local', 'spiffe://dev.local/', 'spiffe://dev.local/a/', 'spiffe://DEV.local/a', 'spiffe://dev.local//a', 'spiffe://dev.local/a/../b', 'spiffe://dev.local/%61',
      'spiffe://user@dev.local/a', 'spiffe://dev.local:1/a', 'spiffe://dev.local/a?b', 'SPIFFE://dev.local/a', 'spiffe://dev.local/\u0430', 'https://dev.local/a',
      'oidc:issuer.example', 'oidc:issuer.example/', 'oidc:Issuer.example/a', 'oidc:issuer.example/a//b', 'oidc:issuer.example/%61', 'oidc:issuer.example/%2f', 'oidc:issuer.example/a/../b', 'oidc:issuer.example/a\r\n', 'oidc:issuer.example/{}',
    ];
    for (const workload of wrong) expect(faultPaths(await issue({ workload })), workload).toEqual(['/workload']);
    for (const workload of ['oidc:token.actions.githubusercontent.com/repo/123/env/prod', 'oidc:issuer.example:8443/realms/a/user%2F7', 'spiffe://dev.local/a_b.c-d']) expect(code(await issue({ workload })), workload).toBe('issued');
  });
});

describe('F3: scopes', () => {
  const scopeOf = (actions: readonly string[], id: string, type = 'http') => ({ scopes: [{ actions, resource: { type, id } }] });

  test('an empty set, empty actions and partial wildcards are refused with their place', async () => {
    expect(faultPaths(await issue({ scopes: [] }))).toEqual(['/scopes']);
    expect(faultPaths(await issue(scopeOf([], 'a/b')))).toEqual(['/scopes/0/actions']);
    expect(faultPaths(await issue(scopeOf(['GE*'], 'a/b')))).toEqual(['/scopes/0/actions/0']);
    for (const id of ['', 'a*', 'a/**/b', '/a//b', 'a/../b', 'a\\b', 'a\u0000']) expect(faultPaths(await issue(scopeOf(['GET'], id))), id).toEqual(['/scopes/0/resource/id']);
    expect(faultPaths(await issue(scopeOf(['GET'], 'a', 'HTTP!')))).toEqual(['/scopes/0/resource/type']);
    expect(faultPaths(await issue({ scopes: Array.from({ length: 65 }, () => ({ actions: ['GET'], resource: { type: 'http', id: 'a' } })) }))).toEqual(['/scopes']);
    expect(faultPaths(await issue(scopeOf(Array.from({ length: 65 }, () => 'GET'), 'a')))).toEqual(['/scopes/0/actions']);
  });

  test('whatever the pattern: issued exactly when it is well-formed, and stored as it was asked for', async () => {
    const segment = fc.oneof(fc.constantFrom('*', '**', '', '.', '..', 'a', 'b*', '*c'), fc.string({ maxLength: 5 }));
    const action = fc.oneof(fc.constantFrom('GET', '*', '', 'G*'), fc.string({ maxLength: 5 }));
    await fc.assert(
      fc.asyncProperty(fc.array(segment, { minLength: 1, maxLength: 5 }), fc.array(action, { maxLength: 3 }), async (segments, actions) => {
        const id = segments.join('/');
        const scopes: Scope[] = [{ actions, resource: { type: 'http', id } }];
        const executed = await issue({ scopes });
        const actionIsFine = (text: string): boolean => /^[\x21-\x7e]+$/.test(text) && (text === '*' || !text.includes('*'));
        const wanted = resourcePatternFault(id) === undefined && id.trim() !== '' && actions.length > 0 && actions.every(actionIsFine);
        if (executed.ok || wanted) expect([executed.ok, id]).toEqual([wanted && executed.ok, id]);
        if (executed.ok) expect((executed.reply['grant'] as { scopes: unknown }).scopes).toEqual(scopes);
      }),
      { numRuns: 300 },
    );
  });
});

test('conditions, bindings and uses are checked one by one', async () => {
  const wrong: readonly (readonly [object, string])[] = [
    [{ conditions: { audience: [] } }, '/conditions/audience'], [{ conditions: { source: ['10.0.0.1/8'] } }, '/conditions/source/0'], [{ conditions: { source: ['::/129'] } }, '/conditions/source/0'],
    [{ conditions: { pep: ['a b'] } }, '/conditions/pep/0'], [{ binding: {} }, '/binding'], [{ binding: { jkt: 'short' } }, '/binding/jkt'], [{ binding: { x5t: `${'A'.repeat(42)}B` } }, '/binding/x5t'],
    [{ uses: 0 }, '/uses'], [{ uses: 1.5 }, '/uses'], [{ uses: 1_000_001 }, '/uses'], [{ uses: Number.NaN }, '/uses'],
  ];
  for (const [over, path] of wrong) expect(faultPaths(await issue(over)), JSON.stringify(over)).toEqual([path]);
  expect(world.events()).toBe(0);
  expect(code(await issue({ conditions: { audience: ['a'], pep: ['gw'], source: ['10.0.0.0/8', '2001:db8::/32'] }, binding: { x5t: 'A'.repeat(43) }, uses: 1_000_000 }))).toBe('issued');
});

describe('entitlements and tiers', () => {
  test('production takes an entitlement marked direct; its model, scopes and cap count', async () => {
    const production = await createWorld({ development: false });
    try {
      const within = { entitlement: 'kb-read', model: 'jit', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'kb.local/articles/*' } }], reference: undefined };
      const opened = await production.lifecycle.openTask(CALL, { kind: 'ticket', owner: 'team:support' });
      const task = opened.ok ? (opened.reply['task'] as { id: string }).id : '';
      const ask = async (over: object) => faultPaths(await production.lifecycle.issueGrant(CALL, terms({ task, ...over })));
      expect(await ask({})).toEqual(['/entitlement']);
      expect(await ask({ entitlement: 'unknown' })).toEqual(['/entitlement']);
      expect(await ask({ ...within, model: 'time-boxed' })).toEqual(['/model']);
      expect(await ask({ ...within, scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'kb.local/**' } }] })).toEqual(['/scopes']);
      expect(await ask({ ...within, ttlMs: 14_400_001 })).toEqual(['/ttlMs']);
      expect(await ask({ ...within, ttlMs: 14_400_000 })).toEqual(['issued']);
      const { policy } = production.at;
      production.at.policy = policy && { ...policy, entitlement: (id) => ({ ...policy.entitlement(id), direct: false }) };
      expect(await ask(within)).toEqual(['/entitlement']);
      production.at.policy = policy && { ...policy, entitlement: (id) => ({ ...policy.entitlement(id), tier: 'toString' }) };
      expect(await ask(within)).toEqual(['/entitlement']);
      production.at.policy = policy && { ...policy, entitlement: () => ({ direct: true }) };
      expect(await ask(within)).toEqual(['/entitlement']);
      production.at.policy = undefined;
      expect(code(await production.lifecycle.issueGrant(CALL, terms({ task, ...within })))).toBe('unavailable');
    } finally {
      await production.close();
    }
  });
});

describe('E12: nothing is issued under a suspension, also when it is placed in between', () => {
  const KINDS: readonly (readonly [SelectorKind, string])[] = [
    ['realm', 'default'], ['workload', WORKLOAD], ['workload-prefix', 'spiffe://dev.local/ci'], ['trust-domain', 'dev.local'], ['owner', 'team:shop'], ['pep', 'gw'],
    ['bundle-revision', ''], ['task', ''], ['entitlement', 'shop-deploy'],
  ];

  test.each(KINDS)('suspended %s', async (kind, fixed) => {
    const task = await openTask();
    const value = kind === 'task' ? task : kind === 'bundle-revision' ? (world.at.policy?.revision ?? '') : fixed;
    const over = { model: 'jit', task, entitlement: 'shop-deploy', conditions: { pep: ['gw'] }, scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/deploy/x' } }] };
    expect(code(await issue(over))).toBe('issued');
    const placed = await world.lifecycle.suspend(CALL, { selector: { kind, value }, reason: 'stop' }, true);
    expect(code(placed)).toBe('issued');
    const before = world.events();
    expect(code(await issue(over))).toBe('suspended');
    expect(world.events()).toBe(before);
    await world.lifecycle.lift(CALL, { id: placed.ok ? (placed.reply['suspension'] as { id: string }).id : '', persons: [] });
    expect(code(await issue(over))).toBe('issued');
  });

  test('an issuer that may stand behind the workload', async () => {
    const workload = 'oidc:idp.example/realms/ci/job-1';
    expect(code(await issue({ workload }))).toBe('issued');
    await world.lifecycle.suspend(CALL, { selector: { kind: 'issuer', value: 'https://idp.example/realms/ci' }, reason: 'stop' }, true);
    expect(code(await issue({ workload }))).toBe('suspended');
  });

  test('what changes between reading and committing is judged again', async () => {
    // Controls: without a change in between it issues; and were the expected versions not sent, the change would go unseen.
    for (const { meddle, blind } of [{ meddle: false, blind: false }, { meddle: true, blind: true }, { meddle: true, blind: false }]) {
      let raced = false;
      const racing: World = await createWorld({
        wrap: (store) => ({
          ...store,
          commit: async (commit) => {
            if (!raced && commit.events.some(({ type }) => type === 'grant.issued')) {
              raced = true;
              const key = selectorKey({ kind: 'workload', value: WORKLOAD });
              if (meddle) {
                await store.commit({
                  realm: 'default', expect: [], events: [{ type: 'suspension.placed', about: [], ending: true, data: {} }],
                  puts: [{ key: { kind: 'ending', id: key }, value: { version: 1, selector: key, suspensions: [{ id: 's', placedBy: 'user:x', reason: 'r' }] } }],
                });
              }
            }
            return store.commit(blind ? { ...commit, expect: [] } : commit);
          },
        }),
      });
      try {
        expect(code(await racing.lifecycle.issueGrant(CALL, terms()))).toBe(meddle && !blind ? 'suspended' : 'issued');
      } finally {
        await racing.close();
      }
    }
  });

  test('an ending record that can not be understood stands in the way', async () => {
    const key = selectorKey({ kind: 'workload', value: WORKLOAD });
    await world.store.commit({ realm: 'default', expect: [], puts: [{ key: { kind: 'ending', id: key }, value: { version: 2 } }], events: [] });
    expect(code(await issue())).toBe('suspended');
  });
});

test('B8: one workload has a limited number of live grants, also when many are issued at once', async () => {
  const small = await createWorld({ config: { caps: { maxLiveGrants: 10 } } });
  try {
    const executed = await Promise.all(Array.from({ length: 30 }, (_, index) => small.lifecycle.issueGrant(CALL, terms({ ttlMs: 1_000 + index }))));
    expect(executed.filter(({ ok }) => ok)).toHaveLength(10);
    expect(executed.filter((one) => code(one) === 'limit')).toHaveLength(20);
    expect(code(await small.lifecycle.issueGrant(CALL, terms({ workload: 'spiffe://dev.local/other' })))).toBe('issued');
    small.at.now += 1_000;
    expect(code(await small.lifecycle.issueGrant(CALL, terms()))).toBe('issued');
  } finally {
    await small.close();
  }
});

test('F4: an id is never used again', async () => {
  const first = await issue();
  const second = await issue();
  const id = (executed: Executed): string => (executed.ok ? (executed.reply['grant'] as { id: string }).id : '');
  expect(id(first)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(id(first)).not.toBe(id(second));
});

test('while the clock is not trusted nothing is issued, and endings are still taken', async () => {
  const task = await openTask();
  world.at.trusted = false;
  expect(code(await issue())).toBe('clock-untrusted');
  expect(code(await world.lifecycle.beatTask(CALL, task))).toBe('clock-untrusted');
  expect(code(await world.lifecycle.revoke(CALL, { selector: { kind: 'workload', value: WORKLOAD }, reason: 'leak' }, true))).toBe('issued');
  expect(code(await world.lifecycle.closeTask(CALL, task))).toBe('issued');
});

test('demand(21) demand(24): the grant record holds who, why and on what it rests; its event names both grant and task', async () => {
  const task = await openTask();
  const executed = await issue({ model: 'jit', task, reference: 'run-7' });
  if (!executed.ok) throw new Error(executed.failure.detail);
  expect(executed.reply['grant']).toMatchObject({
    version: 1, realm: 'default', epoch: world.store.epoch, owners: ['team:shop'], approvals: [], chain: [], direct: true, issuedBy: OPERATOR.id, issuedAt: T0, tier: 'standard',
    task, bundleRevision: world.at.policy?.revision, conditions: {},
  });
  const [event] = await world.store.events('default', { after: 0, limit: 10, about: { kind: 'grant', id: (executed.reply['grant'] as { id: string }).id } });
  expect(event).toMatchObject({ type: 'grant.issued', data: { by: OPERATOR.id, direct: true } });
  expect(await world.store.events('default', { after: 0, limit: 10, about: { kind: 'task', id: task } })).toHaveLength(2);
});
