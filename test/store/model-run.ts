/** Commands at random to a real store and to the model of one; after each, both say the same. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { DurationMs, Instant } from '../../src/domain/instant.ts';
import { recordKeyText, type Commit, type RecordKey, type Store } from '../../src/store/port.ts';
import { createModelStore, type ModelStore } from './model-store.ts';

export const MODEL_START = 1_800_000_000_000;

interface World {
  nowMs: number;
  readonly model: ModelStore;
  /** Opened twice: what one wrote the other reads. */
  readonly stores: readonly Store[];
}
/** fast-check's idea of a model is the real world's number of commands only: all is compared with `World.model`. */
type Command = fc.AsyncCommand<{ count: number }, World>;

const command = (name: string, run: (world: World) => Promise<void>): Command => ({ check: () => true, run: (_model, world) => run(world), toString: () => name });

const keys = fc.record({ kind: fc.constantFrom('grant', 'task', 'uses'), id: fc.constantFrom('a', 'a', 'b', 'b', '\ud800', 'x'.repeat(300)) });
const owners = fc.constantFrom('w', 'v', 'w:1');
const ends = fc.integer({ min: -2, max: 20 }).map((by) => (MODEL_START + by * 10) as Instant);
const values = fc.oneof(fc.record({ n: fc.nat(9) }), fc.record({ count: fc.nat(3), text: fc.constantFrom('é', '"', '\\', '\u2028', '\ud800') }), fc.constant({}), fc.constant({ who: 'w of a and b' }));
const store = fc.nat(1);

interface CommitPlan {
  readonly on: number;
  readonly puts: readonly { readonly key: RecordKey; readonly value: object; readonly indexed: boolean; readonly owner: string; readonly end: Instant; readonly mark: boolean; readonly refs: readonly RecordKey[] | undefined }[];
  readonly increments: readonly { readonly key: RecordKey; readonly max: number }[];
  readonly drops: readonly RecordKey[];
  readonly expects: readonly { readonly key: RecordKey; readonly right: boolean }[];
  readonly events: readonly { readonly about: readonly RecordKey[]; readonly ending: boolean; readonly n: number }[];
  readonly before: Instant | undefined;
  readonly replay: { readonly key: string; readonly digest: string } | undefined;
}

/** Rarely what makes the whole commit fail, or most would. */
const rarely = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined, freq: 1 }).chain((value) => fc.integer({ min: 0, max: 7 }).map((die) => (die === 0 ? value : undefined)));
const lasting = (key: RecordKey): { owner: string; end: Instant } => ({ owner: key.id === 'b' ? 'v' : 'w', end: (MODEL_START + 150 + key.kind.length * 10) as Instant });
const puts = fc.record({ key: keys, value: values, indexed: fc.boolean(), owner: rarely(owners), end: rarely(ends), mark: fc.boolean(), refs: fc.option(fc.array(keys, { maxLength: 3 }), { nil: undefined }) })
  .map(({ owner, end, ...put }) => ({ ...put, indexed: put.key.kind !== 'uses' && (put.indexed || put.key.kind === 'grant'), owner: owner ?? lasting(put.key).owner, end: end ?? lasting(put.key).end }));

const plans: fc.Arbitrary<CommitPlan> = fc.record({
  on: store,
  puts: fc.array(puts, { maxLength: 3 }),
  increments: rarely(fc.record({ key: keys, max: fc.integer({ min: 0, max: 9 }) })).map((one) => (one === undefined ? [] : [one])),
  drops: rarely(keys).map((one) => (one === undefined ? [] : [one])),
  expects: fc.array(fc.record({ key: keys, right: rarely(fc.constant(true)).map((wrong) => wrong !== true) }), { maxLength: 1 }),
  events: fc.array(fc.record({ about: fc.array(keys, { maxLength: 2 }), ending: fc.boolean(), n: fc.nat(9) }), { maxLength: 2 }),
  before: rarely(ends),
  replay: rarely(fc.record({ key: fc.constantFrom('k', 'l'), digest: fc.constantFrom('d', 'd', 'e') })),
});

const commitOf = ({ puts, increments, drops, expects, events, before, replay }: CommitPlan, { model }: World): Commit => {
  const there = (key: RecordKey) => model.facts({ realm: 'default', keys: [key] }).records.get(recordKeyText(key));
  return {
    realm: 'default',
    expect: expects.map(({ key, right }) => ({ key, version: (there(key)?.modified.sequence ?? 0) + (right ? 0 : 1) })),
    puts: puts.map(({ key, value, indexed, owner, end, mark, refs }) => ({ key, value: value as never, ...(indexed ? { index: { owner, end } } : {}), ...(mark ? { mark } : {}), ...(refs === undefined ? {} : { refs }) })),
    increments, drops,
    events: events.map(({ about, ending, n }) => ({ type: 'noted', about, ending, data: { n, z: 'ü' } })),
    ...(before === undefined ? {} : { before }),
    ...(replay === undefined ? {} : { idempotency: { scope: 's', key: replay.key, digest: replay.digest, reply: { digest: replay.digest }, keepMs: 60 as DurationMs } }),
  };
};

const outcomeOf = async (work: () => unknown): Promise<unknown> => {
  try {
    return await work();
  } catch (error) {
    return (error as Error).name;
  }
};

const commits = plans.map((plan) => command(`commit ${JSON.stringify(plan)}`, async (world) => {
  const commit = commitOf(plan, world);
  expect(await outcomeOf(() => world.stores[plan.on]?.commit(commit))).toEqual(await outcomeOf(() => world.model.commit(commit)));
}));
const reads = fc.record({ on: store, keys: fc.array(keys, { maxLength: 4 }), owner: fc.constantFrom('w', 'v'), endsAfter: ends }).map((query) => command(`facts ${JSON.stringify(query)}`, async ({ stores, model }) => {
  const asked = { realm: 'default', keys: query.keys, index: { owner: query.owner, endsAfter: query.endsAfter } };
  const read = await stores[query.on]?.facts(asked);
  const right = model.facts(asked);
  expect({ position: read?.position, endings: read?.endings, records: read?.records, rows: new Map(read?.rows.map((row) => [recordKeyText(row.key), row])) }).toEqual(right);
}));
const lists = fc.record({ on: store, kind: fc.constantFrom('grant', 'task', 'uses'), owner: fc.option(owners, { nil: undefined }), limit: fc.integer({ min: 1, max: 4 }) }).map(({ on, kind, owner, limit }) => command(`list ${kind} ${owner ?? ''}`, async ({ stores, model }) => {
  const found: string[] = [];
  for (let after: string | undefined; ; ) {
    const page = await stores[on]?.list('default', { kind, limit, ...(owner === undefined ? {} : { owner }), ...(after === undefined ? {} : { after }) });
    found.push(...(page?.items ?? []).map(({ key }) => recordKeyText(key)));
    after = page?.next;
    if (after === undefined) break;
  }
  expect(found.sort()).toEqual(model.list(kind, owner));
}));
const histories = fc.record({ on: store, after: fc.nat(5), about: fc.option(keys, { nil: undefined }) }).map(({ on, after, about }) => command(`events after ${after}`, async ({ stores, model }) => {
  const events = await stores[on]?.events('default', { after, limit: 1_000, ...(about === undefined ? {} : { about }) });
  expect(events?.map(({ bytes }) => Buffer.from(bytes).toString('utf8'))).toEqual(model.events(after, about));
}));
const waits = fc.integer({ min: -5, max: 40 }).map((ms) => command(`${ms} ms go by`, async (world) => { world.nowMs += ms; }));

/** `open` gives two openings of a new, empty store under the given clock. */
export const compareWithModel = async (open: (now: () => Instant) => Promise<readonly [Store, Store]>, numRuns: number): Promise<void> => {
  await fc.assert(
    fc.asyncProperty(fc.commands([commits, commits, commits, reads, lists, histories, waits], { maxCommands: 50, size: 'max' }), async (run) => {
      const world: { nowMs: number; model?: ModelStore; stores?: readonly Store[] } = { nowMs: MODEL_START };
      const now = (): Instant => world.nowMs as Instant;
      const stores = await open(now);
      try {
        Object.assign(world, { stores, model: createModelStore(stores[0].epoch, now) });
        await fc.asyncModelRun(() => ({ model: { count: 0 }, real: world as World }), run);
      } finally {
        for (const one of stores) await one.close();
      }
    }),
    { numRuns },
  );
};
