/** I6: what is dropped can not matter any more. No order of compaction and use lets through what would have been denied without it. */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { coverFault, coveringSelectors } from '../../src/decision/cover.ts';
import type { Evaluation, Identity } from '../../src/decision/evaluation.ts';
import { readFacts } from '../../src/decision/gather.ts';
import { endingRef, grantRefs } from '../../src/domain/grant-refs.ts';
import type { Grant } from '../../src/domain/grant.ts';
import type { Instant } from '../../src/domain/instant.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { judgeStanding } from '../../src/domain/judge-grant.ts';
import { readGrant } from '../../src/domain/records.ts';
import { createCompactor, type Compactor } from '../../src/lifecycle/compact.ts';
import { FORGET_AFTER_MS } from '../../src/lifecycle/forget.ts';
import { createLifecycle, type Lifecycle } from '../../src/lifecycle/lifecycle.ts';
import { CALL, createWorld, T0, terms, type World } from './world.ts';

const HOUR_MS = 3_600_000;
const KEEP_MS = HOUR_MS;
const CREDENTIAL_MS = 6 * HOUR_MS;
const SKEW_MS = 2_000;
const WORKLOADS = ['spiffe://dev.local/ci/a', 'spiffe://dev.local/ci/b'] as const;

interface Side {
  readonly world: World;
  readonly lifecycle: Lifecycle;
  readonly compactor: Compactor;
}
const sides: Side[] = [];
/** Ids of Curfew's form, the same on both sides. */
const ids = () => {
  let count = 0;
  return () => `00000000-0000-7000-8000-${String((count += 1)).padStart(12, '0')}`;
};
const openSide = async (): Promise<Side> => {
  const world = await createWorld();
  const { store, clock, config } = world;
  return {
    world,
    lifecycle: createLifecycle({ store, clock, config, policy: () => world.at.policy, development: true, enforcementMs: 1, settle: async () => undefined, newId: ids() }),
    compactor: createCompactor({ store, clock, realms: ['default'], keepEndedMs: KEEP_MS, credentialMs: CREDENTIAL_MS, pauseMs: 1, onError: (error) => { throw error; } }),
  };
};
const openSides = async (): Promise<readonly [Side, Side]> => {
  const made = [await openSide(), await openSide()] as const;
  sides.push(...made);
  return made;
};
afterEach(async () => {
  for (const { world } of sides.splice(0)) await world.close();
});

const evaluation = { id: 'd', realm: 'default', pep: {} } as unknown as Evaluation;
const identityOf = (workload: string, issuedAt: number, withIat: boolean): Identity => ({
  workload, issuer: 'https://dev.local',
  credential: { selectors: [], expiresAt: (issuedAt + CREDENTIAL_MS) as Instant, maxAgeMs: CREDENTIAL_MS, ...(withIat ? { issuedAt: issuedAt as Instant } : {}) },
}) as unknown as Identity;

/** What holds on this side now: grants, and credentials of any age that they can still have. */
const holds = ({ world }: Side): readonly string[] => {
  const { now } = world.at;
  const held: string[] = [];
  for (const workload of WORKLOADS) {
    for (let age = 0; age < CREDENTIAL_MS; age += CREDENTIAL_MS / 9) {
      for (const withIat of [true, false]) {
        const identity = identityOf(workload, now - age, withIat);
        const answer = world.store.facts({ realm: 'default', keys: coveringSelectors(evaluation, identity).map(endingRef), index: { owner: workload, endsAfter: now as Instant } });
        const facts = readFacts(answer, workload);
        if (coverFault(evaluation, identity, facts, SKEW_MS) === undefined) held.push(`${workload} ${age} ${withIat}`);
        if (age > 0 || withIat) continue;
        const at = { now: world.clock.now(), facts, selectors: [{ kind: 'realm', value: 'default' }] as const, entitlementExists: () => true };
        for (const fact of facts.grants) if (judgeStanding(fact, at).live) held.push(fact.grant.id);
      }
    }
  }
  return held.sort();
};

const opened = async (lifecycle: Lifecycle): Promise<string> => {
  const task = await lifecycle.openTask(CALL, { kind: 'ci', owner: 'team:x', deadline: undefined });
  return (task as unknown as { reply: { task: { id: string } } }).reply.task.id;
};

type Step = { readonly act: 'issue' | 'derive' | 'revoke' | 'suspend' | 'lift' | 'open' | 'close' | 'advance' | 'compact'; readonly pick: number; readonly ms: number };
/** Narrow ones more often: after a wide one little is left to compare. */
const SELECTORS = [
  { kind: 'workload', value: WORKLOADS[0] }, { kind: 'workload', value: WORKLOADS[1] }, { kind: 'workload', value: WORKLOADS[0] }, { kind: 'workload-prefix', value: WORKLOADS[1] },
  { kind: 'owner', value: 'team:shop' }, { kind: 'workload', value: WORKLOADS[1] }, { kind: 'realm', value: 'default' }, { kind: 'approver', value: 'user:nobody' },
] as const;

/** The same step on a side; what it names is found by the order in which it came to be. */
const take = async ({ world, lifecycle, compactor }: Side, { act, pick, ms }: Step, made: { tasks: string[]; suspensions: string[]; grants: string[] }, compacts: boolean): Promise<void> => {
  const at = <T>(list: readonly T[]): T | undefined => list[pick % Math.max(1, list.length)];
  switch (act) {
    case 'issue': {
      const task = pick % 3 === 0 ? at(made.tasks) : undefined;
      const issued = await lifecycle.issueGrant(CALL, terms({ workload: WORKLOADS[pick % 2], ttlMs: Math.max(1, ms), ...(task === undefined ? {} : { task, model: 'jit' }) }));
      if (issued.ok) made.grants.push((issued.reply['grant'] as { id: string }).id);
      return;
    }
    case 'derive': {
      // Rests on an older grant's root, as extension and delegation make them.
      const [record] = await world.store.read('default', [{ kind: 'grant', id: at(made.grants) ?? '' }]);
      const older = record === undefined ? undefined : readGrant(record.value);
      if (record === undefined || older === undefined || !(world.at.now < older.expiresAt)) return;
      const id = `00000000-0000-7000-9000-${String(made.grants.length).padStart(12, '0')}`;
      const grant: Grant = { ...older, id, root: older.root ?? record.created.sequence, expiresAt: (older.expiresAt + ms) as Instant };
      await world.store.commit({
        realm: 'default', expect: [], events: [],
        puts: [{ key: { kind: 'grant', id }, value: grant as unknown as JsonObject, index: { owner: grant.workload, end: grant.expiresAt }, refs: grantRefs(grant) }],
      });
      made.grants.push(id);
      return;
    }
    case 'revoke':
      return void (await lifecycle.revoke(CALL, { selector: pick % 7 === 6 ? { kind: 'grant', value: at(made.grants) ?? 'none' } : (at(SELECTORS) ?? SELECTORS[0]), reason: 'r' }, true));
    case 'suspend': {
      const suspended = await lifecycle.suspend(CALL, { selector: SELECTORS[0], reason: 'r' }, true);
      if (suspended.ok) made.suspensions.push((suspended.reply['suspension'] as { id: string }).id);
      return;
    }
    case 'lift': return void (await lifecycle.lift(CALL, { id: at(made.suspensions) ?? 'none', persons: [] }));
    case 'open': return void made.tasks.push(await opened(lifecycle));
    case 'close': return void (await lifecycle.closeTask(CALL, at(made.tasks) ?? 'none', true));
    case 'advance': world.at.now += ms; return;
    case 'compact': if (compacts) await compactor.compact();
  }
};

test('I6: no order of compaction and use lets through what would have been denied, nor denies what would have been let through', { timeout: 240_000 }, async () => {
  const step: fc.Arbitrary<Step> = fc.record({
    act: fc.constantFrom('issue', 'issue', 'issue', 'derive', 'revoke', 'revoke', 'suspend', 'lift', 'lift', 'open', 'close', 'advance', 'advance', 'compact', 'compact'),
    pick: fc.nat(20),
    ms: fc.constantFrom(1, HOUR_MS / 2, KEEP_MS + FORGET_AFTER_MS, CREDENTIAL_MS + FORGET_AFTER_MS, 20 * HOUR_MS, 24 * HOUR_MS),
  });
  let dropped = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 40 }), async (steps) => {
      const [with_, without] = await openSides();
      const made = [{ tasks: [], suspensions: [], grants: [] }, { tasks: [], suspensions: [], grants: [] }] as [Parameters<typeof take>[2], Parameters<typeof take>[2]];
      for (const one of steps) {
        await take(with_, one, made[0], true);
        await take(without, one, made[1], false);
        expect(holds(with_)).toEqual(holds(without));
      }
      dropped += (await with_.world.store.events('default', { after: 0, limit: 1_000 })).filter(({ type }) => type === 'records.dropped').length;
      for (const { world } of sides.splice(0)) await world.close();
    }),
    { numRuns: 18 },
  );
  // It is compared with something.
  expect(dropped).toBeGreaterThan(8);
});

let side: Side;
beforeEach(async () => {
  side = await openSide();
  sides.push(side);
});
const kept = async (kind: string): Promise<number> => (await side.world.store.list('default', { kind, limit: 1_000 })).items.length;
const AGES_MS = KEEP_MS + CREDENTIAL_MS + FORGET_AFTER_MS + 1;

test('grants with their counters, closed tasks and endings go when they are over for good, in one round; history stays', async () => {
  const { world, lifecycle, compactor } = side;
  const task = await opened(lifecycle);
  for (let count = 0; count < 250; count += 1) await lifecycle.issueGrant(CALL, terms({ task, model: 'jit', uses: 3 }));
  await lifecycle.revoke(CALL, { selector: { kind: 'workload', value: WORKLOADS[0] }, reason: 'r' }, true);
  await lifecycle.closeTask(CALL, task, true);
  const before = (await world.store.events('default', { after: 0, limit: 1_000 })).length;
  world.at.now += 25 * HOUR_MS + AGES_MS;
  world.at.trusted = false;
  expect(await compactor.compact()).toBe(0);
  world.at.trusted = true;
  expect(await compactor.compact()).toBeGreaterThan(250);
  for (const kind of ['grant', 'task-grant', 'uses', 'task', 'ending', 'revocation']) expect([kind, await kept(kind)]).toEqual([kind, kind === 'ending' ? 1 : 0]);
  expect((await world.store.events('default', { after: 0, limit: 1_000 })).slice(0, before).map(({ type }) => type)).toContain('revocation.placed');
  expect(await compactor.compact()).toBe(0);
  // The floor: what is as old as the revocation that is gone counts as covered.
  const [realm] = await world.store.read('default', [{ kind: 'ending', id: 'realm:default' }]);
  expect(realm?.value['floor']).toEqual({ sequence: before - 1, at: T0 });
});

test('a grant that lives keeps every ending since what it rests on; a closed task whose id came from outside stays for ever', async () => {
  const { world, lifecycle, compactor } = side;
  await lifecycle.issueGrant(CALL, terms({ workload: WORKLOADS[1], ttlMs: 24 * HOUR_MS }));
  await lifecycle.revoke(CALL, { selector: { kind: 'workload', value: WORKLOADS[0] }, reason: 'r' }, true);
  await world.store.commit({
    realm: 'default', expect: [], events: [],
    puts: [{ key: { kind: 'task', id: 'run-17' }, value: { version: 1, id: 'run-17', kind: 'ci', owner: 'team:x', openedBy: 'x', openedAt: T0, state: 'closed', closedAt: T0, deadline: T0 } }],
  });
  world.at.now += AGES_MS;
  expect(await compactor.compact()).toBe(0);
  world.at.now += 24 * HOUR_MS;
  expect(await compactor.compact()).toBeGreaterThan(0);
  expect([await kept('ending'), await kept('task')]).toEqual([1, 1]);
});

test('a grant that was issued later but rests on something older keeps them too; the floor rises with every round and never falls', async () => {
  const { world, lifecycle, compactor } = side;
  const made = { tasks: [], suspensions: [], grants: [] };
  const take_ = (act: Step['act'], ms: number, pick = 0) => take(side, { act, pick, ms }, made, true);
  const revoke = () => lifecycle.revoke(CALL, { selector: { kind: 'approver', value: 'user:nobody' }, reason: 'r' }, true);
  const floor = async () => (await world.store.read('default', [{ kind: 'ending', id: 'realm:default' }]))[0]?.value['floor'];
  await take_('issue', HOUR_MS);
  await revoke();
  await take_('derive', 300 * HOUR_MS);
  world.at.now += AGES_MS + HOUR_MS;
  await compactor.compact();
  expect([await floor(), await kept('ending')]).toEqual([undefined, 1]);
  world.at.now += 300 * HOUR_MS;
  await compactor.compact();
  const first = await floor();
  expect([first, await kept('ending')]).toEqual([{ sequence: 2, at: T0 }, 1]);
  await revoke();
  const placedAt = world.at.now;
  world.at.now += AGES_MS;
  await compactor.compact();
  const second = (await floor()) as { sequence: number; at: number };
  expect([second.at, second.sequence > 2]).toEqual([placedAt, true]);
  // A revocation of the realm itself keeps the floor beside it.
  await lifecycle.revoke(CALL, { selector: { kind: 'realm', value: 'default' }, reason: 'r' }, true);
  expect(await floor()).toEqual(second);
});

test('what stands, what names one credential, and what can not be understood is kept', async () => {
  const { world, lifecycle, compactor } = side;
  await lifecycle.suspend(CALL, { selector: { kind: 'owner', value: 'team:a' }, reason: 'r' }, true);
  const value = { version: 2, selector: 'owner:team:b', suspensions: [] };
  const named = { version: 1, selector: 'credential:sha256:00', revocation: 'x', suspensions: [] };
  await world.store.commit({ realm: 'default', expect: [], events: [], puts: [{ key: { kind: 'ending', id: 'owner:team:b' }, value, mark: true }, { key: { kind: 'ending', id: 'credential:sha256:00' }, value: named, mark: true }] });
  world.at.now += 1_000 * HOUR_MS;
  expect(await compactor.compact()).toBe(0);
  expect(await kept('ending')).toBe(3);
});

test('an ending is kept for as long as any grant may last', async () => {
  const { world, lifecycle } = side;
  const GRANT_MS = KEEP_MS + 500 * HOUR_MS;
  const bounded = createCompactor({ store: world.store, clock: world.clock, realms: ['default'], keepEndedMs: KEEP_MS, credentialMs: CREDENTIAL_MS, grantMs: GRANT_MS, pauseMs: 1, onError: (error) => { throw error; } });
  await lifecycle.revoke(CALL, { selector: { kind: 'workload', value: WORKLOADS[0] }, reason: 'r' }, true);
  world.at.now += KEEP_MS + 400 * HOUR_MS;
  await bounded.compact();
  expect(await kept('ending')).toBe(1);
  world.at.now += 200 * HOUR_MS;
  await bounded.compact();
  // The realm's floor stands in its place.
  expect((await world.store.read('default', [{ kind: 'ending', id: `workload:${WORKLOADS[0]}` }]))[0]).toBeUndefined();
});
