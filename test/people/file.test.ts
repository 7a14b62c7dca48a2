/** The people source that is a file: who is in it is known, who is no longer in it has left, and what can't be read changes nothing. Over both stores. */
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { createPeopleFile } from '../../src/lifecycle/people-file.ts';
import { terms, WORKLOAD } from '../lifecycle/world.ts';
import { onBothStores } from '../support/both-stores.ts';
import { until } from '../support/until.ts';
import { CALL, createPeopleWorld } from './world.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const ALICE = { accounts: ['oidc:idp.example/alice'], teams: ['team:dba'] };
const MIGRATE = 'spiffe://dev.local/db/migrate';

onBothStores('people file', (open) => {
  const setUp = async () => {
    const world = await createPeopleWorld(open);
    const folder = mkdtempSync(join(tmpdir(), 'curfew-people-'));
    folders.push(folder);
    const path = join(folder, 'people.json');
    const write = (value: unknown): void => {
      writeFileSync(`${path}.new`, typeof value === 'string' ? value : JSON.stringify(value));
      renameSync(`${path}.new`, path);
    };
    const errors: unknown[] = [];
    const file = createPeopleFile({ path, directory: world.directory, store: world.store, realms: ['default'], pauseMs: 5, monotonicMs: () => performance.now(), onError: (error) => errors.push(error) });
    return { ...world, path, write, errors, file };
  };

  test('demand(34) demand(67): who is in it is known; who is no longer in it has left, and the next use of what they own is denied', async () => {
    const { write, file, person, principal, lifecycle, ask, directory, sequence } = await setUp();
    write({ persons: { 'user:alice': ALICE, 'user:bob': {} }, workloads: { [MIGRATE]: { kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform' } } });
    expect(await file.sync()).toBe(3);
    expect(await person('user:alice')).toMatchObject({ ...ALICE, active: true, source: 'file' });
    expect(await directory.workload('default', MIGRATE)).toMatchObject({ owners: ['team:data'], kind: 'batch', active: true });
    expect(await principal('alice', ['SRE']), 'a file says nothing of groups, so the token does').toMatchObject({ id: 'user:alice', roles: ['approver'], persons: expect.arrayContaining(['team:dba', 'team:sre']) });
    expect(await lifecycle.issueGrant(CALL, terms({ owner: 'user:alice' }))).toMatchObject({ ok: true });
    expect(await ask(WORKLOAD)).toBe('allow');
    const before = await sequence();
    expect(await file.sync(), 'nothing new').toBe(0);
    expect(await sequence()).toBe(before);
    // Another source's persons are not its own to end.
    await directory.setPerson(CALL, { id: 'user:eve', accounts: [], teams: [], active: true }, 'api');
    write({ persons: { 'user:bob': { teams: ['team:sre'] } } });
    await file.sync();
    expect([await person('user:alice'), await person('user:bob'), await person('user:eve')]).toMatchObject([{ active: false }, { active: true, teams: ['team:sre'] }, { active: true }]);
    expect(await ask(WORKLOAD)).toBe('grant.revoked');
    expect(await principal('alice', ['SRE'])).toBeUndefined();
    write({ persons: { 'user:bob': { active: false } } });
    await file.sync();
    expect(await person('user:bob')).toMatchObject({ active: false, formerTeams: ['team:sre'] });
  });

  test('an account that is dropped from somebody who stays keeps no role of its groups', async () => {
    const { write, file, principal } = await setUp();
    write({ persons: { 'user:alice': { accounts: ['oidc:idp.example/alice', 'oidc:idp.example/al2'] } } });
    await file.sync();
    expect(await principal('al2', ['SRE'])).toMatchObject({ id: 'user:alice', roles: ['approver'] });
    write({ persons: { 'user:alice': { accounts: ['oidc:idp.example/alice'] } } });
    await file.sync();
    expect(await principal('al2', ['SRE'])).toMatchObject({ id: 'oidc:idp.example/al2', roles: [], groups: [], persons: ['oidc:idp.example/al2'] });
    expect(await principal('stranger', ['SRE']), 'the control: one that was never anybody\'s').toMatchObject({ roles: ['approver'] });
    // From one to the other in one edit, whichever is read first.
    write({ persons: { 'user:aaron': { accounts: ['oidc:idp.example/alice'] }, 'user:alice': { accounts: ['oidc:idp.example/al2'] } } });
    await expect(file.sync()).rejects.toThrow('another person');
    await file.sync();
    expect([(await principal('alice'))?.id, (await principal('al2'))?.id]).toEqual(['user:aaron', 'user:alice']);
  });

  test('what can not be read, is not valid or has nobody in it changes nothing and is complained of; the next good one counts', async () => {
    const { path, write, file, person, sequence, errors } = await setUp();
    await expect(file.sync()).rejects.toThrow('ENOENT');
    write({ persons: { 'user:alice': ALICE } });
    await file.sync();
    const before = await sequence();
    const odd: readonly unknown[] = ['', '{', '[]', 'null', { persons: {} }, {}, { persons: { 'user:alice': { team: ['team:x'] } } }, { persons: { 'user:alice': { active: 'false' } } }, { persons: { 'user:bob': {} }, more: 1 }, '\u0000', `{"persons":${'['.repeat(10_000)}`];
    for (const value of odd) {
      write(value);
      await expect(file.sync(), JSON.stringify(value).slice(0, 60)).rejects.toThrow();
    }
    rmSync(path);
    symlinkSync('/dev/zero', path);
    await expect(file.sync()).rejects.toThrow('not a regular file');
    rmSync(path);
    expect(await sequence()).toBe(before);
    // One that is no person is named; the others count.
    write({ persons: { 'user:alice': ALICE, 'team:x': {}, '__proto__x': {}, 'user:bob': { accounts: ['oidc:idp.example/alice'] } } });
    await expect(file.sync()).rejects.toThrow(/team:x.*\n?.*/);
    expect(await person('user:alice')).toMatchObject({ active: true });
    write({ persons: { 'user:alice': ALICE, 'user:carl': {} } });
    file.start();
    await until('the next good one', async () => (await person('user:carl'))?.['active'] === true);
    await file.stop();
    expect(errors).toEqual([]);
  });
});
