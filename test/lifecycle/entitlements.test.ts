/** Entitlements as code: what a bundle must say, and what it then bounds. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { JsonObject } from '../../src/domain/json.ts';
import { entitlementFaults, readEntitlement, type Entitlement } from '../../src/domain/lifecycle/entitlement.ts';
import { boundConditions, entitlementCovers, fillScopes, withinEntitlement } from '../../src/domain/lifecycle/entitlement-scope.ts';
import { workloadMatches, workloadPatternFault } from '../../src/domain/lifecycle/workload-pattern.ts';
import { BundleRefused } from '../../src/policy/bundle/bundle-refused.ts';
import { loadPolicy } from '../../src/policy/load-policy.ts';
import { readTar, writeBundle } from '../../scripts/tar.mjs';
import { repositoryRoot } from '../parts.ts';
import { createWorld, CALL, terms, T0 } from './world.ts';

const GOOD = {
  owner: 'team:shop', fallbackOwner: 'team:platform', model: 'time-boxed',
  scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/{env}/**' } }], parameters: { env: { oneOf: ['prod', 'dev'] } },
  request: { persons: ['team:shop'], for: ['spiffe://dev.local/ci/**'] }, approval: { count: 1, by: ['team:release'] },
  alerts: ['team:sre'], orphan: { unusedMs: 1_000, action: 'flag' },
} as const satisfies JsonObject;

const without = (name: string): JsonObject => Object.fromEntries(Object.entries(GOOD).filter(([member]) => member !== name));
const faultsOf = (data: JsonObject): readonly string[] => entitlementFaults({ curfew: { entitlements: { e: data } } }).map(({ path }) => path.replace('/curfew/entitlements/e', ''));
const read = (data: JsonObject): Entitlement => {
  const result = readEntitlement('e', data);
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  return result.entitlement;
};

test('demand(44) demand(34) demand(41): an entitlement without owner, approver rule, alert recipient or orphan rule is refused, by name', () => {
  expect(faultsOf(GOOD), 'the control').toEqual([]);
  for (const name of ['owner', 'fallbackOwner', 'approval', 'alerts', 'orphan', 'model', 'scopes']) expect(faultsOf(without(name)), name).toEqual([`/${name}`]);
  const wrong: readonly (readonly [JsonObject, string])[] = [
    [{ alerts: [] }, '/alerts'], [{ fallbackOwner: 'team:shop' }, '/fallbackOwner'], [{ owner: 'shop' }, '/owner'],
    [{ approval: { count: 1, by: [] } }, '/approval/by'], [{ approval: { count: 1, by: ['team:shop', 'team:platform'] } }, '/approval/by'],
    [{ request: {} }, '/request'], [{ request: { persons: ['team:a'] } }, '/request/for'], [{ maxContinous: 3 }, '/maxContinous'],
    [{ parameters: {} }, '/parameters/env'], [{ cooldownMs: 5 }, '/maxContinuousMs'], [{ orphan: { unusedMs: 0, action: 'flag' } }, '/orphan/unusedMs'],
    [{ model: 'break-glass' }, '/review'], [{ tier: '' }, '/tier'], [{ maxTtlMs: 1.5 }, '/maxTtlMs'],
  ];
  for (const [over, path] of wrong) expect(faultsOf({ ...GOOD, ...over }), JSON.stringify(over)).toContain(path);
  expect(entitlementFaults({ curfew: { entitlements: [] } })).toHaveLength(1);
  expect(entitlementFaults({ curfew: { entitlements: { 'a b': GOOD } } })).toHaveLength(1);
});

test('demand(44): a bundle that has such an entitlement is refused as a whole', async () => {
  const files = readTar(readFileSync(join(repositoryRoot, 'bundles/curfew.tar.gz')));
  const data = JSON.parse((files.get('data.json') ?? '').toString()) as { curfew: { entitlements: Record<string, unknown> } };
  const load = async (): Promise<unknown> => loadPolicy(writeBundle(files), { entrypoints: [] }).catch((error: unknown) => error);
  data.curfew.entitlements['mine'] = GOOD;
  files.set('data.json', Buffer.from(JSON.stringify(data)));
  expect(await load(), 'the control').toMatchObject({ revision: expect.stringMatching(/^curfew-/) });
  data.curfew.entitlements['mine'] = without('alerts');
  files.set('data.json', Buffer.from(JSON.stringify(data)));
  const refused = await load();
  expect(refused).toBeInstanceOf(BundleRefused);
  expect(refused).toMatchObject({ fault: 'entitlements.invalid', message: expect.stringContaining('/curfew/entitlements/mine/alerts is missing') });
});

test('parameters fill whole segments with the values that they may have, and nothing else', () => {
  const entitlement = read(GOOD);
  expect(fillScopes(entitlement, { env: 'prod' })).toEqual({ scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/prod/**' } }] });
  for (const values of [{}, { env: 'test' }, { env: '**' }, { env: 'prod/x' }, { env: 'prod', more: 'x' }, { env: '..' }]) expect(fillScopes(entitlement, values as Record<string, string>), JSON.stringify(values)).toHaveProperty('faults');
  const scope = (id: string) => [{ actions: ['GET'], resource: { type: 'http', id } }];
  expect(['shop.local/prod/**', 'shop.local/dev/a', 'shop.local/prod/*'].map((id) => withinEntitlement(scope(id), entitlement))).toEqual([true, true, true]);
  expect(['shop.local/*/**', 'shop.local/test/a', 'shop.local/**', 'shop.local/{env}/a'].map((id) => withinEntitlement(scope(id), entitlement))).toEqual([false, false, false, false]);
  expect(withinEntitlement([], entitlement)).toBe(false);
  expect(['prod', 'test'].map((env) => entitlementCovers(entitlement, 'GET', { type: 'http', id: `shop.local/${env}/a` }))).toEqual([true, false]);
  expect(boundConditions({ ...entitlement, conditions: { pep: ['a', 'b'] } }, { pep: ['a'], audience: ['x'] })).toEqual({ conditions: { pep: ['a'], audience: ['x'] }, faults: [] });
  expect(boundConditions({ ...entitlement, conditions: { pep: ['a'] } }, { pep: ['c'] }).faults).toHaveLength(1);
  expect(boundConditions({ ...entitlement, conditions: { pep: ['a'] } }, {}).conditions).toEqual({ pep: ['a'] });
});

test('F3: a workload pattern means whole segments, and nobody beside them', () => {
  expect(workloadMatches('spiffe://dev.local/ci/**', 'spiffe://dev.local/ci/a')).toBe(true);
  for (const other of ['spiffe://dev.local/ci', 'spiffe://dev.local/ci/', 'spiffe://dev.local/cia/x', 'spiffe://dev.local.evil/ci/a']) expect(workloadMatches('spiffe://dev.local/ci/**', other), other).toBe(false);
  for (const pattern of ['**', 'spiffe://dev.local/c*', 'spiffe://dev.local/*/a', 'spiffe://**', '/**', 'spiffe://dev.local/ci/']) expect(workloadPatternFault(pattern), pattern).toBeDefined();
});

test('demand(28): the longest time follows from tier, logging and automation, whichever is shortest, and the entitlement can only shorten it', async () => {
  const config = { caps: { tiers: { standard: { maxTtlMs: { 'time-boxed': 9_000 } } }, logging: { none: 2_000, basic: 8_000 }, automation: { manual: 3_000 } } };
  const world = await createWorld({ development: false, config });
  try {
    const longest = async (over: JsonObject): Promise<number> => {
      const data = { ...without('parameters'), request: undefined, approval: undefined, direct: true, scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/**' } }], ...over };
      const { policy } = world.at;
      world.at.policy = policy && { ...policy, entitlement: () => JSON.parse(JSON.stringify(data)) as JsonObject };
      let longest = 0;
      for (const ttlMs of [1_000, 2_000, 3_000, 5_000, 8_000, 9_000, 10_000]) {
        const executed = await world.lifecycle.issueGrant(CALL, terms({ entitlement: 'e', ttlMs }));
        if (executed.ok) longest = ttlMs;
      }
      return longest;
    };
    expect(await longest({ logging: 'full', automation: 'full' })).toBe(9_000);
    expect(await longest({})).toBe(8_000);
    expect(await longest({ automation: 'manual' })).toBe(3_000);
    expect(await longest({ automation: 'manual', logging: 'none' })).toBe(2_000);
    expect(await longest({ logging: 'full', automation: 'full', maxTtlMs: 1_000 })).toBe(1_000);
    expect(T0).toBeGreaterThan(0);
  } finally {
    await world.close();
  }
});

test('the example of the reference is a whole entitlement', () => {
  const page = readFileSync(join(repositoryRoot, 'docs/reference/entitlements.md'), 'utf8');
  const [, example = '{}'] = /```json\n([^`]+)```/.exec(page) ?? [];
  expect(faultsOf(JSON.parse(example) as JsonObject)).toEqual([]);
});
