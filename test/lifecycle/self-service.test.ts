/** Self-service and admission, as the gateway's port asks for them. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Identity } from '../../src/decision/evaluation.ts';
import type { DurationMs, Instant } from '../../src/domain/instant.ts';
import type { Admit, SelfService } from '../../src/gateways/self-service/port.ts';
import { createAdmit } from '../../src/lifecycle/admit.ts';
import { createSelfService } from '../../src/lifecycle/self-service.ts';
import { CALL, createWorld, T0, terms, WORKLOAD, type World } from './world.ts';

let world: World;
let service: SelfService;
let admit: Admit;
beforeEach(async () => {
  world = await createWorld();
  service = createSelfService(world.lifecycle, world.inspect, world);
  admit = createAdmit({ store: world.store, credentialSkewMs: 5_000 });
});
afterEach(async () => {
  await world.close();
});

const identity = (over: Partial<Identity['credential']> = {}, workload = WORKLOAD): Identity => ({
  workload, kind: 'jwt-svid', issuer: 'spiffe://dev.local', audience: ['curfew'], claims: {}, confirmed: {},
  credential: { selectors: ['credential:sha256:aa'], issuedAt: T0 as Instant, expiresAt: (T0 + 300_000) as Instant, maxAgeMs: 300_000 as DurationMs, fingerprint: 'f', ...over },
});
const caller = (workload = WORKLOAD, idempotencyKey?: string) => ({ identity: identity({}, workload), realm: 'default', ...(idempotencyKey === undefined ? {} : { idempotencyKey }) });
const openTask = async (): Promise<string> => {
  const opened = await world.lifecycle.openTask(CALL, { kind: 'agent', owner: 'team:ai', heartbeatMs: 10_000 });
  return opened.ok ? (opened.reply['task'] as { id: string }).id : '';
};

test('a workload sees its own grants, live ones first, page by page, and nobody else', async () => {
  for (const ttlMs of [1_000, 60_000, 30_000]) await world.lifecycle.issueGrant(CALL, terms({ ttlMs }));
  await world.lifecycle.issueGrant(CALL, terms({ workload: 'spiffe://dev.local/else' }));
  world.at.now += 1_000;
  const first = await service.listOwnGrants(caller(), { limit: 2 });
  if (!first.ok) throw new Error(first.detail);
  expect((first.value['items'] as any[]).map(({ state, expiresAt }) => [state, expiresAt])).toEqual([['active', new Date(T0 + 60_000).toISOString()], ['active', new Date(T0 + 30_000).toISOString()]]);
  const second = await service.listOwnGrants(caller(), { limit: 2, after: String(first.value['next']) });
  expect(second).toMatchObject({ ok: true, value: { items: [{ state: 'ended', endedBecause: 'grant.expired', workload: WORKLOAD }] } });
  expect(second.ok && second.value['next']).toBeUndefined();
  expect(JSON.stringify([first, second])).not.toMatch(/user:op|deploy the shop|issuedBy|approvals/);
});

test('demand(39): it beats and closes its task; another\'s does not exist for it; a replay has one effect', async () => {
  const id = await openTask();
  await world.lifecycle.issueGrant(CALL, terms({ model: 'jit', task: id }));
  expect(await service.beatTask(caller(), id)).toMatchObject({ ok: true, value: { id, state: 'open' } });
  expect(await service.beatTask(caller('spiffe://dev.local/else'), id)).toMatchObject({ ok: false, status: 404 });
  expect(await service.closeTask(caller(WORKLOAD, 'k1'), id)).toMatchObject({ ok: true, value: { state: 'closed', closedBy: WORKLOAD } });
  expect(await service.closeTask(caller(WORKLOAD, 'k1'), id)).toMatchObject({ ok: true, value: { state: 'closed' } });
  expect(await service.closeTask(caller(), id)).toMatchObject({ ok: false, status: 409, code: 'state' });
  expect(await service.beatTask(caller(WORKLOAD, 'k1'), 'other')).toMatchObject({ ok: false, status: 404 });
});

test('a covered credential is not admitted; a one-time one once', async () => {
  const now = () => ({ realm: 'default', now: world.clock.now() });
  expect(await admit(identity(), now())).toBeUndefined();
  await world.lifecycle.revoke(CALL, { selector: { kind: 'credential', value: { sha256: 'bb'.repeat(32) } }, reason: 'leak' }, true);
  expect(await admit(identity({ selectors: [`credential:sha256:${'bb'.repeat(32)}`] }), now())).toBe('credential.revoked');
  await world.lifecycle.suspend(CALL, { selector: { kind: 'workload', value: WORKLOAD }, reason: 'odd' }, true);
  expect(await admit(identity(), now())).toBe('subject.suspended');
  const once = identity({ oneTime: 'jti-1', selectors: [] }, 'spiffe://dev.local/else');
  expect(await admit(once, now())).toBeUndefined();
  expect(await admit(once, now())).toBe('credential.replayed');
});

test("W3C trace context of the workload's request is in the event", async () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const task = await openTask();
  await world.lifecycle.issueGrant(CALL, terms({ model: 'jit', task, reference: undefined }));
  expect(await service.closeTask({ ...caller(), traceparent }, task)).toMatchObject({ ok: true });
  const [closed] = (await world.store.events('default', { after: 0, limit: 100 })).slice(-1);
  expect(closed).toMatchObject({ type: 'task.closed', data: { traceparent, by: WORKLOAD } });
});
