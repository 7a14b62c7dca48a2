/** I10: judging a record again gives what the whole pipeline gives under the other policy. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PolicyOutcome } from '../../src/decision/ports.ts';
import type { DecisionRecord } from '../../src/decision/record.ts';
import { askAgain, changeOf, recordedAnswer, rejudge, type Answer, type Envelope } from '../../src/decision/rejudge.ts';
import type { StandingEntry } from '../../src/decision/standing.ts';
import type { Instant } from '../../src/domain/instant.ts';
import type { JsonValue } from '../../src/domain/json.ts';
import { createWorld, evaluationOf, T0 } from './world.ts';

const ENVELOPE: Envelope = { policyMaySet: [], obligations: [] };

interface Situation {
  readonly grants: readonly { readonly id: string; readonly entitlement?: string | undefined; readonly expired: boolean }[];
  readonly standing: 'none' | 'excuses' | 'observes';
}

const standingOf = (standing: Situation['standing']): readonly StandingEntry[] =>
  standing === 'none' ? [] : [{ id: 's1', match: { scopes: [{ actions: ['*'], resource: { type: 'http', id: '**' } }] }, identity: 'required', observe: standing === 'observes', owner: 'team:x', reason: 'x', end: (T0 + 90_000) as Instant }];

/** The decision and its record under a policy that knows `entitlements` and answers so. */
const decided = async (situation: Situation, outcome: PolicyOutcome, entitlements: readonly string[]): Promise<DecisionRecord> => {
  const world = createWorld({
    standing: standingOf(situation.standing),
    policy: () => ({ revision: 'r', digest: 'd', entitlementIds: () => [], entitlement: (id) => (entitlements.includes(id) ? {} : undefined), evaluate: () => outcome }),
  });
  for (const { id, entitlement, expired } of situation.grants) {
    world.issue({ id, ...(entitlement === undefined ? {} : { entitlement }), expiresAt: (expired ? T0 : T0 + 60_000) as Instant });
  }
  return (await world.explain(evaluationOf())).record;
};

const values = fc.constantFrom<JsonValue>(
  true, false, 'x', { allow: true }, { allow: false, reasons: ['no'] }, { allow: true, grant: 'g1' }, { allow: true, grant: 'g2' }, { allow: true, grant: 'gone' },
  { allow: true, headers: { 'x-a': 'b' } }, { allow: true, headers: { host: 'b' } }, { allow: true, obligations: [{ type: 'log' }] }, { allow: 1 },
);
const outcomes = fc.oneof(
  { weight: 6, arbitrary: values.map((value): PolicyOutcome => ({ kind: 'value', value })) },
  fc.constantFrom<PolicyOutcome>({ kind: 'undefined' }, { kind: 'failed', reason: 'policy.error', detail: '' }),
);
const situations: fc.Arbitrary<Situation> = fc.record({
  grants: fc.uniqueArray(fc.record({ id: fc.constantFrom('g1', 'g2', 'g3'), entitlement: fc.option(fc.constantFrom('e1', 'e2'), { nil: undefined }), expired: fc.boolean() }), { selector: ({ id }) => id, maxLength: 3 }),
  standing: fc.constantFrom('none', 'excuses', 'observes'),
});

test('whatever the situation and the two policies, the answer is the one that deciding under the other gives', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(situations, outcomes, outcomes, fc.boolean(), async (situation, before, after, keeps) => {
      const all = ['e1', 'e2'];
      const kept = keeps ? all : ['e1'];
      const record = await decided(situation, before, all);
      const real = recordedAnswer(await decided(situation, after, kept));
      const asked = askAgain(record, (id) => kept.includes(id));
      if (asked === undefined) throw new Error('not recorded');
      const again = rejudge(record, asked, after, ENVELOPE) as Answer;
      // Of several grants that do not count, the record does not hold which explains best.
      const settled = (answer: Answer): Answer => (asked.withdrawn.length > 0 && answer.reason?.startsWith('grant.') === true ? { ...answer, reason: 'grant.none' } : asked.withdrawn.length > 0 && answer.wouldDeny?.startsWith('grant.') === true ? { ...answer, wouldDeny: 'grant.none' } : answer);
      expect(settled(again)).toEqual(settled(real));
      seen.add(String(changeOf(recordedAnswer(record), again)));
    }),
    { numRuns: 1_500 },
  );
  expect([...seen].toSorted()).toEqual(['allow to deny', 'another grant', 'another reason', 'deny to allow', 'undefined']);
});

describe('what the policy did not decide stays as it was', () => {
  test('a denial after the policy comes again, unless the policy denies first', async () => {
    const record = await decided({ grants: [{ id: 'g1', expired: false }], standing: 'none' }, { kind: 'value', value: true }, []);
    const late: DecisionRecord = { ...record, result: { allow: false, reason: 'facts.stale' } };
    const asked = askAgain(late, () => true);
    if (asked === undefined) throw new Error('not recorded');
    expect(rejudge(late, asked, { kind: 'value', value: { allow: true } }, ENVELOPE)).toEqual({ allow: false, reason: 'facts.stale' });
    expect(rejudge(late, asked, { kind: 'value', value: false }, ENVELOPE)).toEqual({ allow: false, reason: 'policy.denied' });
  });
  test('headers and obligations that left with the recorded answer may leave again', async () => {
    const said: PolicyOutcome = { kind: 'value', value: { allow: true, headers: { 'x-forwarded-user': 'a' }, obligations: [{ type: 'log' }] } };
    const record = await decided({ grants: [{ id: 'g1', expired: false }], standing: 'none' }, said, []);
    expect(record.result).toMatchObject({ allow: false, reason: 'policy.malformed' });
    const permitted: DecisionRecord = { ...record, result: { allow: true, grant: 'g1' } };
    const asked = askAgain(permitted, () => true);
    if (asked === undefined) throw new Error('not recorded');
    expect(rejudge(permitted, asked, { kind: 'value', value: { allow: true, headers: { 'x-forwarded-user': 'b' } } }, ENVELOPE)).toEqual({ allow: true, grant: 'g1' });
    expect(rejudge(permitted, asked, { kind: 'value', value: { allow: true, headers: { 'x-forwarded-host': 'b' } } }, ENVELOPE)).toEqual({ allow: false, reason: 'policy.malformed' });
  });
  test('a record without the input of a policy says so', async () => {
    const record = await decided({ grants: [], standing: 'none' }, { kind: 'value', value: true }, []);
    for (const input of [undefined, {}, { leftOut: 'too long' }, { curfew: {} }]) {
      const { input: _, ...rest } = record;
      expect(askAgain(input === undefined ? rest : { ...rest, input }, () => true)).toBeUndefined();
    }
  });
});
