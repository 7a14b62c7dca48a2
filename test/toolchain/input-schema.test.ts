/** The published schemas of policy inputs say what Curfew really writes, and nothing else. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { askPolicy, type AdminQuestion } from '../../src/admin/admin-policy.ts';
import type { Evaluation } from '../../src/decision/evaluation.ts';
import type { Instant } from '../../src/domain/instant.ts';
import type { JsonObject, JsonValue } from '../../src/domain/json.ts';
import { httpPolicyInput } from '../../src/gateways/http/policy-input.ts';
import { adminInput, inputSchemas, policyInput } from '../../src/policy/input-schema.ts';
import { createWorld, evaluationOf, identityOf, T0 } from '../decision/world.ts';
import { repositoryRoot } from '../parts.ts';

/** What the policy was given for each of these evaluations. */
const inputsOf = async (evaluations: readonly Evaluation[], prepare: (world: ReturnType<typeof createWorld>) => void): Promise<readonly JsonObject[]> => {
  const world = createWorld({ standing: [{ id: 'health', match: { scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/health' } }] }, identity: 'optional', observe: false, owner: 'team:shop', reason: 'probes', end: (T0 + 3_600_000) as Instant }] });
  const seen: JsonObject[] = [];
  world.state.policy = (input) => {
    seen.push(input);
    return { kind: 'value', value: true };
  };
  prepare(world);
  for (const evaluation of evaluations) await world.decide(evaluation);
  return seen;
};

const full = (): Promise<readonly JsonObject[]> =>
  inputsOf(
    [
      evaluationOf({
        pep: { id: 'edge', obligations: [] },
        otherPeer: { principal: 'spiffe://dev.local/edge' },
        question: { action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' }, context: { a: 1 }, source: '192.0.2.1' },
        input: httpPolicyInput('1', { method: 'GET', scheme: 'https', authority: 'shop.local', target: '/orders/1?a=b', headers: [['a', 'b']], source: '192.0.2.1' } as never, { ok: true, host: 'shop.local', segments: ['orders', '1'], query: 'a=b' } as never),
      }),
      evaluationOf({ question: { action: 'GET', resource: { type: 'http', id: 'shop.local/health' } } }),
      evaluationOf(),
    ],
    (world) => {
      world.state.identity = { ok: true, identity: identityOf({ claims: { sub: 'x' }, confirmed: { x5t: 'aa', jkt: 'bb' }, actsFor: { subject: 'spiffe://dev.local/user', priorActors: ['spiffe://dev.local/gateway'], alsoKnownAs: [], issuers: [] } }) };
      world.task({ reference: 'CHG-1' });
      world.issue({ id: 'g1', task: 't1', model: 'jit', reference: 'INC-1', entitlement: 'known', uses: 3 });
      world.issue({ id: 'g2' });
    },
  );

/** Paths of all members; items of arrays as `[]`. */
const paths = (value: JsonValue | undefined, at: string): readonly string[] => {
  if (Array.isArray(value)) return [at, ...value.flatMap((item: JsonValue) => paths(item, `${at}[]`))];
  if (typeof value !== 'object' || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([name, inner]) => paths(inner as JsonValue, `${at}.${name}`))];
};

/** Paths that a schema names. */
const named = (schema: JsonObject, at: string): readonly string[] => [
  at,
  ...Object.entries((schema['properties'] ?? {}) as JsonObject).flatMap(([name, inner]) => named(inner as JsonObject, `${at}.${name}`)),
  ...(schema['items'] === undefined ? [] : named(schema['items'] as JsonObject, `${at}[]`).filter((path) => path !== `${at}[]`)),
];

describe('schemas of policy inputs', () => {
  test.each(['policy-input', 'admin-input'])('docs/reference/%s.schema.json is up to date (npm run docs:schemas)', (name) => {
    expect(JSON.parse(readFileSync(join(repositoryRoot, `docs/reference/${name}.schema.json`), 'utf8'))).toEqual(inputSchemas()[name]);
  });

  test('every input that decide gives to a policy is as the schema says', async () => {
    const inputs = await full();
    expect(inputs).toHaveLength(3);
    for (const input of inputs) expect(policyInput.safeParse(JSON.parse(JSON.stringify(input))).error).toBeUndefined();
    const stray = structuredClone(inputs[0]) as { curfew: Record<string, unknown> };
    stray.curfew['stray'] = 1;
    expect(policyInput.safeParse(stray).success).toBe(false);
  });

  test('every member of curfew that the schema names does occur', async () => {
    const written = new Set((await full()).flatMap((input) => paths(input['curfew'], 'curfew')));
    expect(named(inputSchemas()['curfew-input'] as JsonObject, 'curfew').filter((path) => !written.has(path))).toEqual([]);
  });

  test('every question that the admin API asks is as its schema says', async () => {
    const seen: JsonValue[] = [];
    const question = { operator: { id: 'user:ada', roles: ['issuer'], groups: [] }, command: 'grant.issue', now: T0, realm: 'default', target: { a: 1 } } as unknown as AdminQuestion;
    await askPolicy({ evaluate: (_: string, input: JsonValue) => (seen.push(input), { kind: 'undefined' }) } as never, question);
    expect(seen).toHaveLength(1);
    expect(adminInput.safeParse(seen[0]).error).toBeUndefined();
  });
});

