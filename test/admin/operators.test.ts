/** Operator credentials: tokens that Curfew made, and OIDC accounts with their groups, verified by the identity part. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bootstrapOperator, developmentOperator, firstOf, oidcOperator } from '../../src/admin/authenticate-operator.ts';
import { adminConfig, operatorsConfig } from '../../src/admin/config.ts';
import type { AuthenticateOperator } from '../../src/admin/principal.ts';
import { writeTokenFile } from '../../src/admin/token-file.ts';
import type { Instant } from '../../src/domain/instant.ts';
import { createAuthenticator, type IdentityAuthenticator } from '../../src/identity/authenticator.ts';
import { identityConfig } from '../../src/identity/config.ts';
import { StoreUnavailable } from '../../src/store/port.ts';
import { jwksOf, newKey, signed } from '../identity/forge.ts';
import { CALL, createWorld, T0, type World } from '../lifecycle/world.ts';

let world: World;
let authenticator: IdentityAuthenticator | undefined;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  authenticator?.close();
  await world.close();
});

describe('tokens that Curfew made', () => {
  const inFile = (over: { prefix?: string; life?: number } = {}) => {
    const dir = mkdtempSync(join(tmpdir(), 'curfew-token-'));
    const path = join(dir, 'deep', 'admin-token');
    const held = writeTokenFile(path, over.prefix ?? 'curfew-dev-', over.life ?? 60_000, T0 as Instant);
    const token = readFileSync(path, 'utf8').trim();
    const { mode } = statSync(path);
    rmSync(dir, { recursive: true });
    return { held, token, mode };
  };

  test('only its owner can read the file, the process keeps a hash, and it ends at its instant', async () => {
    const { held, token, mode } = inFile();
    expect(mode & 0o777).toBe(0o600);
    expect(JSON.stringify(held)).not.toContain(token);
    const authenticate = developmentOperator(held, world.clock);
    expect(await authenticate(token, 'default')).toMatchObject({ kind: 'development', roles: ['issuer', 'approver', 'responder', 'configurer'] });
    for (const wrong of ['', token.slice(0, -1), `${token}x`, token.toUpperCase(), held.hash]) expect(await authenticate(wrong, 'default')).toBeUndefined();
    world.at.now = T0 + 59_999;
    expect(await authenticate(token, 'default')).toBeDefined();
    world.at.now = T0 + 60_000;
    expect(await authenticate(token, 'default')).toBeUndefined();
  });

  test('the bootstrap credential configures only; a new file is another token', async () => {
    const { held, token } = inFile();
    expect(await bootstrapOperator(held, world.clock)(token, 'default')).toMatchObject({ kind: 'bootstrap', roles: ['configurer'] });
    expect(inFile().token).not.toBe(token);
    expect(await developmentOperator(inFile().held, world.clock)(token, 'default')).toBeUndefined();
  });

  test('a way that fails is no way, and the next one is asked', async () => {
    const { held, token } = inFile();
    const failing: AuthenticateOperator = async () => { throw new Error('down'); };
    expect(await firstOf([failing, developmentOperator(held, world.clock)])(token, 'default')).toBeDefined();
    expect(await firstOf([failing])(token, 'default')).toBeUndefined();
    const blind: AuthenticateOperator = async () => { throw new StoreUnavailable('away'); };
    expect(await firstOf([blind, developmentOperator(held, world.clock)])(token, 'default')).toBeDefined();
    await expect(firstOf([blind, failing])(token, 'default')).rejects.toThrow(StoreUnavailable);
  });
});

describe('OIDC operators', () => {
  const key = newKey('RS256', 'r1');
  const ISSUER = 'https://idp.example';
  const ALICE = 'oidc:idp.example/alice';
  const claims = (over: object = {}) => ({
    iss: ISSUER, sub: 'alice', aud: ['curfew-admin'], jti: 'j-1', iat: T0 / 1000 - 10, exp: T0 / 1000 + 300, groups: ['sre', 'shop'], ...over,
  });
  const token = (over: object = {}) => signed({ alg: 'RS256', kid: 'r1', typ: 'JWT' }, claims(over), key);
  const operators = (over: object = {}): AuthenticateOperator => {
    const identity = identityConfig.parse({
      issuers: [
        { kind: 'oidc', issuer: ISSUER, audiences: ['curfew-admin', 'curfew'], keys: { jwks: jwksOf(key) } },
        { kind: 'oidc', issuer: 'https://ci.example', audiences: ['curfew-admin'], keys: { jwks: jwksOf(key) } },
      ],
    });
    authenticator = createAuthenticator(identity, { clock: world.clock, onEvent: () => undefined });
    const config = operatorsConfig.parse({
      issuers: [ISSUER], groups: { sre: { roles: ['responder'] }, shop: { roles: ['issuer'], team: 'team:shop', realms: ['default'] } }, persons: { [ALICE]: 'user:alice' }, ...over,
    });
    return oidcOperator({ authenticator, config, clock: world.clock, store: world.store, credentialSkewMs: 0 });
  };

  test('groups give roles, by realm; an account is the person it is configured for, and their teams', async () => {
    const authenticate = operators();
    expect(await authenticate(token(), 'default')).toEqual({
      kind: 'operator', id: 'user:alice', roles: ['issuer', 'responder'], groups: ['sre', 'shop'], persons: ['user:alice', ALICE, 'team:shop'],
    });
    expect(await authenticate(token(), 'other')).toMatchObject({ roles: ['responder'], persons: ['user:alice', ALICE] });
    expect(await authenticate(token({ sub: 'bob', groups: [] }), 'default')).toMatchObject({ id: 'oidc:idp.example/bob', roles: [] });
  });

  test('a record in the realm gives roles, there only, and takes them again', async () => {
    const authenticate = operators();
    await world.lifecycle.setOperator(CALL, 'user:alice', ['configurer']);
    expect((await authenticate(token({ groups: [] }), 'default'))?.roles).toEqual(['configurer']);
    expect((await authenticate(token({ groups: [] }), 'other'))?.roles).toEqual([]);
    await world.lifecycle.setOperator(CALL, 'user:alice', []);
    expect((await authenticate(token({ groups: [] }), 'default'))?.roles).toEqual([]);
  });

  test('demand(67) demand(34): losing the role of an approver is told, and, where that is configured, ends what was approved; losing another one ends nothing', async () => {
    const revoked = async () => (await world.store.list('default', { kind: 'revocation', limit: 10 })).items.map(({ value }) => value['selector']);
    const told = async () => (await world.store.events('default', { after: 0, limit: 50 })).filter(({ type }) => type === 'operator.configured').at(-1)?.data['lostRoles'];
    await world.lifecycle.setOperator(CALL, 'user:alice', ['approver', 'issuer']);
    await world.lifecycle.setOperator(CALL, 'user:alice', ['issuer']);
    expect([await told(), await revoked()]).toEqual([['approver'], []]);
    await world.close();
    world = await createWorld({ config: { directory: { onTransfer: 'end' } } });
    await world.lifecycle.setOperator(CALL, 'user:alice', ['approver', 'issuer']);
    await world.lifecycle.setOperator(CALL, 'user:alice', ['approver']);
    expect([await told(), await revoked()]).toEqual([['issuer'], []]);
    await world.lifecycle.setOperator(CALL, 'user:alice', []);
    expect([await told(), await revoked()]).toEqual([['approver'], [{ kind: 'approver', value: 'user:alice' }]]);
  });

  const refused: readonly (readonly [string, object])[] = [
    ['a workload token: another audience', { aud: 'curfew' }], ['an issuer that is not for operators', { iss: 'https://ci.example' }], ['expired', { exp: T0 / 1000 }], ['used by an actor on its behalf', { act: { sub: 'agent' } }], ['used by itself as an actor', { act: { sub: 'alice' } }], ['no audience', { aud: undefined }],
    ['a key that must be proved', { cnf: { jkt: 'A'.repeat(43) } }],
  ];
  test.each(refused)('refused: %s', async (_name, over) => {
    const authenticate = operators();
    expect(await authenticate(token(), 'default')).toBeDefined();
    expect(await authenticate(token(over), 'default')).toBeUndefined();
  });

  test('A1: a token of another key, or of none', async () => {
    const authenticate = operators();
    const forged = signed({ alg: 'RS256', kid: 'r1', typ: 'JWT' }, claims(), newKey('RS256', 'r1'));
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims())).toString('base64url')}.`;
    for (const bad of [forged, none, 'x', 'a.b.c']) expect(await authenticate(bad, 'default')).toBeUndefined();
  });

  test('groups that are no list of texts give nothing', async () => {
    const authenticate = operators();
    for (const groups of ['sre', { sre: true }, [['sre']], [1], null, ['__proto__', 'constructor', 'toString']]) expect((await authenticate(token({ groups }), 'default'))?.roles, JSON.stringify(groups)).toEqual([]);
  });

  test('a revoked credential, account or issuer is no operator; a suspended issuer or realm locks nobody out', async () => {
    const authenticate = operators();
    const end = async (act: 'revoke' | 'suspend', kind: 'credential' | 'workload' | 'issuer' | 'realm', value: string | object) =>
      world.lifecycle[act](CALL, { selector: { kind, value: value as string }, reason: 'leak' }, true);
    await end('suspend', 'issuer', ISSUER);
    await end('suspend', 'realm', 'default');
    expect(await authenticate(token(), 'default')).toBeDefined();
    await end('revoke', 'credential', { issuer: ISSUER, jti: 'j-1' });
    expect(await authenticate(token(), 'default')).toBeUndefined();
    expect(await authenticate(token({ jti: 'j-2' }), 'default')).toBeDefined();
    world.at.now += 5_000;
    await end('revoke', 'issuer', ISSUER);
    expect(await authenticate(token({ jti: 'j-2' }), 'default')).toBeUndefined();
    expect(await authenticate(token({ jti: 'j-3', iat: T0 / 1000 + 6 }), 'default')).toBeUndefined();
    world.at.now += 5_000;
    expect(await authenticate(token({ jti: 'j-3', iat: T0 / 1000 + 6 }), 'default')).toBeDefined();
    await end('suspend', 'workload', ALICE);
    expect(await authenticate(token({ jti: 'j-3', iat: T0 / 1000 + 6 }), 'default')).toBeUndefined();
    expect(await authenticate(token({ jti: 'j-4', sub: 'bob', iat: T0 / 1000 + 6 }), 'default')).toBeDefined();
  });

  test('without a trusted clock a token counts by the time of the process, and says so', async () => {
    const authenticate = operators();
    world.at.trusted = false;
    expect(await authenticate(token(), 'default')).toMatchObject({ id: 'user:alice', untimed: true });
    world.at.now += 301_000;
    expect(await authenticate(token(), 'default')).toBeUndefined();
    world.at.trusted = true;
    world.at.now = T0;
    expect(await authenticate(token(), 'default')).not.toHaveProperty('untimed');
  });
});

describe('configuration', () => {
  test('beyond loopback the listener needs TLS, or says that it does without', () => {
    expect(adminConfig.safeParse({ host: '0.0.0.0' }).error?.issues[0]).toMatchObject({ path: ['tls'] });
    expect(adminConfig.safeParse({ host: '0.0.0.0', plaintext: 'allowed' }).success).toBe(true);
    expect(adminConfig.safeParse({ host: '0.0.0.0', tls: { cert: 'c', key: 'k' } }).success).toBe(true);
    expect(adminConfig.parse({})).toMatchObject({ host: '127.0.0.1', port: 8182, operators: { issuers: [], audience: 'curfew-admin' } });
  });
  test('persons and teams are told apart, and nothing unknown is taken', () => {
    for (const bad of [{ persons: { 'oidc:i.example/a': 'team:x' } }, { persons: { alice: 'user:alice' } }, { groups: { g: { roles: ['root'] } } }, { groups: { g: { roles: ['issuer'], team: 'user:x' } } }, { groups: { g: { roles: [] } } }, { group: {} }]) {
      expect(operatorsConfig.safeParse(bad).success, JSON.stringify(bad)).toBe(false);
    }
  });
});
