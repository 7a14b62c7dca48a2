/** Who may answer for access: somebody whom the people source knows, wherever there is one. Over both stores. */
import { expect, test } from 'vitest';
import { lifecycleDeps } from '../../src/compose.ts';
import { configSchema } from '../../src/config/schema.ts';
import { WORKLOAD, terms } from '../lifecycle/world.ts';
import type { Executed } from '../../src/lifecycle/execute.ts';
import { onBothStores } from '../support/both-stores.ts';
import { CALL, createPeopleWorld } from './world.ts';

const MIGRATE = 'spiffe://dev.local/db/migrate';
const OTHER = 'spiffe://dev.local/db/other';
const NOBODY = 'is nobody whom the people source or the configuration knows';
const said = (executed: Executed): string => (executed.ok ? 'ok' : `${executed.failure.code}: ${executed.failure.detail}`);

onBothStores('owners', (open) => {
  test('demand(23) demand(34) E12: an owner whom nobody knows is refused with the field, for a grant, a request, a workload and what is handed on; nothing is written', async () => {
    const { lifecycle, requests, directory, user, group, sequence, person, store } = await createPeopleWorld(open);
    const issue = (owner: string) => lifecycle.issueGrant(CALL, terms({ owner }));
    const register = (id: string, owner: string, fallbackOwner = 'team:platform') => directory.setWorkload(CALL, { id, kind: 'batch', owner, fallbackOwner, tier: 'sensitive', aliases: [], active: true });
    const before = await sequence();
    for (const owner of ['user:nobody', 'team:nobodys', 'user:platform', 'team:dan']) expect(said(await issue(owner)), owner).toBe(`invalid: /owner ${NOBODY}`);
    expect(said(await register(MIGRATE, 'team:data', 'user:nobody'))).toBe(`invalid: /fallbackOwner ${NOBODY}`);
    expect(said(await register(MIGRATE, 'user:nobody'))).toContain(`/owner ${NOBODY}`);
    expect(await sequence()).toBe(before);
    // A person is known from the first message on, a team from the first person in it.
    const dan = await user('dan');
    expect(said(await issue('user:dan'))).toBe('ok');
    expect(said(await issue('team:crew'))).toContain(NOBODY);
    await directory.setPerson(CALL, { id: 'user:pat', accounts: [], teams: ['team:crew'], active: true }, 'api');
    expect(said(await issue('team:crew'))).toBe('ok');
    // Names that the configuration uses are known to it: `Data` is a group whose team is `team:data`.
    expect(said(await register(MIGRATE, 'team:data'))).toBe('ok');
    await group('SRE', dan);
    expect(await person('user:dan')).toMatchObject({ teams: ['team:sre'] });
    const dora = { realm: 'default', actor: { kind: 'operator', id: 'user:dora', names: ['user:dora', 'team:data'] } } as const;
    const ask = (owner?: string) => requests.create(dora, { entitlement: 'db-migration', workload: MIGRATE, ttlMs: 3_600_000, justification: 'adds a column', reference: 'CHG-7', ...(owner === undefined ? {} : { owner }) }, 'request');
    expect(said(await ask())).toBe('ok');
    expect(said(await ask('user:dora')), 'also who asks').toBe(`invalid: /owner ${NOBODY}`);
    await directory.setPerson(CALL, { id: 'user:dora', accounts: [], teams: ['team:data'], active: true }, 'api');
    expect(said(await ask('user:dora'))).toBe('ok');
    expect(said(await ask('team:unheard'))).toContain('/owner');
    // A registration from before there was a source: what is handed on to it would be nobody's.
    await store.commit({ realm: 'default', expect: [], puts: [{ key: { kind: 'workload', id: OTHER }, value: { version: 1, id: OTHER, kind: 'batch', owners: ['team:old'], fallbackOwners: ['team:platform'], tier: 'standard', aliases: [], active: true } }], events: [{ type: 'x', about: [], ending: false, data: {} }] });
    expect(said(await lifecycle.issueGrant(CALL, terms({ workload: OTHER, owner: 'team:old' })))).toContain(NOBODY);
  });

  test('demand(34): a workload whose owner has left, or whom nobody knows, can still be ended', async () => {
    const { lifecycle, directory, user, patch, ask } = await createPeopleWorld(open);
    const dan = await user('dan');
    await user('pat');
    const set = (over: object) => directory.setWorkload(CALL, { id: WORKLOAD, kind: 'ci', owner: 'user:dan', fallbackOwner: 'user:pat', tier: 'standard', aliases: [], active: true, ...over });
    expect(said(await set({}))).toBe('ok');
    expect(said(await lifecycle.issueGrant(CALL, terms({ owner: 'user:pat' })))).toBe('ok');
    await patch(`/Users/${dan}`, { op: 'replace', path: 'active', value: false });
    expect(said(await set({ tier: 'sensitive' }))).toBe('invalid: /owner has left');
    expect(await ask(WORKLOAD)).toBe('allow');
    expect(said(await set({ active: false, fallbackOwner: 'user:unheard' }))).toBe('ok');
    expect(await ask(WORKLOAD)).toMatch(/revoked/);
  });
});

test('demand(23): owners must be known where a people source is configured, in its realm; elsewhere any name will do unless the configuration asks for more', () => {
  const known = (over: object, realm = 'default') => {
    const config = configSchema.parse({
      http: {}, authzen: undefined, opa: undefined, kubernetes: undefined, limits: undefined, log: undefined, realms: ['default', 'red'],
      admin: { operators: { persons: { 'oidc:idp.example/a': 'user:alice' }, groups: { A: { team: 'team:a', realms: ['red'] }, B: { team: 'team:b' } } } }, ...over,
    });
    const names = lifecycleDeps({ config, store: {}, clock: {}, mode: 'production' } as never, () => undefined).knownOwners?.(realm);
    return names === undefined ? undefined : [...names];
  };
  const feed = { id: 'idp', token: { env: 'TEST_SCIM_TOKEN' } };
  expect(known({})).toBeUndefined();
  expect(known({ lifecycle: { directory: { knownOwners: true } } })).toEqual(['user:alice', 'team:b']);
  expect(known({ lifecycle: { directory: { file: 'people.json' } } }, 'red')).toEqual(['user:alice', 'team:a', 'team:b']);
  expect(known({ lifecycle: { directory: { file: 'people.json', knownOwners: false } } })).toBeUndefined();
  expect(known({ signals: { port: 0, scim: [feed] } })).toEqual(['user:alice', 'team:b']);
  expect(known({ signals: { port: 0, scim: [{ ...feed, realm: 'red' }] } })).toBeUndefined();
  expect(known({ signals: { port: 0, scim: [{ ...feed, realm: 'red' }] } }, 'red')).toEqual(['user:alice', 'team:a', 'team:b']);
});
