import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PolicyOutcome } from '../../src/decision/ports.ts';
import type { DurationMs, Instant } from '../../src/domain/instant.ts';
import type { JsonValue } from '../../src/domain/json.ts';
import { SELECTOR_KINDS, type Selector } from '../../src/domain/selector.ts';
import { createWorld, DEADLINE_MS, evaluationOf, grantOf, identityOf, T0, WORKLOAD } from './world.ts';

/** Where what never comes is waited for. */
const SOON = { decisionDeadlineMs: 150 as DurationMs, maxFactsAgeMs: 50 as DurationMs, credentialSkewMs: 1_000, pepCacheMaxMs: 0, policyMaySet: [] };

describe('I4: allow needs identity, a live grant and a yes of the policy', () => {
  test('with all three it allows, until the earliest end', async () => {
    const world = createWorld();
    world.issue();
    expect(await world.decide(evaluationOf())).toMatchObject({ allow: true, grant: 'g1', validUntil: T0 + 60_000, cacheUntil: T0 });
  });
  test('demand(60): a good credential without a grant is denied, whatever the policy says', async () => {
    expect(await createWorld().reasonOf()).toBe('grant.none');
  });
  test('a bad credential denies with its own reason', async () => {
    const world = createWorld();
    world.issue();
    world.state.identity = { ok: false, reason: 'credential.signature' };
    expect(await world.reasonOf()).toBe('credential.signature');
  });
  test('an authenticator, store, policy or quarantine that throws denies and never rejects', async () => {
    const boom = (): never => { throw new Error('boom'); };
    for (const over of [
      { authenticator: { authenticate: boom } }, { authenticator: { authenticate: () => Promise.reject(new Error('boom')) } },
      { policy: boom }, { quarantine: { enter: boom, leave: boom } }, { clock: { now: boom, monotonicMs: () => 0 } },
    ]) {
      const world = createWorld(over);
      world.issue();
      const outcome = await world.decide(evaluationOf()).catch(() => 'rejected');
      expect(outcome).toMatchObject({ allow: false });
    }
    const world = createWorld();
    world.issue();
    world.state.facts = boom;
    expect(await world.reasonOf()).toBe('facts.unavailable');
  });
  test('no bundle, an unknown realm and an untrusted clock deny', async () => {
    const bare = createWorld({ policy: () => undefined });
    bare.issue();
    expect(await bare.reasonOf()).toBe('policy.unavailable');
    const world = createWorld();
    world.issue();
    expect(await world.reasonOf(evaluationOf({ realm: 'other' }))).toBe('realm.unknown');
    world.state.trusted = false;
    expect(await world.reasonOf()).toBe('clock.untrusted');
  });
  test('what the adapter refused is denied with a record', async () => {
    const world = createWorld();
    expect(await world.reasonOf(evaluationOf({ refused: 'request.ambiguous' }))).toBe('request.ambiguous');
    expect(world.state.records).toHaveLength(1);
  });
});

describe('I1: no allow at or after an end', () => {
  test('demand(18): denied before the start and from the end on, to the millisecond', async () => {
    const world = createWorld();
    world.issue({ notBefore: (T0 + 10) as Instant });
    expect(await world.reasonOf()).toBe('grant.not_yet');
    world.state.now = T0 + 10;
    expect(await world.reasonOf()).toBe('allow');
    world.state.now = T0 + 59_999;
    expect(await world.reasonOf()).toBe('allow');
    world.state.now = T0 + 60_000;
    expect(await world.reasonOf()).toBe('grant.expired');
  });
  test('C4: time that passes while the policy runs counts at the answer', async () => {
    const world = createWorld();
    world.issue();
    world.state.duringPolicy = () => { world.state.now = T0 + 60_000; };
    expect(await world.reasonOf()).toBe('grant.expired');
  });
  test('a credential that ends meanwhile is the reason, not the access that goes on: while the policy runs, and while the credential is checked', async () => {
    const short = { ok: true, identity: identityOf({ credential: { ...identityOf().credential, expiresAt: (T0 + 1_000) as Instant } }) } as const;
    const standing = { id: 'health', match: { scopes: grantOf().scopes }, identity: 'required', observe: false, owner: 'team:x', reason: 'probe', end: (T0 + 60_000) as Instant } as const;
    for (const over of [{}, { standing: [standing] }]) {
      for (const when of ['while the policy runs', 'while the credential is checked'] as const) {
        const world = createWorld(over);
        if (over.standing === undefined) world.issue();
        world.state.identity = short;
        expect(await world.reasonOf(), when).toBe('allow');
        const end = (): void => { world.state.now = T0 + 1_000; };
        if (when === 'while the policy runs') world.state.duringPolicy = end;
        else world.state.authenticating = async () => end();
        expect(await world.reasonOf(evaluationOf({ sentWith: 'read' })), when).toBe('credential.expired');
      }
    }
  });
  test('a task that ends while the policy runs is the reason, not the grant that goes on', async () => {
    const world = createWorld();
    world.task({ heartbeatMs: 1_000 as DurationMs, lastBeatAt: T0 });
    world.issue({ task: 't1' });
    world.state.duringPolicy = () => { world.state.now = T0 + 1_000; };
    expect(await world.reasonOf()).toBe('task.heartbeat');
  });
  test('the deadline of the credential bounds the answer too', async () => {
    const world = createWorld();
    world.issue({ expiresAt: (T0 + 900_000) as Instant });
    expect(await world.decide(evaluationOf())).toMatchObject({ allow: true, validUntil: T0 + 300_000 });
    world.state.now = T0 + 300_000;
    expect(await world.reasonOf()).toBe('credential.expired');
  });
  test('demand(25): a task ends access by closing, by its deadline, by pausing and by a missed heartbeat', async () => {
    const world = createWorld();
    world.issue({ model: 'jit', task: 't1' });
    expect(await world.reasonOf()).toBe('task.missing');
    world.task({ heartbeatMs: 5_000 as never });
    expect(await world.decide(evaluationOf())).toMatchObject({ allow: true, validUntil: T0 + 5_000 });
    world.state.now = T0 + 5_000;
    expect(await world.reasonOf()).toBe('task.heartbeat');
    world.state.now = T0;
    world.task({ state: 'paused' });
    expect(await world.reasonOf()).toBe('task.paused');
    world.task({ state: 'closed' });
    expect(await world.reasonOf()).toBe('task.closed');
    world.task({ deadline: T0 });
    expect(await world.reasonOf()).toBe('task.deadline');
  });
  test('I15: a decision that took longer than its deadline denies', async () => {
    const world = createWorld();
    world.issue();
    world.state.duringPolicy = () => { world.state.monotonic += DEADLINE_MS + 1; };
    expect(await world.reasonOf()).toBe('decision.deadline');
  });
  test('I15: an authenticator that never answers ends in a denial', async () => {
    const world = createWorld({ authenticator: { authenticate: () => new Promise(() => {}) }, limits: SOON });
    expect(await world.reasonOf()).toBe('credential.keys_unavailable');
  });
});

const selectors: Record<(typeof SELECTOR_KINDS)[number], Selector['value']> = {
  grant: 'g1', task: 't1', entitlement: 'known', owner: 'team:shop', approver: 'user:bo', 'bundle-revision': 'r1',
  workload: WORKLOAD, 'workload-prefix': 'spiffe://dev.local/ci', issuer: 'spiffe://dev.local', 'trust-domain': 'dev.local', pep: 'edge',
  realm: 'default', credential: 'sha256:aa', certificate: 'spki:bb',
};

describe.each(SELECTOR_KINDS)('I2: an ending by %s', (kind) => {
  const selector: Selector = { kind, value: selectors[kind] };
  const asked = evaluationOf({ pep: { id: 'edge', obligations: [] } });
  const prepared = () => {
    const world = createWorld();
    world.state.identity = { ok: true, identity: identityOf({ credential: { ...identityOf().credential, selectors: ['credential:sha256:aa', 'certificate:spki:bb'] } }) };
    world.task();
    world.issue({ task: 't1', entitlement: 'known', approvals: [{ id: 'a1', approver: 'user:bo', sequence: 1 }], root: 10 });
    return world;
  };
  test('a revocation denies, also when it lands while the policy runs', async () => {
    const world = prepared();
    expect(await world.reasonOf(asked)).toBe('allow');
    let landed = false;
    world.state.duringPolicy = () => {
      if (!landed) world.revoke(selector);
      landed = true;
    };
    expect(await world.reasonOf(asked)).toMatch(/revoked$/);
    expect(await world.reasonOf(asked)).toMatch(/revoked$/);
  });
  if (kind !== 'credential') test('a suspension denies', async () => {
    const world = prepared();
    world.suspend(selector);
    expect(await world.reasonOf(asked)).toMatch(/suspended$/);
  });
  test('an ending of another value changes nothing', async () => {
    const world = prepared();
    world.revoke({ kind, value: `${selectors[kind]}x` });
    expect(await world.reasonOf(asked)).toBe('allow');
  });
});

describe('what was issued after a revocation is not covered by it', () => {
  test('a later grant with a later credential', async () => {
    const world = createWorld();
    world.revoke({ kind: 'workload', value: WORKLOAD });
    world.state.now = T0 + 5_000;
    world.issue();
    expect(await world.reasonOf()).toBe('subject.revoked');
    const { credential } = identityOf();
    world.state.identity = { ok: true, identity: identityOf({ credential: { ...credential, issuedAt: (T0 + 1_001) as Instant } }) };
    expect(await world.reasonOf()).toBe('allow');
    world.state.identity = { ok: true, identity: identityOf({ credential: { ...credential, issuedAt: (T0 + 1_000) as Instant } }) };
    expect(await world.reasonOf()).toBe('subject.revoked');
  });
  test('an unreadable ending covers everything', async () => {
    const world = createWorld();
    world.issue();
    world.put('ending', `workload:${WORKLOAD}`, { version: 2 }, true);
    expect(await world.reasonOf()).toBe('subject.revoked');
  });
});

describe('I3: a delegated grant is no more than its ancestors', () => {
  const parent = { id: 'p', workload: 'spiffe://dev.local/agent', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/**' } }] };
  const prepared = () => {
    const world = createWorld();
    const { id, workload, scopes, conditions, notBefore, expiresAt, model, owners, approvals, bundleRevision } = world.issue({ ...parent, owners: ['team:agents'] });
    world.issue({ root: 11, chain: [{ id, workload, scopes, conditions, notBefore, expiresAt, model, owners, approvals, bundleRevision }] });
    return world;
  };
  test.each<Selector>([
    { kind: 'grant', value: 'p' }, { kind: 'workload', value: 'spiffe://dev.local/agent' }, { kind: 'workload-prefix', value: 'spiffe://dev.local/agent' },
    { kind: 'owner', value: 'team:agents' },
  ])('demand(9): revoking %o at the parent denies the child', async (selector) => {
    const world = prepared();
    expect(await world.reasonOf()).toBe('allow');
    world.revoke(selector);
    expect(await world.reasonOf()).toBe('grant.revoked');
  });
  test('a scope outside its parent, or a parent that is not there, denies', async () => {
    const world = prepared();
    world.issue({ id: 'wide', scopes: [{ actions: ['*'], resource: { type: 'http', id: '**' } }], chain: [{ ...world.issue({ ...parent }), id: 'p' }], root: 11 });
    expect(await world.reasonOf(evaluationOf({ question: { action: 'PUT', resource: { type: 'http', id: 'shop.local/orders/1' } } }))).toBe('grant.ancestor');
    const alone = createWorld();
    alone.issue({ chain: [{ ...world.issue({ id: 'y' }), id: 'gone' }], root: 11 });
    expect(await alone.reasonOf()).toBe('grant.ancestor');
  });
});

describe('demand(52), demand(37): conditions and binding', () => {
  test('audience, PEP and source must match', async () => {
    const asked = evaluationOf({ pep: { id: 'edge', obligations: [] }, question: { ...evaluationOf().question!, source: '10.1.2.3' } });
    for (const [conditions, expected] of [
      [{ audience: ['curfew'] }, 'allow'], [{ audience: ['other'] }, 'grant.condition'], [{ audience: [] }, 'grant.condition'],
      [{ pep: ['edge'] }, 'allow'], [{ pep: ['core'] }, 'grant.condition'],
      [{ source: ['10.0.0.0/8'] }, 'allow'], [{ source: ['192.168.0.0/16'] }, 'grant.condition'],
    ] as const) {
      const world = createWorld();
      world.issue({ conditions });
      expect(await world.reasonOf(asked)).toBe(expected);
    }
  });
  test('a bound grant needs the proved key', async () => {
    const world = createWorld();
    world.issue({ binding: { jkt: 'k1' } });
    expect(await world.reasonOf()).toBe('grant.binding');
    world.state.identity = { ok: true, identity: identityOf({ confirmed: { jkt: 'k2' } }) };
    expect(await world.reasonOf()).toBe('grant.binding');
    world.state.identity = { ok: true, identity: identityOf({ confirmed: { jkt: 'k1' } }) };
    expect(await world.reasonOf()).toBe('allow');
  });
});

describe('I8: claims', () => {
  test('E11: a grant with two uses allows twice, concurrently too, and explain consumes nothing', async () => {
    const world = createWorld();
    world.issue({ uses: 2 });
    for (let count = 0; count < 5; count += 1) await world.explain(evaluationOf());
    const answers = await Promise.all(['a', 'b', 'c', 'd'].map((id) => world.reasonOf(evaluationOf({ id }))));
    expect(answers.filter((answer) => answer === 'allow')).toHaveLength(2);
    expect(answers.filter((answer) => answer === 'grant.uses_exhausted')).toHaveLength(2);
    expect(await world.reasonOf()).toBe('grant.uses_exhausted');
  });
  test('A6: a one-time token counts once', async () => {
    const world = createWorld();
    world.issue();
    world.state.identity = { ok: true, identity: identityOf({ credential: { ...identityOf().credential, oneTime: 'j1' } }) };
    expect(await world.reasonOf()).toBe('allow');
    expect(await world.reasonOf()).toBe('credential.replayed');
  });
  test('a claim whose outcome is unknown denies, and so does one that comes too late', async () => {
    for (const commit of [() => Promise.reject(new Error('connection reset')), () => Promise.resolve({ outcome: 'new-word' }), () => new Promise<never>(() => {})]) {
      const world = createWorld({ limits: SOON });
      world.issue({ uses: 1 });
      world.store.commit = commit;
      expect(await world.reasonOf()).toBe('claim.unknown');
    }
  });
});

describe('D3: only a well-formed result with a literal true allows', () => {
  const yes = (value: unknown): boolean => {
    if (value === true) return true;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    const { allow, allowed } = value as { allow?: unknown; allowed?: unknown };
    const present = [allow, allowed].filter((member) => member !== undefined);
    return present.length > 0 && present.every((member) => member === true);
  };
  test('for every shape of result', async () => {
    const scalar = fc.constantFrom<JsonValue>(true, false, 'true', 1, 0, '', null);
    const shape = fc.oneof(
      scalar, fc.array(scalar, { maxLength: 2 }), fc.record({ allow: scalar }), fc.record({ allowed: scalar }), fc.record({ allow: scalar, allowed: scalar }),
      fc.record({ allow: scalar, grant: fc.constantFrom<JsonValue>('g1', 'g2', 1, null) }),
      fc.record({ allow: scalar, headers: fc.constantFrom<JsonValue>({ 'x-a': 'b' }, { 'x-a': 1 }, 'x', [{ 'x-a': ['b'] }], null) }),
      fc.record({ allow: scalar, http_status: fc.constantFrom<JsonValue>(200, 403, '403', null), body: fc.constantFrom<JsonValue>('x', 1) }), fc.jsonValue() as fc.Arbitrary<JsonValue>,
    );
    await fc.assert(
      fc.asyncProperty(shape, async (value) => {
        const world = createWorld();
        world.issue();
        world.answer(value);
        const decision = await world.decide(evaluationOf());
        if (decision.allow) expect(yes(value)).toBe(true);
        const none = createWorld();
        none.answer(value);
        expect((await none.decide(evaluationOf())).allow).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
  test.each<[JsonValue, string]>([
    [true, 'allow'], [{ allow: true }, 'allow'], [{ allowed: true }, 'allow'], [{ allow: true, allowed: true }, 'allow'], [{ allow: true, allowed: false }, 'policy.denied'],
    [false, 'policy.denied'], [{}, 'policy.malformed'], [[], 'policy.malformed'], ['true', 'policy.malformed'], [1, 'policy.malformed'], [null, 'policy.malformed'],
    [{ allow: 'true' }, 'policy.malformed'], [{ allow: true, grant: 'other' }, 'policy.malformed'], [{ allow: true, max_cache_ms: -1 }, 'policy.malformed'], [{ allow: true, max_cache_ms: 1.5 }, 'policy.malformed'], [{ allow: false, http_status: 403.5 }, 'policy.malformed'],
    [{ allow: false, http_status: '403' }, 'policy.malformed'],
    [{ allow: true, max_cache_ms: Number.POSITIVE_INFINITY }, 'policy.malformed'],
  ])('%j: %s', async (value, expected) => {
    const world = createWorld();
    world.issue();
    world.answer(value);
    expect(await world.reasonOf()).toBe(expected);
  });
  test('undefined and failures deny', async () => {
    const world = createWorld();
    world.issue();
    world.state.policy = () => ({ kind: 'undefined' });
    expect(await world.reasonOf()).toBe('policy.undefined');
    world.state.policy = () => ({ kind: 'failed', reason: 'policy.error', detail: 'trap' });
    expect(await world.reasonOf()).toBe('policy.error');
  });
});

describe('B9: a policy can not widen the answer', () => {
  test.each([':path', 'host', 'Host', 'x-forwarded-for', 'x-envoy-original-path', 'X-Curfew-Grant', 'authorization', 'cookie', 'content-length', 'transfer-encoding', 'bad name', 'x\r\ny'])(
    'an allow that sets %j is denied', async (name) => {
      const world = createWorld();
      world.issue();
      world.answer({ allow: true, headers: { [name]: 'v' } });
      expect(await world.reasonOf()).toBe('policy.malformed');
    });
  test('a value that would split a header, a rewritten query and an undeclared obligation deny', async () => {
    for (const [value, expected] of [
      [{ allow: true, headers: { 'x-a': 'a\r\nb: c' } }, 'policy.malformed'], [{ allow: true, query_parameters_to_set: { a: 'b' } }, 'policy.malformed'],
      [{ allow: true, query_parameters_to_remove: ['a'] }, 'policy.malformed'], [{ allow: true, response_headers_to_add: { 'x-curfew-grant': 'x' } }, 'policy.malformed'],
      [{ allow: true, obligations: [{ type: 'step-up' }] }, 'obligation.unsupported'],
    ] as [JsonValue, string][]) {
      const world = createWorld();
      world.issue();
      world.answer(value);
      expect(await world.reasonOf()).toBe(expected);
    }
  });
  test('a denial never leaves as a success, and headers meant for the upstream never reach the client', async () => {
    const world = createWorld();
    world.issue();
    world.answer({ allowed: false, http_status: 200, body: 'welcome' });
    expect(await world.decide(evaluationOf())).toMatchObject({ allow: false, shaping: { headers: [] } });
    expect(await world.decide(evaluationOf())).not.toHaveProperty('shaping.httpStatus');
    const none = createWorld();
    none.answer({ allow: true, headers: { 'x-upstream-secret': 's' } });
    expect(await none.decide(evaluationOf())).toMatchObject({ allow: false, shaping: { headers: [] } });
  });
});

describe('standing entries', () => {
  const entry = {
    id: 'health', match: { scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/orders/**' } }] },
    identity: 'optional' as const, observe: false, owner: 'team:shop', reason: 'probe', end: (T0 + 1_000) as Instant,
  };
  const anonymous = evaluationOf({ presented: { kind: 'none' } });
  test('waives the grant, is named in the record, ends, and never excuses a bad credential or the kill switch', async () => {
    const world = createWorld({ standing: [entry] });
    expect(await world.decide(anonymous)).toMatchObject({ allow: true, standing: 'health', validUntil: T0 + 1_000 });
    expect(world.state.records[0]?.result.standing).toBe('health');
    world.state.identity = { ok: false, reason: 'credential.expired' };
    expect(await world.reasonOf()).toBe('credential.expired');
    world.suspend({ kind: 'realm', value: 'default' });
    expect(await world.reasonOf(anonymous)).toBe('realm.suspended');
    world.state.now = T0 + 1_000;
    expect(await world.reasonOf(anonymous)).toBe('standing.ended');
  });
  test('the policy can still say no', async () => {
    const world = createWorld({ standing: [entry] });
    world.answer(false);
    expect(await world.reasonOf(anonymous)).toBe('policy.denied');
  });
  test('observe lets a missing grant through and says what it would have been; never a bad credential', async () => {
    const world = createWorld({ standing: [{ ...entry, identity: 'required', observe: true }] });
    expect(await world.decide(evaluationOf())).toMatchObject({ allow: true, wouldDeny: 'grant.none' });
    world.issue();
    expect(await world.decide(evaluationOf())).toMatchObject({ allow: true, grant: 'g1' });
    world.answer(false);
    expect(await world.decide(evaluationOf())).toMatchObject({ allow: true, wouldDeny: 'policy.denied' });
    world.state.identity = { ok: false, reason: 'credential.signature' };
    expect(await world.reasonOf()).toBe('credential.signature');
  });
});

test('C5: a stream without a bound is denied; with one the answer carries it', async () => {
  const world = createWorld();
  world.issue();
  const question = evaluationOf().question!;
  expect(await world.reasonOf(evaluationOf({ question: { ...question, stream: { maxMs: undefined } } }))).toBe('request.stream');
  expect(await world.decide(evaluationOf({ question: { ...question, stream: { maxMs: 30_000 as never } } }))).toMatchObject({ allow: true, maxStreamMs: 30_000 });
});

test('I12: the grants of another workload never count', async () => {
  const world = createWorld();
  world.issue({ workload: 'spiffe://dev.local/ci/deployer2' });
  world.issue({ id: 'g2', workload: 'spiffe://dev.local/ci' });
  expect(await world.reasonOf()).toBe('grant.none');
});

test('E2: a grant record of an unknown version or of another epoch denies', async () => {
  const world = createWorld();
  world.issue({ version: 2 as never });
  expect(await world.reasonOf()).toBe('grant.malformed');
  const restored = createWorld();
  restored.issue({ epoch: 'before' });
  expect(await restored.reasonOf()).toBe('grant.revoked');
});

test('the most specific grant is relied on, then the one that ends last', async () => {
  const world = createWorld();
  world.issue({ id: 'wide', scopes: [{ actions: ['*'], resource: { type: 'http', id: '**' } }], expiresAt: (T0 + 100_000) as Instant });
  world.issue({ id: 'late', expiresAt: (T0 + 90_000) as Instant });
  world.issue({ id: 'early' });
  expect(await world.decide(evaluationOf())).toMatchObject({ grant: 'late' });
  world.answer({ allow: true, grant: 'early' });
  expect(await world.decide(evaluationOf())).toMatchObject({ grant: 'early', validUntil: T0 + 60_000 });
});

test('I10: input and result of the policy in the record belong together, also when an attempt was repeated', async () => {
  const world = createWorld();
  world.issue();
  let asked = 0;
  world.state.policy = () => ((asked += 1) === 1 ? { kind: 'value', value: true } : { kind: 'failed', reason: 'policy.error', detail: 'x' });
  world.state.duringPolicy = () => {
    // Before the first evaluation: what was gathered for it is old at the re-check.
    if (asked === 0) world.state.endings += 1;
  };
  await world.decide(evaluationOf());
  expect(asked).toBe(2);
  expect(world.state.records[0]?.policy).toEqual({ revision: 'r1', digest: 'd', entrypoint: 'curfew/access/decision', fault: 'policy.error' });
});
test('I10: the record says why the policy said nothing, and which standing entry matched', async () => {
  const faultOf = async (outcome: PolicyOutcome): Promise<unknown> => {
    const world = createWorld({ standing: [{ id: 's1', match: { scopes: [{ actions: ['*'], resource: { type: 'http', id: '**' } }] }, identity: 'required', observe: true, owner: 'team:x', reason: 'x', end: (T0 + 1_000) as Instant }] });
    world.state.policy = () => outcome;
    await world.decide(evaluationOf());
    const [record] = world.state.records;
    expect(record?.standing).toEqual({ id: 's1', observe: true });
    return record?.policy.fault;
  };
  expect(await faultOf({ kind: 'undefined' })).toBe('policy.undefined');
  expect(await faultOf({ kind: 'failed', reason: 'policy.error', detail: 'x' })).toBe('policy.error');
  expect(await faultOf({ kind: 'value', value: false })).toBeUndefined();
});
test('what keeps changing while it is judged is facts.stale, not allow', async () => {
  const world = createWorld();
  world.issue();
  world.state.duringPolicy = () => world.revoke({ kind: 'workload', value: `${WORKLOAD}-${world.state.endings}` });
  expect(await world.reasonOf()).toBe('facts.stale');
});

test('of several grants that no longer hold, the one issued last explains the denial', async () => {
  const world = createWorld();
  world.task({ id: 'old', state: 'closed' });
  world.task({ id: 'new', heartbeatMs: 1 as never });
  world.issue({ id: 'g-new', task: 'new', issuedAt: (T0 + 1) as Instant });
  world.issue({ id: 'g-old', task: 'old' });
  world.issue({ id: 'g-else', issuedAt: (T0 + 2) as Instant, scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'other' } }] });
  world.state.now = T0 + 5;
  expect(await world.decide(evaluationOf())).toMatchObject({ allow: false, reason: 'task.heartbeat', grant: 'g-new' });
});
