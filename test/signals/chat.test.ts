/**
 * Approvals by chat tools: those who may approve hear of a request through the outbox, with the digest that an approval names; a signed message says what
 * a person decided, once, and every rule of approvals holds as at the admin API.
 */
import { createHmac, randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/domain/json.ts';
import type { Executed } from '../../src/lifecycle/execute.ts';
import type { Call } from '../../src/lifecycle/lifecycle.ts';
import { signalsConfig } from '../../src/signals/config.ts';
import { createSignals } from '../../src/supervisor/signals.ts';
import { createWorld, T0, type World } from '../lifecycle/world.ts';

const SECRET = 'the secret of the chat tool, long enough';
process.env['TEST_CHAT_SECRET'] = SECRET;
const WORKLOAD = 'spiffe://dev.local/db/migrate';
const person = (name: string, ...names: readonly string[]): Call => ({ realm: 'default', actor: { kind: 'operator', id: `user:${name}`, names: [`user:${name}`, ...names] } });
const [CONFIGURER, DATA, SRE] = [person('carl'), person('dora', 'team:data'), person('sue', 'team:sre')];
/** Accounts of the chat tool; two of them are one person, one is who asks, one is of another team. */
const PERSONS = { U1: 'user:dan', U1b: 'user:dan', U2: 'user:sid', U3: 'user:dora', U4: 'user:otto', U5: 'user:gone' };

let world: World;
let receive: (request: Request) => Promise<Response>;
beforeEach(async () => {
  world = await createWorld({ development: false, noted: true });
  const signals = signalsConfig.parse({ port: 0, hooks: [{ kind: 'chat', id: 'chat', secret: { env: 'TEST_CHAT_SECRET' }, persons: PERSONS }, { kind: 'generic', id: 'iam', secret: { env: 'TEST_CHAT_SECRET' }, owner: 'team:shop' }] });
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  ({ receive } = createSignals({ config: { signals, realms: ['default'] }, clock: world.clock, store: world.store } as never, world.lifecycle, log, { requests: world.requests, policy: () => world.at.policy }));
  await world.directory.setWorkload(CONFIGURER, { id: WORKLOAD, kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform', tier: 'sensitive', aliases: [], active: true });
  // The chat tool says who it is; which team that person is in, the directory.
  for (const [name, teams] of [['dan', ['team:dba']], ['sid', ['team:sre']], ['dora', ['team:data', 'team:dba']], ['otto', ['team:shop']], ['gone', ['team:dba']]] as const) {
    await world.directory.setPerson(CONFIGURER, { id: `user:${name}`, accounts: [], teams, active: true }, 'api');
  }
  await world.directory.setPerson(CONFIGURER, { id: 'user:gone', accounts: [], teams: [], active: false }, 'api');
});
afterEach(() => world.close());

const said = (executed: Executed): string => (executed.ok ? 'ok' : `${executed.failure.code}: ${executed.failure.detail}`);
const ask = async (): Promise<{ readonly id: string; readonly digest: string }> => {
  const executed = await world.requests.create(DATA, { entitlement: 'db-migration', workload: WORKLOAD, ttlMs: 60_000, justification: 'adds a column', reference: 'CHG-7' }, 'request');
  if (!executed.ok) throw new Error(said(executed));
  return executed.reply['request'] as { id: string; digest: string };
};
interface Sent {
  readonly id?: string;
  readonly key?: string;
  readonly at?: number;
  readonly hook?: string;
}
const message = (body: object, { id = randomUUID(), key = SECRET, at = T0, hook = 'chat' }: Sent = {}): Request => {
  const [text, time] = [JSON.stringify(body), Math.floor(at / 1_000)];
  const signature = `v1,${createHmac('sha256', key).update(`${id}.${time}.${text}`).digest('base64')}`;
  return new Request(`http://localhost/signals/${hook}`, { method: 'POST', body: text, headers: { 'webhook-id': id, 'webhook-timestamp': String(time), 'webhook-signature': signature } });
};
const send = async (body: object, over?: Sent): Promise<number> => (await receive(message(body, over))).status;
const approval = ({ id, digest }: { id: string; digest: string }, account: string) => ({ type: 'request.approve', request: id, digest, account });
const shown = async (id: string) => world.requests.get('default', id);
const grants = async (): Promise<number> => (await world.store.list('default', { kind: 'grant', limit: 10 })).items.length;

describe('approvals by a chat tool', () => {
  test('demand(27): those who may approve hear of it, with its digest; two of them press the button, and the grant is there', async () => {
    const request = await ask();
    const [alert] = (await world.store.list('default', { kind: 'alert', limit: 10 })).items.map(({ value }) => value).filter(({ type }) => type === 'request.pending');
    expect(alert).toMatchObject({
      id: `request.pending:${request.id}`, severity: 'info', recipients: ['team:dba', 'team:sre'], state: 'pending',
      data: { request: request.id, digest: request.digest, entitlement: 'db-migration', workload: WORKLOAD, requester: 'user:dora', justification: 'adds a column', reference: 'CHG-7', needed: 2 },
    });
    expect((await world.store.list('default', { kind: 'outbox', limit: 10 })).items.map(({ key }) => key.id)).toContain(`request.pending:${request.id}`);
    const { digest } = (alert?.['data'] ?? {}) as { digest: string };
    expect(await send(approval({ id: request.id, digest }, 'U1'))).toBe(202);
    expect(await shown(request.id)).toMatchObject({ state: 'pending', approvals: [{ approver: 'user:dan' }] });
    expect(await send(approval(request, 'U2'))).toBe(202);
    expect(await shown(request.id)).toMatchObject({ state: 'approved', approvals: [{ approver: 'user:dan' }, { approver: 'user:sid' }] });
    expect(await grants()).toBe(1);
  });

  test('a denial is final, and needs its reason', async () => {
    const request = await ask();
    expect(await send({ type: 'request.deny', request: request.id, account: 'U1' })).toBe(400);
    expect(await send({ type: 'request.deny', request: request.id, account: 'U1', reason: 'not in this window' })).toBe(202);
    expect(await shown(request.id)).toMatchObject({ state: 'denied', decidedBy: 'user:dan', reason: 'not in this window' });
    expect(await send(approval(request, 'U2'))).toBe(409);
  });

  test('F1 F6: nobody gets by the rules: who asked, one person twice, who has left, another team, an account that is nobody', async () => {
    const request = await ask();
    expect(await send(approval(request, 'U1'))).toBe(202);
    for (const account of ['U3', 'U1b', 'U5', 'U4', 'U9', 'constructor', '__proto__', 'user:sid', '']) expect(await send(approval(request, account)), account).toBe(409);
    expect(await send(approval({ ...request, digest: '0'.repeat(64) }, 'U2')), 'another digest').toBe(409);
    expect(await shown(request.id)).toMatchObject({ state: 'pending', approvals: [{ approver: 'user:dan' }] });
    expect(said(await world.requests.approve(SRE, request.id, request.digest)), 'the other way counts beside it').toBe('ok');
  });

  test('E12: what is not signed right, old, for another hook or malformed decides nothing', async () => {
    const request = await ask();
    const good = approval(request, 'U1');
    const bad: readonly (readonly [number, object, Sent?])[] = [
      [401, good, { key: 'another secret of the same length, really' }], [401, good, { at: T0 - 301_000 }], [401, good, { at: T0 + 301_000 }], [401, good, { id: '' }],
      [202, good, { hook: 'iam' }], [404, good, { hook: 'other' }], [400, { ...good, digest: undefined }], [400, { ...good, account: undefined }], [400, { ...good, request: '../x' }], [400, { ...good, type: 7 }], [202, { ...good, type: 'message' }],
      [400, { type: 'request.approve', request: [request.id], digest: request.digest, account: 'U1' }],
    ];
    for (const [status, body, over] of bad) expect(await send(body, over), JSON.stringify([body, over])).toBe(status);
    // Nor do chat tools speak of tasks or ends.
    expect(await send({ type: 'access.ended', selector: { kind: 'workload', value: WORKLOAD }, reason: 'x', account: 'U1' })).toBe(202);
    expect(await send({ type: 'task.closed', task: 'x' })).toBe(202);
    expect([await shown(request.id), (await world.store.list('default', { kind: 'revocation', limit: 10 })).items.length]).toMatchObject([{ state: 'pending', approvals: [] }, expect.any(Number)]);
    expect(await send(good), 'the control').toBe(202);
  });

  test('I8: a message counts once: replayed it is answered as the first time, and with another body under its id it is refused', async () => {
    const request = await ask();
    const other = await ask();
    for (let times = 0; times < 3; times += 1) expect(await send(approval(request, 'U1'), { id: 'm-1' })).toBe(202);
    expect(await send(approval(other, 'U1'), { id: 'm-1' })).toBe(409);
    expect(await send(approval(request, 'U2'), { id: 'm-1' })).toBe(409);
    expect(await Promise.all(Array.from({ length: 8 }, () => send(approval(request, 'U2'), { id: 'm-2' })))).toEqual(Array.from({ length: 8 }, () => 202));
    expect(await shown(request.id)).toMatchObject({ state: 'approved' });
    expect(await grants()).toBe(1);
    expect(await shown(other.id)).toMatchObject({ approvals: [] });
  });

  test('without a policy that says yes, and while the clock is not trusted, nothing is decided', async () => {
    const request = await ask();
    const { policy } = world.at;
    world.at.trusted = false;
    expect(await send(approval(request, 'U1'))).toBe(503);
    world.at.trusted = true;
    world.at.policy = undefined;
    expect(await send(approval(request, 'U1'))).toBe(503);
    world.at.policy = policy && { ...policy, evaluate: (entrypoint, input, now) => (entrypoint === 'curfew/admin/decision' ? { kind: 'value', value: { allow: false } as unknown as JsonObject } : policy.evaluate(entrypoint, input, now)) };
    expect(await send(approval(request, 'U1'))).toBe(409);
    world.at.policy = policy;
    expect(await send(approval(request, 'U1')), 'the control').toBe(202);
  });
});
