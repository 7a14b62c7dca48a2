/** Edges at which one character would decide: both ends of the interval of time, equal positions, credentials that don't say when they began. */
import { describe, expect, test } from 'vitest';
import { coversCredential, coversGrant, type Ending } from '../../src/domain/ending.ts';
import { observable } from '../../src/decision/standing.ts';
import type { DurationMs, Instant } from '../../src/domain/instant.ts';
import { REASONS } from '../../src/domain/reasons.ts';
import { createWorld, evaluationOf, grantOf, identityOf, T0 } from './world.ts';

const at = (ms: number): Instant => (T0 + ms) as Instant;
/** Time is known to within 20 ms. */
const uncertain = (world: ReturnType<typeof createWorld>) => ({
  now: () => ({ earliest: (world.state.now - 10) as Instant, latest: (world.state.now + 10) as Instant, trusted: true }),
  monotonicMs: () => world.state.monotonic,
});
const inDoubt = (over: Parameters<typeof createWorld>[0] = {}) => {
  const world: ReturnType<typeof createWorld> = createWorld({ ...over, clock: { now: () => uncertain(world).now(), monotonicMs: () => world.state.monotonic } });
  return world;
};

describe('C3: doubt about the time counts against access', () => {
  test('a grant begins when even the earliest possible now is there, and has ended as soon as the latest possible one is', async () => {
    const world = inDoubt();
    world.issue({ notBefore: at(100), expiresAt: at(1_000) });
    const reasons: [number, string][] = [];
    for (const ms of [89, 100, 109, 110, 989, 990, 1_000]) {
      world.state.now = T0 + ms;
      reasons.push([ms, await world.reasonOf()]);
    }
    expect(reasons).toEqual([
      [89, 'grant.not_yet'], [100, 'grant.not_yet'], [109, 'grant.not_yet'], [110, 'allow'], [989, 'allow'], [990, 'grant.expired'], [1_000, 'grant.expired'],
    ]);
  });

  test('so does a credential, a task, its heartbeat and a standing entry', async () => {
    const times = { ...identityOf().credential, notBefore: at(100), expiresAt: at(1_000) };
    const standing = { id: 's', match: { scopes: grantOf().scopes }, identity: 'required', observe: false, owner: 'team:x', reason: 'r', end: at(1_000) } as const;
    for (const [name, prepare, first, last] of [
      ['credential', (world: ReturnType<typeof createWorld>) => { world.issue({ notBefore: at(-10_000) }); world.state.identity = { ok: true, identity: identityOf({ credential: times }) }; }, 110, 989],
      ['task', (world: ReturnType<typeof createWorld>) => { world.task({ deadline: at(1_000) }); world.issue({ notBefore: at(-10_000), task: 't1' }); }, 0, 989],
      ['heartbeat', (world: ReturnType<typeof createWorld>) => { world.task({ heartbeatMs: 1_000 as DurationMs, lastBeatAt: at(0) }); world.issue({ notBefore: at(-10_000), task: 't1' }); }, 0, 989],
      ['standing', () => undefined, 0, 989],
    ] as const) {
      const world = inDoubt(name === 'standing' ? { standing: [standing] } : {});
      prepare(world);
      const allowed = async (ms: number): Promise<boolean> => {
        world.state.now = T0 + ms;
        return (await world.decide(evaluationOf())).allow;
      };
      if (first > 0) expect(await allowed(first - 1), `${name} before`).toBe(false);
      expect(await allowed(first), `${name} first`).toBe(true);
      expect(await allowed(last), `${name} last`).toBe(true);
      expect(await allowed(last + 1), `${name} after`).toBe(false);
    }
  });
});

describe('A6, I8: what counts once', () => {
  const withProof = (id: string) => ({ ok: true, identity: identityOf({ confirmed: { jkt: 'k' }, proofOnce: { id, until: at(65_000) } }) }) as const;

  test('a DPoP proof is let through once, another one of the same key again; explaining uses none up', async () => {
    const world = createWorld();
    world.issue();
    world.state.identity = withProof('p1');
    await world.explain(evaluationOf());
    expect(await world.reasonOf()).toBe('allow');
    expect(await world.reasonOf()).toBe('credential.replayed');
    world.state.identity = withProof('p2');
    expect(await world.reasonOf()).toBe('allow');
    expect(world.state.claims.flatMap(({ puts }) => puts)).toEqual(['p1', 'p2'].map((id) => ({ key: { kind: 'once', id: `proof:${id}` }, value: { version: 1, until: at(65_000) } })));
  });

  test('token, proof and use of one request are claimed together: a replay takes no use', async () => {
    const world = createWorld();
    world.issue({ uses: 2 });
    const identity = (token: string, proof: string) => ({ ok: true, identity: identityOf({ credential: { ...identityOf().credential, oneTime: token }, proofOnce: { id: proof, until: at(65_000) } }) }) as const;
    for (const [token, proof, reason] of [['t1', 'p1', 'allow'], ['t1', 'p2', 'credential.replayed'], ['t2', 'p1', 'credential.replayed'], ['t2', 'p2', 'allow'], ['t3', 'p3', 'grant.uses_exhausted']] as const) {
      world.state.identity = identity(token, proof);
      expect(await world.reasonOf(), `${token} ${proof}`).toBe(reason);
    }
    expect(world.state.claims).toHaveLength(2);
  });
});

describe('a standing entry counts only where it says', () => {
  const entry = { id: 's', match: { scopes: grantOf().scopes }, identity: 'required', observe: false, owner: 'team:x', reason: 'r', end: at(1_000) } as const;
  const asked = (pep: string | undefined, realm = 'default', action = 'GET') =>
    evaluationOf({ realm, pep: { id: pep, obligations: [] }, question: { action, resource: { type: 'http', id: 'shop.local/orders/1' } } });

  test('for its enforcement points: another one, or one that nobody knows, gets nothing from it', async () => {
    const world = createWorld({ standing: [{ ...entry, match: { ...entry.match, peps: ['edge'] } }] });
    expect([await world.reasonOf(asked('edge')), await world.reasonOf(asked('other')), await world.reasonOf(asked(undefined))]).toEqual(['allow', 'grant.none', 'grant.none']);
    const nowhere = createWorld({ standing: [{ ...entry, match: { ...entry.match, peps: [] } }] });
    expect([await nowhere.reasonOf(asked('edge')), await nowhere.reasonOf(asked(undefined))]).toEqual(['grant.none', 'grant.none']);
  });

  test('in its realms, for its scopes', async () => {
    const world = createWorld({ realms: new Set(['default', 'other']), standing: [{ ...entry, match: { ...entry.match, realms: ['other'] } }] });
    expect([await world.reasonOf(asked('edge', 'other')), await world.reasonOf(asked('edge'))]).toEqual(['allow', 'grant.none']);
    expect(await world.reasonOf(asked('edge', 'other', 'POST'))).toBe('grant.none');
  });

  test('and waives the grant alone: identity, endings, the policy and the end of the credential stay', async () => {
    const world = createWorld({ standing: [{ ...entry, end: at(900_000) }] });
    expect(await world.decide(asked('edge'))).toMatchObject({ allow: true, validUntil: at(300_000) });
    world.answer(false);
    expect(await world.reasonOf(asked('edge'))).toBe('policy.denied');
    world.answer(true);
    for (const selector of [{ kind: 'workload', value: identityOf().workload }, { kind: 'issuer', value: 'spiffe://dev.local' }, { kind: 'pep', value: 'edge' }, { kind: 'realm', value: 'default' }] as const) {
      const other = createWorld({ standing: [entry] });
      other.suspend(selector);
      expect(await other.reasonOf(asked('edge')), selector.kind).toMatch(/suspended$/);
    }
    world.state.identity = { ok: false, reason: 'credential.signature' };
    expect(await world.reasonOf(asked('edge'))).toBe('credential.signature');
  });
});

test('E5: endings that are as many but not the same have changed: what was gathered is not relied on', async () => {
  const world = createWorld();
  world.issue();
  const { endings } = world.store;
  world.store.endings = (realm) => ({ ...(endings(realm) as { sequence: number; hash: string }), hash: 'another' });
  expect(await world.reasonOf()).toBe('facts.stale');
  world.store.endings = endings;
  expect(await world.reasonOf()).toBe('allow');
});

test('D1: what is in quarantine is denied before the policy sees it, and whoever entered leaves', async () => {
  let [entered, left, evaluated] = [0, 0, 0];
  const world = createWorld({ quarantine: { enter: ({ id }) => { entered += 1; return id !== 'bad'; }, leave: () => { left += 1; } } });
  world.issue();
  world.state.duringPolicy = () => { evaluated += 1; };
  expect(await world.reasonOf(evaluationOf({ id: 'bad' }))).toBe('policy.quarantined');
  expect([entered, evaluated]).toEqual([1, 0]);
  expect(await world.reasonOf()).toBe('allow');
  world.state.policy = () => { throw new Error('the policy broke'); };
  expect(await world.reasonOf()).not.toBe('allow');
  expect([entered, left, evaluated]).toEqual([3, 2, 2]);
});

test('B9: a denial that the policy dresses in Curfew\'s own, connection or host headers leaves bare; other headers stay', async () => {
  for (const name of ['x-curfew-decision-id', 'X-Curfew-Valid-Until', 'connection', 'Content-Length', 'transfer-encoding', 'Host']) {
    const world = createWorld();
    world.issue();
    world.answer({ allow: false, headers: { [name]: '1', 'x-why': 'no' } });
    const decision = await world.decide(evaluationOf());
    expect([decision.allow, decision.shaping.headers], name).toEqual([false, []]);
  }
  const world = createWorld();
  world.issue();
  world.answer({ allow: false, headers: { 'x-why': 'no' } });
  expect((await world.decide(evaluationOf())).shaping.headers).toEqual([['x-why', 'no']]);
});

test('E2: a record under another grant\'s id, or in another workload\'s row, is nobody\'s grant', async () => {
  for (const changed of [{ workload: 'spiffe://dev.local/else' }, { id: 'g2' }, { version: 2 as never }, { expiresAt: 'soon' as never }, { scopes: 'all' as never }]) {
    const world = createWorld();
    world.issue();
    expect(await world.reasonOf()).toBe('allow');
    world.put('grant', 'g1', { ...grantOf(), ...changed });
    expect(await world.reasonOf(), JSON.stringify(changed)).not.toBe('allow');
  }
});

test('I4: what an entry with observe may let through is a closed list: no credential, subject, ending of these, no doubt about facts or time', () => {
  const excused = (identity: 'required' | 'optional') => REASONS.filter((reason) => observable(reason, { identity }));
  const expected = REASONS.filter((reason) => /^(?:grant|task|policy)\./.test(reason) || reason === 'obligation.unsupported');
  expect(expected.length).toBeGreaterThan(10);
  expect(excused('required')).toEqual(expected);
  expect(excused('optional').filter((reason) => !expected.includes(reason))).toEqual(['credential.missing']);
});

describe('what a revocation covers, to the position and the millisecond', () => {
  const ending: Ending = { selector: 'x', revocation: 'r', revokedSequence: 7, revokedAt: at(5_000), suspensions: [] };
  const SKEW = 1_000;

  test('grants whose root stands at its position or before, and those whose root is no number', () => {
    expect([6, 7, 8, Number.NaN, Number.POSITIVE_INFINITY].map((root) => coversGrant(ending, root))).toEqual(['revoked', 'revoked', undefined, 'revoked', undefined]);
    const { revokedSequence: _, ...unplaced } = ending;
    expect(coversGrant(unplaced, 8)).toBe('revoked');
  });

  test('credentials issued up to its instant and the skew; without an instant of issue, those that could stem from then', () => {
    const of = (age: { readonly issuedAt?: Instant; readonly expiresAt: Instant }) => coversCredential(ending, { maxAgeMs: 60_000 as DurationMs, ...age }, SKEW);
    const expiresAt = at(900_000);
    expect([5_999, 6_000, 6_001].map((ms) => of({ issuedAt: at(ms), expiresAt }))).toEqual(['revoked', 'revoked', undefined]);
    // It may be 60 s old when it ends.
    expect([65_999, 66_000, 66_001].map((ms) => of({ expiresAt: at(ms) }))).toEqual(['revoked', 'revoked', undefined]);
    const { revokedAt: _, ...undated } = ending;
    expect(coversCredential(undated, { issuedAt: at(1e9), expiresAt, maxAgeMs: 1 as DurationMs }, SKEW)).toBe('revoked');
  });
});
