/** Revocations and suspensions: every selector, its one spelling, and who may lift. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { canonicalSelector } from '../../src/domain/lifecycle/canonical-selector.ts';
import { SELECTOR_KINDS, type SelectorKind } from '../../src/domain/selector.ts';
import type { JsonValue } from '../../src/domain/json.ts';
import type { Done, Executed } from '../../src/lifecycle/execute.ts';
import { CALL, createWorld, T0, terms, WORKLOAD, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld({ development: false });
  world.at.policy = world.at.policy && { ...world.at.policy, entitlement: () => ({ model: 'time-boxed', owner: 'team:shop', fallbackOwner: 'team:platform', direct: true, alerts: ['team:shop'], orphan: { unusedMs: 1, action: 'flag' }, scopes: [{ actions: ['*'], resource: { type: 'http', id: '**' } }] }) };
});
afterEach(async () => {
  await world.close();
});

const done = (executed: Executed): Done => {
  if (!executed.ok) throw new Error(`${executed.failure.code}: ${executed.failure.detail}`);
  return executed;
};
const code = (executed: Executed): string => (executed.ok ? 'ok' : executed.failure.code);
const issue = async (over: object = {}): Promise<string> => (done(await world.lifecycle.issueGrant(CALL, terms({ entitlement: 'e-1', ...over }))).reply['grant'] as { id: string }).id;
const revoke = (kind: SelectorKind, value: JsonValue): Promise<Executed> => world.lifecycle.revoke(CALL, { selector: { kind, value }, reason: 'leak' }, true);
const suspend = (kind: SelectorKind, value: JsonValue, actor = 'user:rita'): Promise<Executed> =>
  world.lifecycle.suspend({ realm: 'default', actor: { kind: 'operator', id: actor } }, { selector: { kind, value }, reason: 'odd' }, true);
const state = async (id: string): Promise<unknown> => {
  const view = await world.inspect.grant('default', id);
  return view?.['endedBecause'] ?? view?.['state'];
};

describe('selectors have one spelling', () => {
  const SHA = 'ab'.repeat(32);
  const good: readonly (readonly [SelectorKind, JsonValue, string])[] = [
    ['grant', 'g-1', 'g-1'], ['task', 't.1', 't.1'], ['entitlement', 'kb-read', 'kb-read'], ['owner', 'team:shop', 'team:shop'], ['approver', 'user:a', 'user:a'], ['bundle-revision', 'r 1', 'r 1'],
    ['workload', WORKLOAD, WORKLOAD], ['workload', 'oidc:i.example/a', 'oidc:i.example/a'], ['workload-prefix', 'spiffe://dev.local', 'spiffe://dev.local'], ['workload-prefix', 'spiffe://dev.local/ci', 'spiffe://dev.local/ci'],
    ['issuer', 'https://i.example/realms/a', 'https://i.example/realms/a'], ['trust-domain', 'dev.local', 'dev.local'], ['pep', 'gw', 'gw'], ['realm', 'default', 'default'],
    ['credential', { issuer: 'https://i.example', jti: 'a"b' }, 'jti:["https://i.example","a\\"b"]'], ['credential', { jti: 'x', issuer: 'y' }, 'jti:["y","x"]'], ['credential', 'jti:[ "y" , "x" ]', 'jti:["y","x"]'],
    ['credential', { sha256: SHA.toUpperCase() }, `sha256:${SHA}`], ['credential', `sha256:${SHA}`, `sha256:${SHA}`],
    ['certificate', { issuer: 'CN=ca', serial: '0A:3F' }, 'serial:["CN=ca","0a3f"]'], ['certificate', { issuer: 'CN=ca', serial: '000a3f' }, 'serial:["CN=ca","0a3f"]'], ['certificate', { issuer: 'CN=ca', serial: 'a3f' }, 'serial:["CN=ca","0a3f"]'],
    ['certificate', { issuer: 'CN=My\\, CA+OU=x,O=Org \\C3\\A4,2.5.4.97=1,C=US', serial: '01' }, 'serial:["CN=My\\\\, CA+OU=x,O=Org \\\\C3\\\\A4,2.5.4.97=1,C=US","01"]'], ['issuer', 'spiffe://dev.local', 'spiffe://dev.local'],
    ['certificate', { spki: SHA }, `spki:${SHA}`], ['certificate', `spki:${SHA}`, `spki:${SHA}`],
  ];
  test.each(good)('%s %j', (kind, value, canonical) => {
    expect(canonicalSelector({ kind, value }, 'default')).toEqual({ ok: true, selector: { kind, value: canonical } });
  });

  const bad: readonly (readonly [SelectorKind, JsonValue])[] = [
    ...SELECTOR_KINDS.flatMap((kind): (readonly [SelectorKind, JsonValue])[] => [[kind, ''], [kind, 1], [kind, null], [kind, {}], [kind, []], [kind, 'a\r\nb'], [kind, '\u0000']]),
    ['workload', 'spiffe://dev.local/ci/'], ['workload', 'spiffe://Dev.local/ci'], ['workload', 'ci'], ['workload-prefix', 'spiffe://dev.local/'], ['workload-prefix', 'spiffe://dev.local/ci/'], ['workload-prefix', 'oidc:i/a'],
    ['issuer', 'i.example'], ['issuer', 'https://i.example?x'], ['trust-domain', 'spiffe://dev.local'], ['trust-domain', 'DEV'], ['realm', 'other'], ['owner', 'shop'],
    ['credential', 'jti:["a"]'], ['credential', 'jti:["a","b","c"]'], ['credential', 'jti:["a",1]'], ['credential', { issuer: 'a', jti: 'b', sha256: SHA }], ['credential', { sha256: 'ab' }], ['credential', SHA], ['credential', { issuer: 'a' }],
    ['certificate', { issuer: 'CN=a', serial: 'xyz' }], ['certificate', { issuer: 'CN=a, O=b', serial: '01' }], ['certificate', { issuer: 'CN = a', serial: '01' }], ['certificate', { issuer: '/CN=a', serial: '01' }], ['certificate', { issuer: 'CN=\u00e4', serial: '01' }], ['issuer', 'spiffe://Dev.local'], ['issuer', 'spiffe://dev.local/x'], ['certificate', { issuer: 'CN=a', serial: '' }], ['certificate', { sha256: SHA }], ['certificate', 'serial:x'],
  ];
  test.each(bad)('E3: %s %j is refused', async (kind, value) => {
    const executed = await revoke(kind, value);
    expect(code(executed)).toBe('invalid');
    expect(world.events()).toBe(0);
  });
});

describe('a revocation covers what it names and was there before, and nothing else', () => {
  const cases: readonly SelectorKind[] = ['grant', 'task', 'entitlement', 'owner', 'bundle-revision', 'workload', 'workload-prefix', 'trust-domain', 'realm'];
  test.each(cases)('demand(6): %s', async (kind) => {
    const task = (done(await world.lifecycle.openTask(CALL, { kind: 'ci', owner: 'team:x' })).reply['task'] as { id: string }).id;
    const covered = await issue({ task });
    const apart = await issue({ workload: 'spiffe://other.local/x', owner: 'team:other', entitlement: 'e-2' });
    const revision = world.at.policy?.revision ?? '';
    const value = { grant: covered, task, entitlement: 'e-1', owner: 'team:shop', 'bundle-revision': revision, workload: WORKLOAD, 'workload-prefix': 'spiffe://dev.local/ci', 'trust-domain': 'dev.local', realm: 'default' }[kind as string] ?? '';
    done(await revoke(kind, value));
    expect(await state(covered)).toBe('grant.revoked');
    expect(await state(apart)).toBe(kind === 'realm' || kind === 'bundle-revision' ? 'grant.revoked' : 'active');
    // Issued after it: not covered, but where the task itself was ended.
    if (kind !== 'grant' && kind !== 'task') expect(await state(await issue({ task }))).toBe('active');
  });

  test('an unknown grant or task is not said to be revoked', async () => {
    expect(code(await revoke('grant', 'no-such'))).toBe('not-found');
    expect(code(await revoke('task', 'no-such'))).toBe('not-found');
    expect(world.events()).toBe(0);
  });

  test('it may be repeated: the latest counts, and all are kept', async () => {
    const first = done(await revoke('workload', WORKLOAD));
    const id = await issue();
    expect(await state(id)).toBe('active');
    const second = done(await revoke('workload', WORKLOAD));
    expect(await state(id)).toBe('grant.revoked');
    expect(second.position.sequence).toBeGreaterThan(first.position.sequence);
    expect((await world.inspect.revocations('default', { limit: 10 })).items).toHaveLength(2);
  });

  test('a burst on one selector and on many: each is placed once', async () => {
    const all = await Promise.all([...Array.from({ length: 40 }, () => revoke('workload', WORKLOAD)), ...Array.from({ length: 40 }, (_, index) => revoke('pep', `gw-${index}`))]);
    expect(all.filter(({ ok }) => ok)).toHaveLength(80);
    expect(new Set(all.map((one) => (one.ok ? one.position.sequence : 0))).size).toBe(80);
  });

  test('a revocation does not lift a suspension, nor the reverse', async () => {
    const id = await issue();
    const placed = done(await suspend('workload', WORKLOAD)).reply['suspension'] as { id: string };
    done(await revoke('workload', WORKLOAD));
    done(await world.lifecycle.lift({ realm: 'default', actor: { kind: 'operator', id: 'user:rob' } }, { id: placed.id, persons: [] }));
    expect(await state(id)).toBe('grant.revoked');
    expect(await state(await issue())).toBe('active');
  });
});

describe('DESIGN 7: revoke returns when it is enforced', () => {
  test('it waits for the whole enforcement time, a replay too, and not when asked to answer at once', async () => {
    const call = { ...CALL, idempotency: { principal: 'user:op', key: 'k', body: {} } };
    const request = { selector: { kind: 'workload', value: WORKLOAD }, reason: 'leak' } as const;
    const first = done(await world.lifecycle.revoke(call, request, false));
    const again = done(await world.lifecycle.revoke(call, request, false));
    expect(again).toEqual({ ...first, replayed: true });
    expect(world.settled).toEqual([250, 250]);
    await world.lifecycle.revoke(CALL, request, true);
    expect(world.settled).toEqual([250, 250]);
    expect(await world.inspect.revocation('default', (first.reply['revocation'] as { id: string }).id)).toMatchObject({
      effectiveAt: new Date(T0).toISOString(), enforcedAt: new Date(T0 + 250).toISOString(),
    });
  });

  test('what is covered only in part is said, with the remedy', async () => {
    for (const [kind, value] of [['workload', WORKLOAD], ['issuer', 'https://i.example'], ['trust-domain', 'dev.local'], ['pep', 'gw'], ['realm', 'default']] as const) {
      expect(((done(await revoke(kind, value)).reply['revocation'] as { notes: string[] }).notes ?? []).join(' '), kind).toMatch(/place a suspension/);
    }
    expect((done(await revoke('credential', { issuer: 'i', jti: 'j' })).reply['revocation'] as { notes: string[] }).notes.join(' ')).toMatch(/may present another/);
  });
});

describe('a suspension is lifted by another person than the one who placed it, or whom it concerns', () => {
  const lift = (id: string, actor: string, persons: readonly string[] = []): Promise<Executed> =>
    world.lifecycle.lift({ realm: 'default', actor: { kind: 'operator', id: actor } }, { id, persons });
  const placed = (executed: Executed): string => (done(executed).reply['suspension'] as { id: string }).id;

  test('not by the one who placed it, also through a second account of the same person', async () => {
    const id = placed(await suspend('workload', WORKLOAD));
    expect(code(await lift(id, 'user:rita'))).toBe('not-permitted');
    expect(code(await lift(id, 'oidc:idp.example/rita', ['user:rita']))).toBe('not-permitted');
    expect(code(await lift(id, 'user:rob'))).toBe('ok');
    expect(code(await lift(id, 'user:rob'))).toBe('state');
    expect(code(await lift('no-such', 'user:rob'))).toBe('not-found');
  });

  test('not by whom it concerns: the owner of the workload, grant, task, or the person named', async () => {
    const task = (done(await world.lifecycle.openTask(CALL, { kind: 'ci', owner: 'team:runner' })).reply['task'] as { id: string }).id;
    const grant = await issue({ owner: 'user:sam' });
    const concerned: readonly (readonly [SelectorKind, string, string])[] = [
      ['workload', WORKLOAD, 'user:sam'], ['grant', grant, 'user:sam'], ['grant', grant, 'user:op'], ['task', task, 'team:runner'], ['owner', 'user:sam', 'user:sam'], ['owner', 'team:shop', 'team:shop'],
    ];
    for (const [kind, value, person] of concerned) {
      const id = placed(await suspend(kind, value));
      expect(code(await lift(id, 'user:any', [person])), `${kind} ${person}`).toBe('not-permitted');
      expect(code(await lift(id, 'user:rob')), `${kind} ${person}`).toBe('ok');
    }
  });

  test('several stand apart; a limited number of them; credentials are revoked instead', async () => {
    const ids = await Promise.all(Array.from({ length: 16 }, async () => placed(await suspend('workload', WORKLOAD))));
    expect(code(await suspend('workload', WORKLOAD))).toBe('limit');
    expect(new Set(ids).size).toBe(16);
    expect(code(await lift(ids[0] ?? '', 'user:rob'))).toBe('ok');
    expect(code(await world.lifecycle.issueGrant(CALL, terms({ entitlement: 'e-1' })))).toBe('suspended');
    expect(code(await suspend('credential', { issuer: 'i', jti: 'j' }))).toBe('invalid');
    expect(code(await suspend('certificate', { issuer: 'i', serial: '01' }))).toBe('invalid');
  });
});

test('E2: an ending record of another version is not overwritten', async () => {
  await world.store.commit({ realm: 'default', expect: [], puts: [{ key: { kind: 'ending', id: `workload:${WORKLOAD}` }, value: { version: 2 } }], events: [] });
  expect(code(await revoke('workload', WORKLOAD))).toBe('unavailable');
});

test('I2: an ending that names nobody known here is placed all the same, and says so; a read that fails keeps none back', async () => {
  const notes = (executed: Executed): string => JSON.stringify(Object.values(done(executed).reply).flatMap((record) => (record as { notes?: string[] }).notes ?? []));
  await issue();
  expect(notes(await revoke('workload', WORKLOAD))).not.toContain('no live grant');
  expect(notes(await revoke('workload', `${WORKLOAD}x`))).toContain('no live grant');
  expect(notes(await suspend('workload', `${WORKLOAD}x`))).toContain('no live grant');
  world.at.policy = world.at.policy && { ...world.at.policy, entitlement: () => undefined };
  expect(notes(await revoke('entitlement', 'e-2'))).toContain('no entitlement of this name is known here');
  const facts = world.store.facts.bind(world.store);
  let asked = 0;
  const failing = await createWorld({ wrap: (store) => ({ ...store, facts: (query) => { if (query.index !== undefined) { asked += 1; throw new Error('damaged'); } return store.facts(query); } }) });
  const placed = done(await failing.lifecycle.revoke(CALL, { selector: { kind: 'workload', value: WORKLOAD }, reason: 'leak' }, true));
  expect([asked, notes(placed)]).toEqual([1, expect.not.stringContaining('no live grant')]);
  await failing.close();
  expect(facts({ realm: 'default', keys: [] }).endings.sequence).toBe(4);
});

test('where another primary may still be read from, it waits for that as well, as it is when the commit is made and after it', async () => {
  const fence = [1_010, 0];
  const fenced = await createWorld({ wrap: (store) => ({ ...store, fenceMs: () => fence.shift() ?? 0 }) });
  const request = { selector: { kind: 'workload', value: WORKLOAD }, reason: 'leak' } as const;
  const first = done(await fenced.lifecycle.revoke(CALL, request, false));
  expect(first.reply['revocation']).toMatchObject({ settleMs: 250 + 1_010 });
  fence.push(0, 1_010);
  done(await fenced.lifecycle.revoke(CALL, { ...request, reason: 'again' }, false));
  expect(fenced.settled).toEqual([1_260, 1_260]);
  await fenced.close();
});
