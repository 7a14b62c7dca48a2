/** What an ending reaches, and what bounds an allow, where a grant, its ancestors and the credential are of different ages. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { coveringRefs, coveringSelectors } from '../../src/decision/cover.ts';
import { coversCredential, coversGrant, type Ending } from '../../src/domain/ending.ts';
import type { Grant, GrantCore } from '../../src/domain/grant.ts';
import { endingRef, type RecordRef } from '../../src/domain/grant-refs.ts';
import type { DurationMs, Instant } from '../../src/domain/instant.ts';
import type { Selector } from '../../src/domain/selector.ts';
import { createWorld, DEADLINE_MS, evaluationOf, identityOf, T0, WORKLOAD } from './world.ts';

const at = (ms: number): Instant => (T0 + ms) as Instant;
const through = (pep: string) => evaluationOf({ pep: { id: pep, obligations: [] } });
const issuedAt = (ms: number) => ({ ok: true, identity: identityOf({ credential: { ...identityOf().credential, issuedAt: at(ms) } }) }) as const;

describe('I2: what covers grants by position and credentials by time', () => {
  const wide: readonly Selector[] = [
    { kind: 'workload', value: WORKLOAD }, { kind: 'workload-prefix', value: 'spiffe://dev.local/ci' }, { kind: 'trust-domain', value: 'dev.local' },
    { kind: 'issuer', value: 'spiffe://dev.local' }, { kind: 'pep', value: 'edge' }, { kind: 'realm', value: 'default' },
  ];

  test.each(wide)('a revocation of $kind ends grants from before it also for credentials from after it, and the reverse', async (selector) => {
    const world = createWorld();
    world.issue({ id: 'before', expiresAt: at(200_000) });
    world.revoke(selector);
    world.state.now = T0 + 10_000;
    world.state.identity = issuedAt(9_000);
    expect(await world.reasonOf(through('edge')), 'an old grant, a new credential').toBe('grant.revoked');
    world.issue({ id: 'after', expiresAt: at(200_000) });
    expect(await world.reasonOf(through('edge')), 'both new').toBe('allow');
    world.state.identity = issuedAt(0);
    expect(await world.reasonOf(through('edge')), 'a new grant, an old credential').toMatch(/\.revoked$/);
  });

  test('of an enforcement point only what is asked through it, also for one remembered credential that comes through several', async () => {
    const world = createWorld();
    world.issue();
    expect(await world.reasonOf(through('core'))).toBe('allow');
    world.suspend({ kind: 'pep', value: 'edge' });
    expect(await world.reasonOf(through('core'))).toBe('allow');
    expect(await world.reasonOf(through('edge'))).toBe('pep.suspended');
    expect(await world.reasonOf(through('core'))).toBe('allow');
  });

  test('as old as endings that were dropped is covered; younger is not', () => {
    const floor: Ending = { selector: 'realm:default', suspensions: [], floor: { sequence: 7, at: at(5_000) } };
    expect([6, 7, 8, Number.NaN].map((root) => coversGrant(floor, root))).toEqual(['revoked', 'revoked', undefined, 'revoked']);
    const of = (ms: number) => coversCredential(floor, { issuedAt: at(ms), expiresAt: at(900_000), maxAgeMs: 60_000 as DurationMs }, 1_000);
    expect([5_999, 6_000, 6_001].map(of)).toEqual(['revoked', 'revoked', undefined]);
  });
});

describe('I3 demand(52): what an ancestor demands of a use counts for its descendants', () => {
  const under = (over: Partial<GrantCore>) => {
    const world = createWorld();
    const parent: Grant = world.issue({ id: 'p', workload: 'spiffe://dev.local/agent', ...over });
    const { id, workload, scopes, conditions, notBefore, expiresAt, model, owners, approvals, bundleRevision, binding } = parent;
    world.issue({ root: 11, chain: [{ id, workload, scopes, conditions, notBefore, expiresAt, model, owners, approvals, bundleRevision, ...(binding === undefined ? {} : { binding }) }] });
    return world;
  };

  test.each<[string, Partial<GrantCore>, Partial<GrantCore>]>([
    ['audience', { conditions: { audience: ['other'] } }, { conditions: { audience: ['curfew'] } }],
    ['enforcement point', { conditions: { pep: ['core'] } }, { conditions: { pep: ['edge'] } }],
    ['source', { conditions: { source: ['192.168.0.0/16'] } }, { conditions: { source: ['10.0.0.0/8'] } }],
  ])('its %s', async (_name, otherwise, fitting) => {
    const asked = { ...through('edge'), question: { action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' }, source: '10.1.2.3' } };
    expect(await under(otherwise).reasonOf(asked)).toBe('grant.condition');
    expect(await under(fitting).reasonOf(asked)).toBe('allow');
  });

  test('its binding', async () => {
    const world = under({ binding: { jkt: 'k1' } });
    expect(await world.reasonOf()).toBe('grant.binding');
    world.state.identity = { ok: true, identity: identityOf({ confirmed: { jkt: 'k1' } }) };
    expect(await world.reasonOf()).toBe('allow');
  });
});

test('demand(48) demand(53): an answer is kept by nobody for longer than the shortest of policy, realm and access', async () => {
  for (const [policyMs, realmMs, left, expected] of [[5_000, 3_000, 60_000, 3_000], [2_000, 3_000, 60_000, 2_000], [5_000, 3_000, 1_000, 1_000], [5_000, 0, 60_000, 0]] as const) {
    const world = createWorld({ limits: { decisionDeadlineMs: DEADLINE_MS, maxFactsAgeMs: 50 as DurationMs, credentialSkewMs: 1_000, pepCacheMaxMs: realmMs, policyMaySet: [] } });
    world.issue({ expiresAt: at(left) });
    world.answer({ allow: true, max_cache_ms: policyMs });
    const decision = await world.decide(evaluationOf());
    expect(decision.allow && decision.cacheUntil - decision.decidedAt).toBe(expected);
  }
});

describe.each(['at once', 'when the turn of the loop ends'])('an answer that leaves %s is checked last of all', (how) => {
  const asked = evaluationOf({ pep: { id: 'edge', obligations: [] }, ...(how === 'at once' ? {} : { protocol: 'ext-authz-grpc', sentWith: 'turn' }) });

  test.each<[string, (world: ReturnType<typeof createWorld>) => void, RegExp]>([
    ['I2: an ending', (world) => world.revoke({ kind: 'grant', value: 'g1' }), /^grant.revoked$/],
    ['I2: a kill switch', (world) => world.suspend({ kind: 'realm', value: 'default' }), /^realm.suspended$/],
    ['I1: the end of the grant', (world) => { world.state.now += 60_000; }, /^grant.expired$/],
    ['C2: a clock that is trusted no more', (world) => { world.state.trusted = false; }, /^clock.untrusted$/],
    ['I15: the deadline', (world) => { world.state.monotonic += DEADLINE_MS; }, /^decision.deadline$/],
  ])('%s while the policy runs', async (_name, strike, reason) => {
    const world = createWorld();
    world.issue();
    expect(await world.reasonOf(asked)).toBe('allow');
    let struck = false;
    world.state.duringPolicy = () => {
      if (!struck) strike(world);
      struck = true;
    };
    expect(await world.reasonOf(asked)).toMatch(reason);
  });
});

test('DESIGN 9: of grants as specific that end together the one with the first id is relied on, whatever the order they were issued in', async () => {
  for (const ids of [['b', 'a', 'c'], ['c', 'b', 'a']]) {
    const world = createWorld();
    for (const id of ids) world.issue({ id });
    expect(await world.decide(evaluationOf())).toMatchObject({ allow: true, grant: 'a' });
  }
});

test('I2: what is looked up is what covers, for workloads of one folder and of none, whichever came first', () => {
  const segment = fc.constantFrom('a', 'b', '.', '..', '', 'A_b', 'é', 'x'.repeat(2_040));
  const workload = fc.oneof(
    fc.array(segment, { maxLength: 4 }).map((parts) => ['spiffe://dev.local', ...parts].join('/')),
    fc.constantFrom('spiffe://', 'spiffe://dev.local', 'spiffe:/', 'spiffe://other.local/a', 'spiffe://UPPER/a', 'oidc:dev.local/a', 'a', '', '/'),
  );
  fc.assert(fc.property(fc.array(fc.tuple(workload, fc.option(workload, { nil: undefined })), { minLength: 1, maxLength: 8 }), (asked) => {
    for (const [id, subject] of asked) {
      const identity = identityOf({ workload: id, ...(subject === undefined ? {} : { actsFor: { subject, priorActors: [id], alsoKnownAs: [], issuers: ['https://sts.local'] } }) });
      for (const evaluation of [evaluationOf(), through('edge')]) {
        const texts = (refs: readonly RecordRef[]): readonly string[] => [...new Set(refs.map(({ kind, id: key }) => `${kind}/${key}`))].sort();
        expect(texts(coveringRefs(evaluation, identity))).toEqual(texts(coveringSelectors(evaluation, identity).map(endingRef)));
      }
    }
  }), { numRuns: 500 });
});
