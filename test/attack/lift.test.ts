/** F1, F6, I13: a suspension is lifted by another person; who can't be told to be one may not lift. */
import { afterEach, expect, test } from 'vitest';
import { oidcOperator } from '../../src/admin/authenticate-operator.ts';
import { operatorsConfig } from '../../src/admin/config.ts';
import type { Authenticator } from '../../src/decision/ports.ts';
import { identityOf } from '../decision/world.ts';
import { createWorld, WORKLOAD, type World } from '../lifecycle/world.ts';

const [FIRST, SECOND] = ['oidc:idp.example/alice', 'oidc:idp.example/alice-2'];
let world: World | undefined;
afterEach(() => world?.close());

const suspendedBy = async (actor: string): Promise<string> => {
  world = await createWorld({ development: false });
  const placed = await world.lifecycle.suspend({ realm: 'default', actor: { kind: 'operator', id: actor } }, { selector: { kind: 'workload', value: WORKLOAD }, reason: 'leak' }, true);
  return placed.ok ? (placed.reply['suspension'] as { id: string }).id : '';
};
const lift = async (id: string, actor: string, persons: readonly string[] = []): Promise<string> => {
  const executed = await (world as World).lifecycle.lift({ realm: 'default', actor: { kind: 'operator', id: actor } }, { id, persons });
  return executed.ok ? 'ok' : executed.failure.code;
};

test('F6: an account that no person is configured for lifts nothing: it may be a second account of the one who placed it', async () => {
  const id = await suspendedBy('user:alice');
  expect(await lift(id, SECOND, [SECOND])).toBe('not-permitted');
  expect(await lift(id, 'user:rob', ['user:rob'])).toBe('ok');
});

test("F6: a person is known by all accounts that are configured for them, also by one that placed it before it was", async () => {
  const id = await suspendedBy(SECOND);
  const authenticator: Authenticator = {
    authenticate: () => ({ ok: true, identity: identityOf({ kind: 'oidc', workload: FIRST, issuer: 'https://idp.example', audience: ['curfew-admin'] }) }),
  };
  const { clock, store } = world as World;
  const config = operatorsConfig.parse({ issuers: ['https://idp.example'], persons: { [FIRST]: 'user:alice', [SECOND]: 'user:alice', 'oidc:idp.example/rob': 'user:rob' } });
  const principal = await oidcOperator({ authenticator, config, clock, store, credentialSkewMs: 0 })('token', 'default');
  expect(principal?.persons).toEqual(expect.arrayContaining(['user:alice', FIRST, SECOND]));
  expect(principal?.persons).not.toContain('oidc:idp.example/rob');
  expect(await lift(id, principal?.id ?? '', principal?.persons)).toBe('not-permitted');
});
