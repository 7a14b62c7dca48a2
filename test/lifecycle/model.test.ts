/**
 * Random sequences of commands by everybody who may ask, approve, hand on, extend and end, over the real rules and store. After each one: nothing is
 * approved without enough distinct others (I13), no end has moved (demand 5), what was handed on lies within what it was cut out of (I3), what was
 * decided stays so, and a repeated key has had one effect (I8). `CURFEW_MODEL_RUNS` and `CURFEW_MODEL_STEPS` for long runs.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Grant } from '../../src/domain/grant.ts';
import { REQUEST_STATES, readRequest } from '../../src/domain/lifecycle/request.ts';
import { scopesWithin } from '../../src/domain/scope.ts';
import type { Executed } from '../../src/lifecycle/execute.ts';
import type { Call } from '../../src/lifecycle/lifecycle.ts';
import { createWorld, type World } from './world.ts';

const RUNS = Number(process.env['CURFEW_MODEL_RUNS'] ?? 12);
const STEPS = Number(process.env['CURFEW_MODEL_STEPS'] ?? 40);
const HOUR = 3_600_000;

const WORKLOADS = ['spiffe://dev.local/db/one', 'spiffe://dev.local/db/two', 'spiffe://dev.local/db/three'] as const;
const TEAMS: Readonly<Record<string, readonly string[]>> = {
  dora: ['team:data'], dina: ['team:data', 'team:dba'], dan: ['team:dba'], sue: ['team:sre'], sam: ['team:sre', 'team:platform'], otto: ['team:shop'],
};
const PEOPLE = Object.keys(TEAMS);
const person = (name: string): Call => ({ realm: 'default', actor: { kind: 'operator', id: `user:${name}`, names: [`user:${name}`, ...(TEAMS[name] ?? [])] } });
const CONFIGURER: Call = { realm: 'default', actor: { kind: 'operator', id: 'user:carl', names: ['user:carl'] } };
/** Who may approve at all: named, and far from workload and entitlement. */
const MAY_APPROVE = new Set(['user:dan', 'user:sue']);

type Step =
  | { readonly do: 'ask'; readonly who: string; readonly workload: number; readonly hours: number; readonly key: number | undefined }
  | { readonly do: 'extend'; readonly who: string; readonly grant: number; readonly hours: number }
  | { readonly do: 'approve' | 'deny' | 'cancel'; readonly who: string; readonly request: number; readonly wrongDigest: boolean }
  | { readonly do: 'delegate'; readonly grant: number; readonly from: number; readonly to: number; readonly narrow: boolean; readonly hours: number }
  | { readonly do: 'revoke'; readonly kind: number; readonly pick: number }
  | { readonly do: 'owner'; readonly workload: number; readonly who: string }
  | { readonly do: 'confirm' | 'grace'; readonly who: string; readonly grant: number }
  | { readonly do: 'wait'; readonly minutes: number }
  | { readonly do: 'sweep' };

const who = fc.constantFrom(...PEOPLE);
const pick = fc.nat({ max: 5 });
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('ask' as const), who: fc.constantFrom('dora', 'dora', 'dina', 'otto'), workload: fc.nat({ max: 2 }), hours: fc.constantFrom(1, 2, 3), key: fc.option(fc.nat({ max: 2 }), { nil: undefined }) }) },
  { weight: 12, arbitrary: fc.record({ do: fc.constant('approve' as const), who: fc.constantFrom('dan', 'sue', 'dan', 'sue', 'dina', 'sam', 'dora'), request: fc.constantFrom(0, 0, 0, 1, 2), wrongDigest: fc.nat({ max: 7 }).map((count) => count === 0) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('deny' as const, 'cancel' as const), who, request: pick, wrongDigest: fc.constant(false) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('extend' as const), who, grant: pick, hours: fc.constantFrom(1, 2) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('delegate' as const), grant: pick, from: fc.nat({ max: 2 }), to: fc.nat({ max: 2 }), narrow: fc.boolean(), hours: fc.constantFrom(1, 2, 30) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('revoke' as const), kind: fc.nat({ max: 3 }), pick }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('owner' as const), workload: fc.nat({ max: 2 }), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('confirm' as const, 'grace' as const), who, grant: pick }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), minutes: fc.constantFrom(1, 30, 90) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'sweep' as const }) },
);

interface Seen {
  readonly ends: Map<string, number>;
  readonly states: Map<string, string>;
  readonly requests: string[];
  readonly grants: string[];
  /** Who was made an owner of a workload. */
  readonly owners: Set<string>;
  readonly keyed: Map<string, { readonly id: string; readonly body: string }>;
  done: number;
}

const at = <T>(list: readonly T[], index: number): T | undefined => (list.length === 0 ? undefined : list[list.length - 1 - (index % list.length)]);

const take = async (world: World, step: Step, seen: Seen): Promise<void> => {
  const note = (executed: Executed): void => {
    if (executed.ok) seen.done += 1;
  };
  const digestOf = async (id: string): Promise<string> => ((await world.requests.get('default', id))?.['digest'] as string | undefined) ?? '';
  switch (step.do) {
    case 'ask': {
      const asked = { entitlement: 'db-migration', workload: WORKLOADS[step.workload] ?? '', ttlMs: step.hours * HOUR, justification: 'x', reference: 'CHG-1' };
      const body = JSON.stringify([step.who, asked]);
      const key = step.key === undefined ? undefined : `${step.who}/${step.key}`;
      const call = key === undefined ? person(step.who) : { ...person(step.who), idempotency: { principal: `user:${step.who}`, key, body: { body } } };
      const executed = await world.requests.create(call, asked, 'request');
      const before = key === undefined ? undefined : seen.keyed.get(key);
      if (executed.ok) {
        const { id } = executed.reply['request'] as { id: string };
        if (before !== undefined) expect({ id, body }, 'I8: a key has one effect').toEqual(before);
        if (key !== undefined) seen.keyed.set(key, { id, body });
      } else if (before !== undefined && before.body !== body) expect(['key-reused', 'invalid', 'not-permitted', 'suspended', 'limit', 'state']).toContain(executed.failure.code);
      return note(executed);
    }
    case 'approve': {
      const id = at(seen.requests, step.request);
      return id === undefined ? undefined : note(await world.requests.approve(person(step.who), id, step.wrongDigest ? '0'.repeat(64) : await digestOf(id)));
    }
    case 'deny': {
      const id = at(seen.requests, step.request);
      return id === undefined ? undefined : note(await world.requests.deny(person(step.who), id, 'no'));
    }
    case 'cancel': {
      const id = at(seen.requests, step.request);
      return id === undefined ? undefined : note(await world.requests.cancel(person(step.who), id));
    }
    case 'extend': {
      const id = at(seen.grants, step.grant);
      return id === undefined ? undefined : note(await world.requests.extend(person(step.who), id, { ttlMs: step.hours * HOUR, justification: 'more' }));
    }
    case 'delegate': {
      const id = at(seen.grants, step.grant);
      const scopes = [{ actions: ['GET'], resource: { type: 'http', id: step.narrow ? 'orders-db.local/schema/a/**' : 'orders-db.local/**' } }];
      const actor = { kind: 'workload', id: WORKLOADS[step.from] ?? '' } as const;
      return id === undefined ? undefined : note(await world.delegation.delegate({ realm: 'default', actor }, { from: id, workload: WORKLOADS[step.to] ?? '', scopes, ttlMs: step.hours * HOUR, justification: 'help' }));
    }
    case 'confirm':
    case 'grace': {
      const id = at(seen.grants, step.grant);
      if (id === undefined) return undefined;
      const executed = await (step.do === 'confirm' ? world.lifecycle.confirmGrant : world.lifecycle.graceGrant)(person(step.who), id, 'needed');
      const teams = TEAMS[step.who] ?? [];
      const near = teams.includes('team:data') || teams.includes('team:platform');
      if (executed.ok && step.do === 'confirm') expect(near || seen.owners.has(`user:${step.who}`), 'owners confirm').toBe(true);
      if (executed.ok && step.do === 'grace') expect(near, 'others give grace').toBe(false);
      return note(executed);
    }
    case 'revoke': {
      const grant = at(seen.grants, step.pick);
      const selector = [{ kind: 'workload', value: WORKLOADS[step.pick % 3] ?? '' }, { kind: 'approver', value: 'user:dan' }, { kind: 'owner', value: 'team:data' }, { kind: 'grant', value: grant ?? 'none' }][step.kind] as { kind: 'grant'; value: string };
      return note(await world.lifecycle.revoke(CONFIGURER, { selector, reason: 'x' }, true));
    }
    case 'owner':
      seen.owners.add(`user:${step.who}`);
      return note(await world.directory.setWorkload(CONFIGURER, { id: WORKLOADS[step.workload] ?? '', kind: 'batch', owner: `user:${step.who}`, fallbackOwner: 'team:platform', tier: 'standard', aliases: [], active: true }));
    case 'wait':
      world.at.now += step.minutes * 60_000;
      return undefined;
    case 'sweep':
      for (const id of seen.requests) await world.requests.settle({ realm: 'default', actor: { kind: 'system', id: 'system:sweeper' } }, id);
      return undefined;
  }
};

const holds = async (world: World, seen: Seen): Promise<void> => {
  const grants = new Map((await world.store.list('default', { kind: 'grant', limit: 200 })).items.map(({ key, value }) => [key.id, value as unknown as Grant]));
  const requests = (await world.store.list('default', { kind: 'request', limit: 200 })).items.flatMap(({ value }) => readRequest(value) ?? []);
  for (const request of requests) {
    const before = seen.states.get(request.id);
    if (before === undefined) seen.requests.push(request.id);
    else if (before !== 'pending') expect(request.state, 'what is decided never changes').toBe(before);
    seen.states.set(request.id, request.state);
    expect(REQUEST_STATES).toContain(request.state);
  }
  const byGrant = new Map(requests.flatMap((request) => (request.grant === undefined ? [] : [[request.grant, request] as const])));
  for (const [id, grant] of grants) {
    const before = seen.ends.get(id);
    if (before === undefined) seen.grants.push(id);
    else expect(grant.expiresAt, 'demand(5): no end moves').toBe(before);
    seen.ends.set(id, grant.expiresAt);
    const [parent] = grant.chain;
    if (parent !== undefined) {
      expect(scopesWithin(grant.scopes, parent.scopes) && grant.expiresAt <= parent.expiresAt, 'I3').toBe(true);
      expect(grants.get(parent.id)?.workload).not.toBe(grant.workload);
      continue;
    }
    const request = byGrant.get(id);
    if (request === undefined) throw new Error('I13: a grant that nobody approved');
    const approvers = new Set(request.approvals.map(({ approver }) => approver));
    expect(approvers.size, 'I13: enough distinct persons').toBeGreaterThanOrEqual(2);
    expect([...approvers].filter((approver) => !MAY_APPROVE.has(approver) || approver === request.requester.id), 'I13: of those who may').toEqual([]);
  }
};

const run = async (sequence: readonly Step[], count: { done: number; grants: number; delegated: number }): Promise<void> => {
  const world = await createWorld({ development: false });
  try {
    const { policy } = world.at;
    world.at.policy = policy && { ...policy, entitlement: (id) => { const data = policy.entitlement(id); return id === 'db-migration' && data !== undefined ? { ...data, delegation: { depth: 2 }, recertify: { everyMs: HOUR, graceMs: HOUR / 4 } } : data; } };
    for (const id of WORKLOADS) await world.directory.setWorkload(CONFIGURER, { id, kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform', tier: 'standard', aliases: [], active: true });
    const seen: Seen = { ends: new Map(), states: new Map(), requests: [], grants: [], owners: new Set(), keyed: new Map(), done: 0 };
    for (const step of sequence) {
      await take(world, step, seen);
      await holds(world, seen);
    }
    count.done += seen.done;
    count.grants += seen.grants.length;
    count.delegated += (await world.store.list('default', { kind: 'grant', limit: 200 })).items.filter(({ value }) => (value['chain'] as unknown as readonly unknown[]).length > 0).length;
  } finally {
    await world.close();
  }
};

test('I3 I8 I13 demand(5) demand(35): no sequence of commands moves an end, widens a grant or issues one without enough others', async () => {
  const count = { done: 0, grants: 0, delegated: 0 };
  await fc.assert(fc.asyncProperty(fc.array(steps, { minLength: STEPS, maxLength: STEPS }), (sequence) => run(sequence, count)), { numRuns: RUNS, endOnFailure: RUNS > 100 });
  // The runs have gone somewhere.
  expect(count.grants).toBeGreaterThan(RUNS / 12);
  expect(count.done).toBeGreaterThan(RUNS * 3);
}, 60_000 + RUNS * 20_000);
