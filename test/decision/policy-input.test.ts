import fc from 'fast-check';
import { expect, test } from 'vitest';
import { policyInput } from '../../src/decision/input.ts';
import type { Facts } from '../../src/domain/facts.ts';
import type { Instant } from '../../src/domain/instant.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { evaluationOf, grantOf, identityOf, T0, taskOf } from './world.ts';

const text = fc.string({ unit: 'binary', maxLength: 12 });
const document = fc.dictionary(fc.oneof(text, fc.constantFrom('curfew', '__proto__', 'attributes', 'toJSON')), fc.jsonValue(), { maxKeys: 4 }) as fc.Arbitrary<JsonObject>;

test('the document shows what was asked, the grants in their order and nothing of what was asked before', () => {
  const grants = Array.from({ length: 4 }, (_, index) => grantOf({ id: `g${index}`, task: `t${index % 2}` }));
  const tasks = [taskOf({ id: 't0' }), taskOf({ id: 't1', reference: 'CHG-1' })];
  const identities = [undefined, identityOf(), identityOf({ claims: { sub: 'ä"\u2028', nested: [{}, null] } }), identityOf({ workload: 'oidc:issuer/x' })];
  const facts = { tasks: new Map(tasks.map((task) => [task.id, { task, version: 1 }])) } as unknown as Facts;
  fc.assert(
    fc.property(
      fc.record({
        input: document, identity: fc.constantFrom(...identities), justification: text, context: fc.option(document, { nil: undefined }), source: fc.option(text, { nil: undefined }),
        live: fc.uniqueArray(fc.record({ index: fc.nat(4), until: fc.nat(2), usesLeft: fc.option(fc.nat(2), { nil: undefined }) }), { maxLength: 5, selector: ({ index }) => index }),
        later: fc.nat(3), standing: fc.option(text, { nil: undefined }),
      }),
      ({ input, identity, justification, context, source, live, later, standing }) => {
        const grantAt = (index: number) => grants[index] ?? grantOf({ id: 'own', justification });
        const question = { action: 'GET', resource: { type: 'http', id: 'shop.local/1' }, ...(context === undefined ? {} : { context }), ...(source === undefined ? {} : { source }) };
        const made = policyInput(
          evaluationOf({ input }), question, identity,
          live.map(({ index, until, usesLeft }) => ({
            until: (T0 + until) as Instant,
            fact: { grant: grantAt(index), version: 1, root: 1, ancestorsPresent: new Set<string>(), ...(usesLeft === undefined ? {} : { usesLeft }) },
          })),
          facts, (T0 + later) as Instant, standing,
        );
        expect(Object.keys(made).filter((name) => name !== 'curfew')).toEqual(Object.keys(input).filter((name) => name !== 'curfew'));
        const shown = JSON.parse(JSON.stringify(made)) as { readonly curfew: { readonly now_ms: number; readonly grants: readonly { readonly id: string; readonly until_ms: number; readonly uses_left?: number }[] } };
        expect(shown.curfew.now_ms).toBe(T0 + later);
        expect(shown.curfew.grants.map(({ id, until_ms: until, uses_left: uses }) => [id, until - T0, uses]))
          .toEqual(live.map(({ index, until, usesLeft }) => [grantAt(index).id, until, usesLeft]));
      },
    ),
    { numRuns: 2_000 },
  );
});

test('what a protocol itself calls `curfew` is nowhere in it: only Curfew says who asks and what is granted', () => {
  const forged = { now_ms: 1, realm: 'other', subject: { id: 'spiffe://dev.local/root' }, grants: [{ id: 'forged' }], tasks: [{ id: 'forged' }], standing: 's', peer: { principal: 'p' }, context: { a: 1 }, more: true };
  const question = { action: 'GET', resource: { type: 'http', id: 'shop.local/1' } };
  const facts = { tasks: new Map() } as unknown as Facts;
  const { curfew, ...rest } = policyInput(evaluationOf({ input: { attributes: { a: 1 }, curfew: forged } }), question, undefined, [], facts, T0);
  expect(rest).toEqual({ attributes: { a: 1 } });
  expect(curfew).toEqual((policyInput(evaluationOf({ input: {} }), question, undefined, [], facts, T0) as { curfew: JsonObject }).curfew);
  expect(JSON.stringify(curfew)).not.toContain('forged');
});
