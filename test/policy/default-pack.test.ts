import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isInstant, type Instant } from '../../src/domain/instant.ts';
import { loadPolicy } from '../../src/policy/load-policy.ts';
import { repositoryRoot } from '../parts.ts';

const now = 1_700_000_000_000 as Instant;
const archive = readFileSync(join(repositoryRoot, 'bundles/curfew.tar.gz'));
const load = () => loadPolicy(archive, { entrypoints: ['curfew/access/decision', 'curfew/admin/decision'] });

const grant = (id: string, more: object = {}) => ({ id, model: 'time-boxed', tier: 'standard', ...more });
const asked = (grants: readonly object[]) => ({ curfew: { now_ms: now, resource: { type: 'http', id: 'shop.local/a' }, grants } }) as never;

test('the committed bundle loads, names its revision and its entitlements', async () => {
  const policy = await load();
  expect(isInstant(now)).toBe(true);
  expect(policy.revision).toMatch(/^curfew-[0-9a-f]{12}$/);
  expect(policy.digest).toMatch(/^[0-9a-f]{64}$/);
  expect(policy.entrypoints.toSorted()).toEqual(['curfew/access/decision', 'curfew/admin/decision', 'curfew/lifecycle/decision']);
  expect(policy.entitlement('shop-deploy')).toMatchObject({ owner: 'team:shop', model: 'jit' });
  expect(policy.entitlement('__proto__')).toBeUndefined();
  expect(policy.entitlement('constructor')).toBeUndefined();
});

test('the default pack allows by the most specific grant without an objection and shapes denials', async () => {
  const { evaluate } = await load();
  const access = (grants: readonly object[]) => evaluate('curfew/access/decision', asked(grants), now);
  expect(access([grant('a'), grant('b')])).toEqual({ kind: 'value', value: { allow: true, grant: 'a' } });
  expect(access([])).toEqual({ kind: 'value', value: { allow: false, reasons: ['no grant covers this'] } });
  const emergency = grant('c', { model: 'break-glass' });
  expect(access([emergency])).toEqual({ kind: 'value', value: { allow: false, reasons: ['break-glass needs an incident reference'] } });
  expect(access([emergency, grant('d')])).toEqual({ kind: 'value', value: { allow: true, grant: 'd' } });
  expect(access([{ ...emergency, reference: 'INC-1' }])).toEqual({ kind: 'value', value: { allow: true, grant: 'c' } });
});

test('the default pack lets operators do what their roles are for', async () => {
  const { evaluate } = await load();
  const may = (roles: readonly string[], command: string): unknown => {
    const outcome = evaluate('curfew/admin/decision', { curfew: { operator: { id: 'user:a', roles, groups: [] }, command } }, now);
    return outcome.kind === 'value' && outcome.value !== null && (outcome.value as { allow?: unknown }).allow;
  };
  expect([may(['issuer'], 'grant.issue'), may(['issuer'], 'task.open'), may(['issuer'], 'revoke'), may(['issuer'], 'grant.read')]).toEqual([true, true, false, true]);
  expect([may(['responder'], 'revoke'), may(['responder'], 'lift'), may(['responder'], 'grant.issue')]).toEqual([true, true, false]);
  expect([may(['approver'], 'task.read'), may(['approver'], 'grant.issue'), may(['owner'], 'grant.read'), may([], 'grant.read')]).toEqual([true, false, false, false]);
});
