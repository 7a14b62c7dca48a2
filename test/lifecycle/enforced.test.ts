/** What the lifecycle commits is what the next decision sees: real store, real pipeline, committed bundle. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDecider, type Decider } from '../../src/decision/decide.ts';
import type { Identity } from '../../src/decision/evaluation.ts';
import type { DurationMs, Instant } from '../../src/domain/instant.ts';
import type { SelectorKind } from '../../src/domain/selector.ts';
import { createExplain } from '../../src/supervisor/explain.ts';
import { createAdminWorld, type AdminWorld } from '../admin/world.ts';
import { CALL, T0, terms, WORKLOAD } from './world.ts';

let world: AdminWorld;
let decider: Decider;
let issuedAt = T0;

const identity = (workload = WORKLOAD): Identity => ({
  workload, kind: 'jwt-svid', issuer: 'spiffe://dev.local', audience: ['curfew'], claims: {}, confirmed: {},
  credential: { selectors: ['credential:jti:["i","j"]'], issuedAt: issuedAt as Instant, expiresAt: (T0 + 86_400_000) as Instant, maxAgeMs: 86_400_000 as DurationMs, fingerprint: 'f' },
});

beforeEach(async () => {
  issuedAt = T0;
  world = await createAdminWorld({ explain: (realm, request) => createExplain(decider, [])(realm, request) });
  decider = createDecider({
    clock: world.clock, store: world.store, policy: () => world.at.policy, entrypoint: 'curfew/access/decision', sink: { write: () => undefined },
    authenticator: { authenticate: (presented) => (presented.kind === 'bearer' ? { ok: true, identity: identity(presented.token) } : { ok: false, reason: 'credential.missing' }) },
    quarantine: { enter: () => true, leave: () => undefined }, realms: new Set(['default', 'other']), standing: [],
    limits: { decisionDeadlineMs: 10_000 as DurationMs, maxFactsAgeMs: 100 as DurationMs, credentialSkewMs: 0, pepCacheMaxMs: 0, policyMaySet: [] },
  });
});
afterEach(async () => {
  await world.close();
});

const decide = async (over: { id?: string; token?: string; realm?: string } = {}): Promise<string> => {
  const decision = await decider.decide({
    id: over.id ?? 'd-1', realm: over.realm ?? 'default', protocol: 'forward-auth', pep: { id: undefined, obligations: [] }, presented: { kind: 'bearer', token: over.token ?? WORKLOAD },
    question: { action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' } }, input: {},
  });
  return decision.allow ? `until ${decision.validUntil - T0}` : decision.reason;
};
const issue = async (over: object = {}): Promise<string> => {
  const executed = await world.lifecycle.issueGrant(CALL, terms(over));
  if (!executed.ok) throw new Error(executed.failure.detail);
  return (executed.reply['grant'] as { id: string }).id;
};
const openTask = async (over: object = {}): Promise<string> => {
  const executed = await world.lifecycle.openTask(CALL, { kind: 'ci', owner: 'team:shop', ...over });
  return executed.ok ? (executed.reply['task'] as { id: string }).id : '';
};

test('I1 demand(2) demand(38): allowed to the last millisecond of the grant, denied at its end, nobody having swept', async () => {
  expect(await decide()).toBe('grant.none');
  await issue({ ttlMs: 60_000 });
  expect(await decide()).toBe('until 60000');
  world.at.now = T0 + 59_999;
  expect(await decide()).toBe('until 60000');
  world.at.now = T0 + 60_000;
  expect(await decide()).toBe('grant.expired');
});

test('demand(25): timer or task close, whichever is first', async () => {
  const task = await openTask({ heartbeatMs: 5_000 });
  await issue({ model: 'jit', task, ttlMs: 60_000 });
  expect(await decide()).toBe('until 5000');
  await world.lifecycle.pauseTask(CALL, task);
  expect(await decide()).toBe('task.paused');
  await world.lifecycle.resumeTask(CALL, task);
  expect(await decide()).toBe('until 5000');
  world.at.now += 5_000;
  expect(await decide()).toBe('task.heartbeat');
  expect((await world.lifecycle.beatTask(CALL, task)).ok).toBe(false);
  const next = await openTask();
  await issue({ model: 'jit', task: next, ttlMs: 60_000 });
  expect(await decide()).toBe('until 65000');
  await world.lifecycle.closeTask(CALL, next);
  expect(await decide()).toMatch(/^task\./);
});

test('demand(14): the path is not reusable: the end of a grant is the end of its id, its task and its approval', async () => {
  const id = await issue({ ttlMs: 1_000 });
  world.at.now += 1_000;
  for (const body of [{ ...terms(), id }, { ...terms(), grant: id }, { ...terms(), parent: id }]) expect((await world.ask('POST', '/v1/grants', body)).status).toBe(400);
  for (const [method, path] of [['PUT', `/v1/grants/${id}`], ['PATCH', `/v1/grants/${id}`], ['POST', `/v1/grants/${id}`], ['POST', `/v1/grants/${id}/extend`], ['DELETE', `/v1/grants/${id}`]] as const) {
    expect([404, 405], `${method} ${path}`).toContain((await world.ask(method, path, { expiresAt: '2099-01-01T00:00:00.000Z' })).status);
  }
  expect(await decide()).toBe('grant.expired');
});

describe('I2: once revoke has answered, nothing it covers is allowed', () => {
  const kinds: readonly SelectorKind[] = ['grant', 'task', 'owner', 'bundle-revision', 'workload', 'workload-prefix', 'trust-domain', 'issuer', 'realm', 'credential'];
  test.each(kinds)('demand(6): %s', async (kind) => {
    const task = await openTask();
    const grant = await issue({ task });
    expect(await decide()).toMatch(/^until/);
    const value = {
      grant, task, owner: 'team:shop', 'bundle-revision': world.at.policy?.revision, workload: WORKLOAD, 'workload-prefix': 'spiffe://dev.local', 'trust-domain': 'dev.local', issuer: 'spiffe://dev.local', realm: 'default',
      credential: { issuer: 'i', jti: 'j' },
    }[kind as string] ?? '';
    const executed = await world.lifecycle.revoke(CALL, { selector: { kind, value }, reason: 'leak' }, false);
    expect(executed.ok).toBe(true);
    expect(await decide()).toMatch(/revoked$/);
    // A new credential, and a new grant where grants were covered: allowed again (L1), but for what can't come back.
    world.at.now += 1_000;
    issuedAt = world.at.now;
    if (kind === 'credential' || kind === 'task') return;
    await issue({ owner: 'team:shop' });
    expect(await decide()).toMatch(/^until/);
  });

  test('a suspension covers new credentials and grants too, until it is lifted', async () => {
    await issue();
    const placed = await world.lifecycle.suspend(CALL, { selector: { kind: 'workload', value: WORKLOAD }, reason: 'odd' }, false);
    world.at.now += 1_000;
    issuedAt = world.at.now;
    expect(await decide()).toBe('subject.suspended');
    await world.lifecycle.lift(CALL, { id: placed.ok ? (placed.reply['suspension'] as { id: string }).id : '', persons: [] });
    expect(await decide()).toMatch(/^until/);
  });

  test('a suspension that is lifted gives back what was issued since the last revocation, and nothing that this one covers', async () => {
    await issue();
    await world.lifecycle.revoke(CALL, { selector: { kind: 'workload', value: WORKLOAD }, reason: 'leaked' }, false);
    world.at.now += 1_000;
    issuedAt = world.at.now;
    expect(await decide()).toBe('grant.revoked');
    await issue();
    expect(await decide()).toMatch(/^until/);
    const placed = await world.lifecycle.suspend(CALL, { selector: { kind: 'workload', value: WORKLOAD }, reason: 'odd' }, false);
    expect(await decide()).toBe('subject.suspended');
    await world.lifecycle.lift(CALL, { id: placed.ok ? (placed.reply['suspension'] as { id: string }).id : '', persons: [] });
    expect(await decide()).toMatch(/^until/);
    issuedAt = T0;
    expect(await decide()).toBe('subject.revoked');
  });

  test('whatever is issued, ended, lifted and waited for, a decision agrees with the state that is shown', async () => {
    const step = fc.constantFrom('issue', 'revoke grant', 'revoke workload', 'suspend', 'lift', 'wait', 'open', 'close', 'pause', 'resume');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), fc.uuid(), async (steps, salt) => {
        const workload = `spiffe://dev.local/p/${salt}`;
        let [grant, task, suspension]: (string | undefined)[] = [];
        for (const one of steps) {
          issuedAt = world.at.now + 1_000;
          if (one === 'wait') world.at.now += 20_000;
          if (one === 'open') task = await openTask({ heartbeatMs: 50_000 });
          if (one === 'issue') {
            const executed = await world.lifecycle.issueGrant(CALL, terms({ workload, ...(task === undefined ? {} : { task }) }));
            if (executed.ok) grant = (executed.reply['grant'] as { id: string }).id;
          }
          if (one === 'revoke grant' && grant !== undefined) await world.lifecycle.revoke(CALL, { selector: { kind: 'grant', value: grant }, reason: 'r' }, true);
          if (one === 'revoke workload') await world.lifecycle.revoke(CALL, { selector: { kind: 'workload', value: workload }, reason: 'r' }, true);
          if (one === 'suspend') {
            const executed = await world.lifecycle.suspend(CALL, { selector: { kind: 'workload', value: workload }, reason: 'r' }, true);
            if (executed.ok) suspension = (executed.reply['suspension'] as { id: string }).id;
          }
          if (one === 'lift' && suspension !== undefined) await world.lifecycle.lift(CALL, { id: suspension, persons: [] });
          if (one === 'close' && task !== undefined) await world.lifecycle.closeTask(CALL, task);
          if (one === 'pause' && task !== undefined) await world.lifecycle.pauseTask(CALL, task);
          if (one === 'resume' && task !== undefined) await world.lifecycle.resumeTask(CALL, task);
          issuedAt = world.at.now + 1_000;
          const shown = await world.inspect.grants('default', { workload }, { limit: 50 });
          const anyActive = shown.items.some(({ state }) => state === 'active');
          const explained = await decider.explain(
            { id: 'x', realm: 'default', protocol: 'explain', pep: { id: undefined, obligations: [] }, presented: { kind: 'none' }, question: { action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' } }, input: {} },
            { identity: { ...identity(workload), credential: { selectors: [], fingerprint: 'x' } } },
          );
          expect(explained.decision.allow, JSON.stringify(explained.decision)).toBe(anyActive);
        }
      }),
      { numRuns: 40 },
    );
  });
});

test('I12: another realm has its own grants, endings and positions', async () => {
  await issue();
  expect(await decide({ realm: 'other' })).toBe('grant.none');
  await world.lifecycle.revoke({ ...CALL, realm: 'other' }, { selector: { kind: 'workload', value: WORKLOAD }, reason: 'leak' }, true);
  expect(await decide()).toMatch(/^until/);
});

test('E11: limited uses are counted by decisions and shown; explain consumes none', async () => {
  const id = await issue({ uses: 2 });
  const explain = { workload: WORKLOAD, action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' } };
  for (let time = 0; time < 5; time += 1) expect((await world.ask('POST', '/v1/explain', explain)).body.decision).toBe('allow');
  expect(await decide({ id: 'd-1' })).toMatch(/^until/);
  expect((await world.ask('GET', `/v1/grants/${id}`)).body).toMatchObject({ state: 'active', uses: 2, usesLeft: 1 });
  expect(await decide({ id: 'd-2' })).toMatch(/^until/);
  expect(await decide({ id: 'd-3' })).toBe('grant.uses_exhausted');
  expect((await world.ask('GET', `/v1/grants/${id}`)).body).toMatchObject({ state: 'ended', endedBecause: 'grant.uses_exhausted', usesLeft: 0 });
});

describe('explain', () => {
  const ask = (over: object = {}) => world.ask('POST', '/v1/explain', { workload: WORKLOAD, action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' }, ...over });

  test('says of each grant why it counted or not, now or at another instant', async () => {
    const short = await issue({ ttlMs: 1_000 });
    const bound = await issue({ conditions: { source: ['10.0.0.0/8'] } });
    const elsewhere = await issue({ scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'other.local/**' } }] });
    const now = await ask();
    expect(now.body).toMatchObject({ decision: 'allow', grant: short, workload: WORKLOAD });
    expect(Object.fromEntries(now.body.grants.map((grant: any) => [grant.id, grant.reason]))).toEqual({ [short]: undefined, [bound]: 'grant.condition', [elsewhere]: 'grant.none' });
    expect((await ask({ source: '10.1.2.3' })).body.grants.find(({ id }: any) => id === bound).reason).toBeUndefined();
    const later = await ask({ at: new Date(T0 + 1_000).toISOString() });
    expect(later.body).toMatchObject({ decision: 'deny' });
    expect(later.body.grants.find(({ id }: any) => id === bound).reason).toBe('grant.condition');
  });

  test('with a credential instead of a workload; with both or neither it is refused; nothing is recorded', async () => {
    expect((await ask({ workload: undefined, token: WORKLOAD })).body.decision).toBe('deny');
    expect((await ask({ token: 'x' })).status).toBe(400);
    expect((await ask({ workload: undefined })).status).toBe(400);
    expect(world.events()).toBe(0);
  });
});
