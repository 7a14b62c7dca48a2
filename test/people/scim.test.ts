/** A people source that is fed by SCIM: what Entra ID and Okta send, and that what rests on somebody is over with the message that says so. Over both stores. */
import { expect, test } from 'vitest';
import { WORKLOAD, terms } from '../lifecycle/world.ts';
import { onBothStores } from '../support/both-stores.ts';
import { callOf, CALL, createPeopleWorld, TOKEN, type PeopleWorld } from './world.ts';

const MIGRATE = 'spiffe://dev.local/db/migrate';
const issue = async (world: PeopleWorld, over: object = {}): Promise<string> => {
  const issued = await world.lifecycle.issueGrant(CALL, terms(over));
  if (!issued.ok) throw new Error(issued.failure.detail);
  return (issued.reply['grant'] as { id: string }).id;
};

onBothStores('SCIM', (open) => {
  test('demand(34) demand(67): Entra ID deactivates somebody: what they own ends with that message, and its next use is denied', async () => {
    const world = await createPeopleWorld(open);
    const { user, patch, ask, scim, person } = world;
    const dan = await user('Dan@Example.org');
    expect(await person('user:dan@example.org')).toMatchObject({ active: true, accounts: ['oidc:idp.example/x-Dan%40Example.org'], source: 'scim:idp' });
    await issue(world, { owner: 'user:dan@example.org' });
    await issue(world, { workload: MIGRATE });
    expect([await ask(WORKLOAD), await ask(MIGRATE)]).toEqual(['allow', 'allow']);
    expect(await patch(`/Users/${dan}`, { op: 'Replace', path: 'active', value: 'False' })).toMatchObject({ status: 200, body: { active: false } });
    expect([await ask(WORKLOAD), await ask(MIGRATE)]).toEqual(['grant.revoked', 'allow']);
    expect(await person('user:dan@example.org')).toMatchObject({ active: false });
    expect(await scim('GET', `/Users/${dan}`)).toMatchObject({ status: 200, body: { active: false, userName: 'Dan@Example.org' } });
    // Coming back gives nothing back.
    expect(await patch(`/Users/${dan}`, { op: 'Replace', value: { active: true } })).toMatchObject({ status: 200, body: { active: true } });
    expect(await person('user:dan@example.org')).toMatchObject({ active: true });
    expect(await ask(WORKLOAD)).toBe('grant.revoked');
  });

  const leaving: readonly (readonly [string, (world: PeopleWorld, id: string) => Promise<{ status: number }>])[] = [
    ['Okta deactivates by PATCH', ({ patch }, id) => patch(`/Users/${id}`, { op: 'replace', value: { active: false } })],
    ['Okta deactivates by PUT', ({ scim }, id) => scim('PUT', `/Users/${id}`, { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName: 'dan', active: false, emails: [{ value: 'dan@example.org', primary: true }], groups: [] })],
    ['a full name of the attribute', ({ patch }, id) => patch(`/Users/${id}`, { op: 'REPLACE', path: 'urn:ietf:params:scim:schemas:core:2.0:User:active', value: 'FALSE' })],
    ['DELETE', ({ scim }, id) => scim('DELETE', `/Users/${id}`)],
  ];
  test.each(leaving)('demand(67): %s', async (_name, leave) => {
    const world = await createPeopleWorld(open);
    const dan = await world.user('dan');
    await issue(world, { owner: 'user:dan' });
    expect(await world.ask(WORKLOAD)).toBe('allow');
    expect((await leave(world, dan)).status).toBeLessThan(300);
    expect(await world.ask(WORKLOAD)).toBe('grant.revoked');
    expect(await world.principal('x-dan', ['SRE']), 'their account is nobody here, whatever its token says').toBeUndefined();
  });

  test('demand(67): a group is a team and its roles; whoever leaves it, or is no more in a group that is renamed or taken away, has them no more, whatever the token still says', async () => {
    const { user, group, patch, scim, principal, person, events, sequence } = await createPeopleWorld(open);
    const [ann, bob] = [await user('ann'), await user('bob')];
    const id = await group('Shop DBAs', ann);
    expect(await person('user:ann')).toMatchObject({ teams: ['team:dba'], groups: ['Shop DBAs'] });
    expect(await principal('x-ann', ['SRE'])).toMatchObject({ id: 'user:ann', roles: ['approver'], persons: expect.arrayContaining(['team:dba']) });
    expect((await principal('x-bob', ['Shop DBAs']))?.roles, 'the source says which groups somebody is in').toEqual([]);
    expect((await patch(`/Groups/${id}`, { op: 'Add', path: 'members', value: [{ $ref: null, value: bob }] })).status).toBe(200);
    expect((await principal('x-bob'))?.roles).toEqual(['approver']);
    const before = await sequence();
    expect((await patch(`/Groups/${id}`, { op: 'Remove', path: 'members', value: [{ $ref: null, value: ann }] })).status).toBe(200);
    expect(await person('user:ann')).toMatchObject({ teams: [], formerTeams: ['team:dba'] });
    expect((await events(before)).find(({ type }) => type === 'person.set')).toMatchObject({ data: { leftTeams: ['team:dba'] } });
    expect((await principal('x-ann', ['Shop DBAs']))?.roles).toEqual([]);
    expect((await patch(`/Groups/${id}`, { op: 'remove', path: `members[value eq "${bob}"]` })).status).toBe(200);
    expect((await principal('x-bob'))?.roles).toEqual([]);
    expect((await patch(`/Groups/${id}`, { op: 'replace', path: 'members', value: [{ value: ann, display: 'Ann' }, { value: bob, display: 'Bob' }] })).body.members).toHaveLength(2);
    expect((await patch(`/Groups/${id}`, { op: 'replace', value: { id, displayName: 'Something Else' } })).status).toBe(200);
    expect([await person('user:ann'), await person('user:bob')]).toMatchObject([{ teams: [] }, { teams: [] }]);
    await patch(`/Groups/${id}`, { op: 'replace', path: 'displayName', value: 'SRE' });
    expect(await person('user:bob')).toMatchObject({ teams: ['team:sre'] });
    expect((await scim('PUT', `/Groups/${id}`, { displayName: 'SRE', members: [{ value: ann }] })).body.members.map(({ value }: { value: string }) => value)).toEqual([ann]);
    expect((await scim('DELETE', `/Groups/${id}`)).status).toBe(204);
    expect(await person('user:ann')).toMatchObject({ teams: [], groups: [] });
    expect((await scim('GET', `/Groups/${id}`)).status).toBe(404);
  });

  test('demand(27) F6: an approval counts no more when its person was taken out of the group that made it count, or left, before the last one', async () => {
    const world = await createPeopleWorld(open);
    const { user, group, patch, principal, requests, directory } = world;
    const [dora, dan, sue, sid] = [await user('dora'), await user('dan'), await user('sue'), await user('sid')];
    await group('Data', dora);
    const dbas = await group('Shop DBAs', dan);
    await group('SRE', sue, sid);
    await directory.setWorkload(CALL, { id: MIGRATE, kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform', tier: 'sensitive', aliases: [], active: true });
    const by = async (name: string) => callOf(await principal(`x-${name}`));
    const asked = await requests.create(await by('dora'), { entitlement: 'db-migration', workload: MIGRATE, ttlMs: 3_600_000, justification: 'adds a column', reference: 'CHG-7' }, 'request');
    if (!asked.ok) throw new Error(asked.failure.detail);
    const { id, digest } = asked.reply['request'] as { id: string; digest: string };
    expect((await requests.approve(await by('dan'), id, digest)).ok).toBe(true);
    const state = async () => (await requests.get('default', id))?.['state'];
    await patch(`/Groups/${dbas}`, { op: 'Remove', path: 'members', value: [{ value: dan }] });
    expect((await requests.approve(await by('sue'), id, digest)).ok).toBe(true);
    expect(await state(), 'one of two is gone').toBe('pending');
    // Leaving and approving at once: whichever is first, no grant rests on somebody who has left.
    const sidCall = await by('sid');
    const [, approved] = await Promise.all([patch(`/Users/${sid}`, { op: 'Replace', path: 'active', value: 'False' }), requests.approve(sidCall, id, digest)]);
    const grant = (await requests.get('default', id))?.['grant'] as string | undefined;
    expect(approved.ok ? await world.ask(MIGRATE, 'orders-db.local/schema/x') : 'grant.revoked').toMatch(/^grant\.(revoked|none)$/);
    if (grant !== undefined) expect(await world.inspect.grant('default', grant)).toMatchObject({ endedBecause: 'grant.revoked' });
  });

  test('demand(5): with onTransfer: end, what somebody approved ends when they leave the team', async () => {
    const world = await createPeopleWorld(open, { directory: { onTransfer: 'end' } });
    const ann = await world.user('ann');
    const id = await world.group('SRE', ann);
    await world.patch(`/Groups/${id}`, { op: 'remove', path: 'members' });
    const { items } = await world.store.list('default', { kind: 'revocation', limit: 10 });
    expect(items.map(({ value }) => value['selector'])).toEqual([{ kind: 'approver', value: 'user:ann' }]);
  });

  test('an account that a user no longer has keeps no role that came with it; another user can have it', async () => {
    const { user, patch, group, principal, person } = await createPeopleWorld(open, { persons: { 'oidc:idp.example/one': 'user:ann' } });
    const ann = await user('ann', { externalId: 'one' });
    await group('SRE', ann);
    expect(await principal('one')).toMatchObject({ id: 'user:ann', roles: ['approver'] });
    await patch(`/Users/${ann}`, { op: 'replace', path: 'externalId', value: 'two' });
    expect(await person('user:ann')).toMatchObject({ accounts: ['oidc:idp.example/two'] });
    expect(await principal('two')).toMatchObject({ id: 'user:ann', roles: ['approver'] });
    expect(await principal('one', ['SRE']), 'nobody, with nothing').toMatchObject({ id: 'oidc:idp.example/one', roles: [], groups: [], persons: ['oidc:idp.example/one'] });
    await user('bob', { externalId: 'one' });
    expect(await principal('one', ['SRE'])).toMatchObject({ id: 'user:bob', roles: [] });
  });

  test('whom an operator said to be gone stays gone, until the source says that they are back', async () => {
    const { user, patch, directory, person } = await createPeopleWorld(open);
    const ann = await user('ann');
    await directory.setPerson(CALL, { id: 'user:ann', accounts: [], teams: [], active: false }, 'api');
    await patch(`/Users/${ann}`, { op: 'replace', path: 'displayName', value: 'Ann' });
    expect(await person('user:ann')).toMatchObject({ active: false });
    await patch(`/Users/${ann}`, { op: 'replace', path: 'active', value: true });
    expect(await person('user:ann'), 'that is no change there').toMatchObject({ active: false });
    await patch(`/Users/${ann}`, { op: 'replace', path: 'active', value: false });
    await patch(`/Users/${ann}`, { op: 'replace', path: 'active', value: true });
    expect(await person('user:ann')).toMatchObject({ active: true });
  });

  test('a person that another source knows is not taken over, unless that is configured; deactivating is never refused for it', async () => {
    const { scim, directory, user, patch, person } = await createPeopleWorld(open);
    await directory.setPerson(CALL, { id: 'user:root', accounts: [], teams: ['team:sre'], active: true }, 'api');
    expect(await scim('POST', '/Users', { userName: 'root' })).toMatchObject({ status: 409, body: { scimType: 'uniqueness' } });
    expect(await person('user:root')).toMatchObject({ teams: ['team:sre'], source: 'api' });
    const ann = await user('ann');
    await directory.setPerson(CALL, { id: 'user:ann', accounts: [], teams: [], active: true }, 'file');
    expect((await patch(`/Users/${ann}`, { op: 'replace', path: 'active', value: false })).status).toBe(200);
    expect(await person('user:ann')).toMatchObject({ active: false });
    const adopting = await createPeopleWorld(open, { scim: { adopt: true } });
    await adopting.directory.setPerson(CALL, { id: 'user:root', accounts: [], teams: ['team:sre'], active: true }, 'api');
    await adopting.user('root');
    expect(await adopting.person('user:root')).toMatchObject({ teams: [], source: 'scim:idp' });
  });

  test('E12: names are there once, whatever their case or letters; a renamed user stays the same person, and nobody else becomes it', async () => {
    const { user, scim, patch, person } = await createPeopleWorld(open);
    const ann = await user('ann');
    for (const userName of ['ann', 'ANN', '\uff41nn']) expect(await scim('POST', '/Users', { userName, externalId: `other-${userName}` }), userName).toMatchObject({ status: 409, body: { scimType: 'uniqueness' } });
    expect(await scim('POST', '/Users', { userName: 'else', externalId: 'x-ann' })).toMatchObject({ status: 409 });
    for (const userName of ['an\u0131', '\u0430nn', 'a/../b', 'team:x y', 'ann\u202e', '', 7]) expect((await scim('POST', '/Users', { userName })).status, String(userName)).toBe(400);
    expect(await patch(`/Users/${ann}`, { op: 'replace', path: 'userName', value: 'ann.new' })).toMatchObject({ status: 200, body: { userName: 'ann.new' } });
    expect(await scim('POST', '/Users', { userName: 'ann' }), 'the person is still hers').toMatchObject({ status: 409 });
    expect(await person('user:ann.new')).toBeUndefined();
    const [a, b] = await Promise.all([scim('POST', '/Users', { userName: 'twin' }), scim('POST', '/Users', { userName: 'Twin' })]);
    expect([a.status, b.status].toSorted((x, y) => x - y)).toEqual([201, 409]);
  });

  test('it is found by the filters that identity providers send, and paged', async () => {
    const { user, group, scim } = await createPeopleWorld(open);
    const ids = [await user('ann'), await user('bob'), await user('cat')];
    const inOrder = ids.toSorted();
    const sre = await group('SRE', ids[0] ?? '');
    const found = async (path: string): Promise<unknown> => ((await scim('GET', path)).body.Resources as { id: string }[]).map(({ id }) => id);
    const filter = (text: string, kind = 'Users', more = '') => `/${kind}?filter=${encodeURIComponent(text)}${more}`;
    expect(await found(filter('userName eq "ANN"'))).toEqual([ids[0]]);
    expect(await found(filter('username Eq "nobody"'))).toEqual([]);
    expect(await found(filter('externalId eq "x-bob"'))).toEqual([ids[1]]);
    expect(await found(filter('externalId eq "X-bob"'))).toEqual([]);
    expect(await found(filter('displayName eq "sre"', 'Groups', '&excludedAttributes=members'))).toEqual([sre]);
    expect(await found(filter(`id eq "${sre}" and members eq "${ids[0]}"`, 'Groups'))).toEqual([sre]);
    expect(await found(filter(`id eq "${sre}" and members eq "${ids[1]}"`, 'Groups'))).toEqual([]);
    expect((await scim('GET', `/Groups/${sre}?excludedAttributes=members`)).body.members).toBeUndefined();
    expect((await scim('GET', `/Groups/${sre}`)).body.members).toMatchObject([{ value: ids[0] }]);
    expect((await scim('GET', '/Users?startIndex=2&count=1')).body).toMatchObject({ totalResults: 3, startIndex: 2, itemsPerPage: 1, Resources: [{ id: inOrder[1] }] });
    expect((await scim('GET', '/Users?startIndex=-4&count=0')).body).toMatchObject({ totalResults: 3, startIndex: 1, itemsPerPage: 0, Resources: [] });
    for (const bad of ['userName sw "a"', 'userName eq "a" or userName eq "b"', 'constructor eq "a"', '__proto__ eq "a"', 'userName eq a', 'userName eq "a" and', '', `userName eq "${'a'.repeat(3_000)}"`, 'userName eq "\\x"']) {
      expect(await scim('GET', filter(bad)), bad).toMatchObject({ status: 400, body: { scimType: 'invalidFilter' } });
    }
    expect((await scim('GET', '/ServiceProviderConfig')).body).toMatchObject({ patch: { supported: true } });
    expect((await scim('GET', '/ResourceTypes')).body.Resources).toHaveLength(2);
    expect((await scim('GET', '/Schemas')).body.Resources).toHaveLength(2);
  });

  test('E12 B7 B8: who shows no token, or sends what can not be understood, changes nothing and is told what', async () => {
    const { user, group, raw, scim, patch, sequence, receive } = await createPeopleWorld(open);
    const ann = await user('ann');
    const sre = await group('SRE', ann);
    const before = await sequence();
    for (const authorization of ['', 'Bearer ', `Bearer ${TOKEN}x`, `Basic ${TOKEN}`, TOKEN, `Bearer ${TOKEN.slice(1)}`]) expect((await raw('DELETE', `/Users/${ann}`, undefined, { authorization })).status, authorization).toBe(401);
    for (const path of ['/scim/other/v2/Users', '/scim/idp/v2/Bulk', '/scim/idp/v1/Users', '/scim/idp/v2/Users/a/b', '/scim/constructor/v2/Users', '/scim/idp/v2/Users/__proto__']) {
      expect([404], path).toContain((await receive(new Request(`http://localhost${path}`, { headers: { authorization: `Bearer ${TOKEN}` } }))).status);
    }
    const replace = (body: object) => patch(`/Users/${ann}`, body);
    const odd: readonly (readonly [string, Promise<{ status: number }>, number])[] = [
      ['no operation', replace({ op: 'constructor', path: 'active', value: false }), 400], ['no boolean', replace({ op: 'replace', path: 'active', value: 'maybe' }), 400],
      ['no name', replace({ op: 'replace', path: 'userName', value: { toString: 'x' } }), 400], ['active taken away', replace({ op: 'remove', path: 'active' }), 400], ['nothing named', replace({ op: 'remove' }), 400],
      ['no schema', scim('PATCH', `/Users/${ann}`, { Operations: [{ op: 'replace', path: 'active', value: false }] }), 400], ['no list', scim('PATCH', `/Users/${ann}`, { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations: {} }), 400],
      ['half an operation list', patch(`/Users/${ann}`, { op: 'replace', path: 'active', value: false }, { op: 'nothing' }), 400],
      ['a group in a group', patch(`/Groups/${sre}`, { op: 'add', path: 'members', value: [{ value: sre, type: 'Group' }] }), 400], ['a group in itself, unsaid', patch(`/Groups/${sre}`, { op: 'add', path: 'members', value: [{ value: sre }] }), 400],
      ['nobody', patch(`/Groups/${sre}`, { op: 'add', path: 'members', value: [{ value: 'nobody' }] }), 400], ['a member that is none', patch(`/Groups/${sre}`, { op: 'add', path: 'members', value: [7] }), 400],
      ['too many', patch(`/Groups/${sre}`, { op: 'add', path: 'members', value: Array.from({ length: 10_001 }, (_, index) => ({ value: String(index) })) }), 400],
      ['too many operations', patch(`/Users/${ann}`, ...Array.from({ length: 1_001 }, () => ({ op: 'replace', path: 'active', value: false }))), 400],
      ['unknown user', patch('/Users/none', { op: 'replace', path: 'active', value: false }), 404], ['unknown group', scim('PUT', '/Groups/none', { displayName: 'x' }), 404],
      ['no JSON', raw('POST', '/Users', '{"userName":'), 400], ['twice the same member', raw('POST', '/Users', '{"userName":"a","userName":"b"}'), 400], ['a list', raw('POST', '/Users', '[]'), 400],
      ['an answer of its own making', raw('POST', '/Users', '{"fault":{"status":200}}'), 400], ['a prototype', raw('POST', '/Users', '{"__proto__":{"userName":"x"}}'), 400],
      ['another type', raw('POST', '/Users', '{}', { 'content-type': 'text/plain' }), 415], ['a huge body', raw('POST', '/Users', JSON.stringify({ userName: 'x', pad: 'x'.repeat(1_100_000) })), 413],
      ['another method', raw('PUT', '/Users', '{}'), 405], ['deep', raw('POST', '/Users', `{"userName":${'['.repeat(50_000)}${']'.repeat(50_000)}}`), 400],
    ];
    for (const [name, attempt, status] of odd) expect((await attempt).status, name).toBe(status);
    expect(await sequence()).toBe(before);
    expect(({} as Record<string, unknown>)['userName']).toBeUndefined();
  });

  test('B8: many members at once: each is in, told again it changes nothing, and a group of them is taken away whole', { timeout: 120_000 }, async () => {
    const { store, user, scim, patch, sequence, person } = await createPeopleWorld(open);
    const first = await user('u0');
    const made = [first, ...(await Promise.all(Array.from({ length: 59 }, (_, index) => user(`u${index + 1}`))))];
    const { body } = await scim('POST', '/Groups', { displayName: 'SRE', members: made.map((value) => ({ value })) });
    expect(body.members).toHaveLength(60);
    const before = await sequence();
    expect((await patch(`/Groups/${body.id as string}`, { op: 'Add', path: 'members', value: made.map((value) => ({ value })) })).status).toBe(200);
    expect(await sequence()).toBe(before);
    await Promise.all([scim('DELETE', `/Groups/${body.id as string}`), patch(`/Groups/${body.id as string}`, { op: 'Add', path: 'members', value: [{ value: first }] }), patch(`/Users/${first}`, { op: 'replace', path: 'displayName', value: 'First' })]);
    expect((await scim('GET', '/Groups')).body.totalResults).toBe(0);
    expect((await store.list('default', { kind: 'feed-member', limit: 10 })).items).toEqual([]);
    for (const id of [0, 30, 59]) expect(await person(`user:u${id}`)).toMatchObject({ teams: [], active: true });
  });
});
