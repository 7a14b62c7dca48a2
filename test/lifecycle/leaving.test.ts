/** Whoever or whatever is gone is gone under each of its names, also where the directory hears of it for the first time (E12, F6). Each attack beside its control. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { JsonObject } from '../../src/domain/json.ts';
import { accountRef, personRef, readPerson, readTarget } from '../../src/domain/lifecycle/directory.ts';
import type { Executed } from '../../src/lifecycle/execute.ts';
import type { Call } from '../../src/lifecycle/lifecycle.ts';
import { createWorld, terms, type World } from './world.ts';

const CONFIGURER: Call = { realm: 'default', actor: { kind: 'operator', id: 'user:carl', names: ['user:carl'] } };
const [ONE, ALSO] = ['spiffe://dev.local/ci/deployer', 'spiffe://dev.local/ci/also-deployer'];
const ACCOUNT = 'oidc:idp.example/dan';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(() => world.close());

const said = (executed: Executed): string => (executed.ok ? 'ok' : `${executed.failure.code}: ${executed.failure.detail}`);
const know = (id: string, over: object = {}) => world.directory.setPerson(CONFIGURER, { id, accounts: [], teams: [], active: true, ...over }, 'api');
const register = (over: object = {}) =>
  world.directory.setWorkload(CONFIGURER, { id: ONE, kind: 'ci', owner: 'team:shop', fallbackOwner: 'team:platform', tier: 'standard', aliases: [], active: true, ...over });
const issue = async (over: object = {}): Promise<string> => {
  const issued = await world.lifecycle.issueGrant(CONFIGURER, terms(over));
  if (!issued.ok) throw new Error(said(issued));
  return (issued.reply['grant'] as JsonObject)['id'] as string;
};
const state = async (id: string): Promise<unknown> => (await world.inspect.grant('default', id))?.['endedBecause'] ?? (await world.inspect.grant('default', id))?.['state'];
const behind = async (account: string): Promise<unknown> => {
  const [link] = await world.store.read('default', [accountRef(account)]);
  const id = readTarget(link?.value);
  if (id === undefined) return undefined;
  const person = readPerson((await world.store.read('default', [personRef(id)]))[0]?.value);
  return [person?.id, person?.active];
};

test('an account of somebody who left stays theirs, so that it is no stranger\'s with the roles of its groups; another person can be given it', async () => {
  await know('user:dan', { accounts: [ACCOUNT] });
  expect(await behind(ACCOUNT)).toEqual(['user:dan', true]);
  expect(said(await know('user:eve', { accounts: [ACCOUNT] }))).toContain('another person');
  // As the people file says it of one who is no longer in it, and the API by its defaults.
  expect(said(await know('user:dan', { active: false }))).toBe('ok');
  expect(await behind(ACCOUNT)).toEqual(['user:dan', false]);
  expect(said(await know('user:eve', { accounts: [ACCOUNT] })), 'the control').toBe('ok');
  expect(await behind(ACCOUNT)).toEqual(['user:eve', true]);
  expect(said(await know('user:dan', { active: false, teams: ['team:shop'] }))).toBe('ok');
  expect(await behind(ACCOUNT), 'what was given to another is not taken back').toEqual(['user:eve', true]);
  expect(said(await know('user:dan', { accounts: [ACCOUNT] }))).toContain('another person');
});

test('E12: a workload that is no more is revoked under names that are left out of the command too, and these stay its own', async () => {
  await register({ aliases: [ALSO] });
  const [own, also] = [await issue(), await issue({ workload: ALSO })];
  expect([await state(own), await state(also)]).toEqual(['active', 'active']);
  expect(said(await register({ active: false }))).toBe('ok');
  expect([await state(own), await state(also)]).toEqual(['grant.revoked', 'grant.revoked']);
  expect(await world.directory.workload('default', ONE)).toMatchObject({ active: false, aliases: [ALSO] });
});

test('E12: what rests on a person or a workload of whom the directory hears first that they are gone ends too', async () => {
  const [other, owned] = [await issue(), await issue({ owner: 'user:dan' })];
  expect(said(await know('user:dan', { active: false }))).toBe('ok');
  expect([await state(other), await state(owned)]).toEqual(['active', 'grant.revoked']);
  expect(said(await register({ active: false }))).toBe('ok');
  expect(await state(other)).toBe('grant.revoked');
  const before = await world.sequence();
  expect(said(await know('user:dan', { active: false }))).toBe('ok');
  expect(await world.sequence(), 'said twice, nothing more happens').toBe(before);
});
