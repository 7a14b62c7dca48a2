/** Emergency access has a route and a key of its own: there is no other way to it, and whoever tries one is on record. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BreakGlassKey } from '../../src/admin/requests.ts';
import { ROLES } from '../../src/domain/lifecycle/roles.ts';
import { NOTES_A_MINUTE } from '../../src/lifecycle/note-refusals.ts';
import { createAdminWorld, type AdminWorld } from '../admin/world.ts';
import { T0 } from '../lifecycle/world.ts';

const CONSOLE = 'spiffe://dev.local/ops/console';
const HEADER = 'curfew-break-glass-key';
const key = (text: string, over: Partial<BreakGlassKey> = {}): BreakGlassKey =>
  ({ person: 'user:dora', sha256: createHash('sha256').update(text).digest('hex'), end: new Date(T0 + 3_600_000).toISOString(), ...over });

const KEYS = [
  key('good'), key('over', { end: new Date(T0).toISOString() }), key('of-somebody-else', { person: 'user:sue' }), key('of-another-realm', { realms: ['other'] }),
];
const TERMS = { workload: CONSOLE, ttlMs: 900_000, justification: 'the shop is down', reference: 'INC-9' };
const ASKED = { entitlement: 'break-glass-prod', ...TERMS };
const ISSUED = { ...TERMS, model: 'break-glass', entitlement: 'break-glass-prod', owner: 'team:sre', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'prod.local/**' } }] };

let world: AdminWorld;
beforeEach(async () => {
  world = await createAdminWorld({
    // Every role, and on call: whatever is refused here is not refused for want of one.
    authenticate: async () => ({ kind: 'operator', id: 'user:dora', roles: ROLES, groups: ['on-call'], persons: ['user:dora'] }),
    breakGlass: { keys: KEYS, open: false, now: () => world.clock.now().latest },
  }, { development: false, noted: true });
  const registered = await world.ask('PUT', `/v1/workloads/${encodeURIComponent(CONSOLE)}`, { kind: 'other', owner: 'team:sre', fallbackOwner: 'team:platform' });
  expect(registered.status, registered.text).toBe(200);
});
afterEach(() => world.close());

const open = (given: string | undefined, body: object = ASKED) => world.ask('POST', '/v1/break-glass', body, given === undefined ? {} : { [HEADER]: given });
const grants = async (): Promise<number> => (await world.store.list('default', { kind: 'grant', limit: 10 })).items.length;
const refusals = async () => (await world.store.events('default', { after: 0, limit: 1_000 })).filter(({ type }) => type === 'command.refused');

describe('demand(30): emergency access is to be had on its own route, with its own key', () => {
  test('an entitlement that is marked direct does not open the plain route, whatever role and key come with it', async () => {
    for (const body of [ISSUED, { ...ISSUED, entitlement: undefined }]) {
      const { status, text } = await world.ask('POST', '/v1/grants', body, { [HEADER]: 'good' });
      expect([status, text]).toEqual([400, expect.stringContaining('a route and a key of their own')]);
    }
    expect((await world.ask('POST', '/v1/requests', ASKED, { [HEADER]: 'good' })).status).toBe(400);
    // Another model by this entitlement, and this model by another entitlement.
    for (const over of [{ model: 'time-boxed' }, { entitlement: 'db-migration' }]) expect((await world.ask('POST', '/v1/grants', { ...ISSUED, ...over })).status).toBe(400);
    expect(await grants()).toBe(0);
    expect((await refusals()).map(({ data }) => [data['command'], data['by'], data['code']])).toEqual([
      ['grant.issue', 'user:dora', 'invalid'], ['grant.issue', 'user:dora', 'invalid'], ['request.create', 'user:dora', 'invalid'], ['grant.issue', 'user:dora', 'invalid'], ['grant.issue', 'user:dora', 'invalid'],
    ]);
    expect(await open('good'), 'the control').toMatchObject({ status: 201, body: { state: 'approved' } });
    expect(await grants()).toBe(1);
  });

  test.each([['without a key', undefined], ['with a wrong one', 'guess'], ['with one that has ended', 'over'], ["with another person's", 'of-somebody-else'], ["with another realm's", 'of-another-realm'], ['with its hash', KEYS[0]?.sha256]])('%s it is refused, and that is on record', async (_name, given) => {
    const { status, body } = await open(given);
    expect([status, body.code]).toEqual([403, 'not-permitted']);
    expect(await grants()).toBe(0);
    const [refused, ...more] = await refusals();
    expect(more).toEqual([]);
    expect(refused).toMatchObject({ data: { command: 'break-glass.open', by: 'user:dora', code: 'not-permitted' } });
    if (given !== undefined) expect(JSON.stringify(refused)).not.toContain(given);
    expect((await open('good')).status, 'the control').toBe(201);
    if (given === 'of-another-realm') {
      const there = await world.ask('POST', '/v1/realms/other/break-glass', ASKED, { [HEADER]: given });
      expect(there.body.detail, 'it is a key there').not.toContain('key');
    }
  });

  test('a key ends at its end, to the millisecond', async () => {
    world.at.now = T0 + 3_600_000 - 1;
    expect((await open('good')).status).toBe(201);
    world.at.now = T0 + 3_600_000;
    expect((await open('good')).status).toBe(403);
  });

  test('guessing without end fills no log: so many notes a minute, and how many were left out', async () => {
    for (let guess = 0; guess < NOTES_A_MINUTE + 20; guess += 1) expect((await open(`guess-${guess}`)).status).toBe(403);
    expect(await refusals()).toHaveLength(NOTES_A_MINUTE);
  });
});
