/** What a people source may have at most, a group of very many, and what its groups mean once the configuration says something else. Over both stores. */
import { expect, test } from 'vitest';
import { WORKLOAD, terms } from '../lifecycle/world.ts';
import { onBothStores } from '../support/both-stores.ts';
import { until } from '../support/until.ts';
import { CALL, createPeopleWorld } from './world.ts';

/** `npm run test:members` has 10,000. */
const MEMBERS = Number(process.env['CURFEW_SCIM_MEMBERS'] ?? 120);
const NEW_USER = { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], active: true };

onBothStores('SCIM limits', (open) => {
  test('B8: a source has at most so many users and groups, whoever creates them at once; one more is refused and leaves nothing, one that is deleted makes room', async () => {
    const world = await createPeopleWorld(open, { scim: { maxUsers: 5, maxGroups: 2 } });
    const { scim, user, patch, sequence, store, person } = world;
    const first = await user('u0');
    const statuses = (await Promise.all(Array.from({ length: 12 }, (_, index) => scim('POST', '/Users', { ...NEW_USER, userName: `u${index + 1}` })))).map(({ status, body }) => [status, body.scimType]);
    expect(statuses.filter(([status]) => status === 201)).toHaveLength(4);
    expect(statuses.filter(([status, type]) => status === 400 && type === 'tooMany')).toHaveLength(8);
    expect((await scim('GET', '/Users')).body.totalResults).toBe(5);
    const before = await sequence();
    expect(await scim('POST', '/Users', { ...NEW_USER, userName: 'late' })).toMatchObject({ status: 400, body: { detail: 'this source may have at most 5 users' } });
    expect([await sequence(), await person('user:late')]).toEqual([before, undefined]);
    // Deactivated is still there, and everything else goes on at the limit.
    expect((await patch(`/Users/${first}`, { op: 'replace', path: 'active', value: false })).status).toBe(200);
    expect((await scim('POST', '/Users', { ...NEW_USER, userName: 'late' })).status).toBe(400);
    expect((await scim('DELETE', `/Users/${first}`)).status).toBe(204);
    expect((await scim('DELETE', `/Users/${first}`)).status).toBe(404);
    expect((await scim('POST', '/Users', { ...NEW_USER, userName: 'late' })).status).toBe(201);
    expect((await scim('POST', '/Users', { ...NEW_USER, userName: 'later' })).status).toBe(400);
    const groups = await Promise.all(['SRE', 'Data', 'Shop'].map((displayName) => scim('POST', '/Groups', { displayName })));
    expect(groups.filter(({ status }) => status === 201)).toHaveLength(2);
    expect(groups.filter(({ status }) => status === 400)).toHaveLength(1);
    expect((await scim('DELETE', `/Groups/${groups.find(({ status }) => status === 201)?.body.id as string}`)).status).toBe(204);
    expect((await scim('POST', '/Groups', { displayName: 'Platform' })).status).toBe(201);
    // A store from before there was a count: they are counted as they are.
    for (const id of ['idp:user:made', 'idp:group:made', 'idp:user:gone', 'idp:group:gone']) await store.commit({ realm: 'default', expect: [], puts: [], drops: [{ kind: 'feed-count', id }], events: [{ type: 'x', about: [], ending: false, data: {} }] });
    expect((await scim('POST', '/Users', { ...NEW_USER, userName: 'later' })).status).toBe(400);
    expect((await scim('POST', '/Groups', { displayName: 'More' })).status).toBe(400);
  });

  test(`B8 demand(67): a group of ${MEMBERS} in one message: each is in its team; access is judged meanwhile, and whoever leaves in the middle of it has left`, { timeout: 30_000 + 60 * MEMBERS }, async () => {
    const world = await createPeopleWorld(open);
    const { scim, user, patch, ask, lifecycle, person, store, principal } = world;
    const ids: string[] = [];
    for (let from = 0; from < MEMBERS; from += 20) ids.push(...(await Promise.all(Array.from({ length: Math.min(20, MEMBERS - from) }, (_, index) => user(`u${from + index}`)))));
    expect((await lifecycle.issueGrant(CALL, terms({ owner: 'user:u1' }))).ok).toBe(true);
    let over = false;
    const { body: { id: sre } } = await scim('POST', '/Groups', { displayName: 'SRE' });
    const everybody = { op: 'add', path: 'members', value: ids.map((value) => ({ value })) };
    // What is answered 503 was not done as a whole, and is sent again, as identity providers do.
    const again = async (send: () => Promise<{ status: number; body: any }>) => until('done', async () => { const sent = await send(); return sent.status !== 503 && sent; }, 30_000 + 60 * MEMBERS);
    const filling = again(() => patch(`/Groups/${sre as string}`, everybody)).finally(() => { over = true; });
    const leaving = patch(`/Users/${ids[1] as string}`, { op: 'replace', path: 'active', value: false });
    let judged = 0;
    while (!over) {
      judged += 1;
      expect(await ask(WORKLOAD)).toMatch(/^(?:allow|grant\.revoked)$/);
      await new Promise((resolve) => { setImmediate(resolve); });
    }
    expect(judged).toBeGreaterThan(0);
    expect((await leaving).status).toBe(200);
    expect(await ask(WORKLOAD)).toBe('grant.revoked');
    const filled = await filling;
    expect([filled.status, filled.body.members.length]).toEqual([200, MEMBERS]);
    for (const index of [0, Math.floor(MEMBERS / 2), MEMBERS - 1]) expect(await person(`user:u${index}`)).toMatchObject({ teams: ['team:sre'], active: true });
    expect(await person('user:u1'), 'gone, whatever group it is in').toMatchObject({ active: false });
    expect(await principal('x-u1')).toBeUndefined();
    const before = await world.sequence();
    expect((await again(() => patch(`/Groups/${sre as string}`, everybody))).status).toBe(200);
    expect(await world.sequence(), 'said again, nothing more happens').toBe(before);
    expect((await again(() => scim('DELETE', `/Groups/${sre as string}`))).status).toBe(204);
    expect((await store.list('default', { kind: 'feed-member', limit: 10 })).items).toEqual([]);
    for (const index of [0, MEMBERS - 1]) expect(await person(`user:u${index}`)).toMatchObject({ teams: [], formerTeams: ['team:sre'] });
  });

  test('demand(67) F6: when the configuration says something else of groups, people have the teams and accounts of now, without a message of their source', async () => {
    const world = await createPeopleWorld(open, { directory: { onTransfer: 'end' } });
    const { user, group, person, principal, withConfiguration, events, sequence } = world;
    const [ann, bob] = [await user('ann'), await user('bob')];
    await group('SRE', ann);
    await group('Others', bob);
    expect([await person('user:ann'), await person('user:bob')]).toMatchObject([{ teams: ['team:sre'] }, { teams: [] }]);
    const settled = await sequence();
    const same = await withConfiguration({});
    await same.settled();
    expect((await events(settled)).filter(({ type }) => type === 'person.set'), 'nothing else, nothing happens').toEqual([]);
    const before = await sequence();
    const other = await withConfiguration({ groups: { SRE: { team: 'team:ops' }, Others: { team: 'team:sre', roles: ['approver'] } } });
    await until('what they mean now', async () => JSON.stringify([(await person('user:ann'))?.['teams'], (await person('user:bob'))?.['teams']]) === '[["team:ops"],["team:sre"]]');
    expect(await person('user:ann')).toMatchObject({ formerTeams: ['team:sre'], groups: ['SRE'] });
    expect((await events(before)).filter(({ type }) => type === 'revocation.placed').map(({ data }) => (data['revocation'] as { selector: unknown }).selector), 'leaving a team, as ever').toEqual([{ kind: 'approver', value: 'user:ann' }]);
    await other.settled();
    const after = await sequence();
    await (await withConfiguration({ groups: { SRE: { team: 'team:ops' }, Others: { team: 'team:sre', roles: ['approver'] } } })).settled();
    expect((await events(after)).filter(({ type }) => type !== 'feed.changed'), 'once').toEqual([]);
    await (await withConfiguration({ scim: { accounts: ['oidc:new.example/{userName}'] } })).settled();
    await until('the account of now', async () => JSON.stringify((await person('user:bob'))?.['accounts']) === '["oidc:new.example/bob"]');
    expect(await principal('x-bob'), 'the account of before is nobody\'s').toMatchObject({ id: 'oidc:idp.example/x-bob', roles: [] });
  });
});
