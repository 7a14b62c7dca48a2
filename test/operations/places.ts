/** Stores of the tests of copies: embedded and Redis ones, as configurations name them, filled through the lifecycle. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSchema, type Config } from '../../src/config/schema.ts';
import type { Clock } from '../../src/decision/ports.ts';
import type { Instant } from '../../src/domain/instant.ts';
import { lifecycleConfig } from '../../src/lifecycle/config.ts';
import { createLifecycle, type Lifecycle } from '../../src/lifecycle/lifecycle.ts';
import { openEmbeddedStore } from '../../src/store/embedded/open.ts';
import type { NodeStore, StoredEvent, StoredRecord } from '../../src/store/port.ts';
import { openRedisStore } from '../../src/store/redis/open.ts';
import { createClock } from '../../src/time/clock.ts';
import { CALL, committedPolicy, terms } from '../lifecycle/world.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';

export type Kind = 'embedded' | 'redis';
export const REALMS = ['default', 'other'] as const;
const MIB = 2 ** 20;

export interface Place {
  readonly kind: Kind;
  readonly config: Config;
  readonly directory: string;
  readonly server?: RedisServer;
  /** As a service opens it. */
  open(clock?: Clock): Promise<NodeStore>;
  remove(): Promise<void>;
}

export const clockHere = (): Clock => createClock({ maxClockStepMs: 3_600_000 });

export const newPlace = async (kind: Kind, realms: readonly string[] = REALMS): Promise<Place> => {
  const directory = mkdtempSync(join(tmpdir(), 'curfew-place-'));
  const server = kind === 'redis' ? await startRedis() : undefined;
  const config = configSchema.parse({
    realms, http: {}, log: {},
    store: { kind, path: join(directory, 'store'), mapSizeBytes: 256 * MIB, ...(server === undefined ? {} : { redis: { port: server.port } }) },
  });
  return {
    kind, config, directory,
    ...(server === undefined ? {} : { server }),
    open: async (clock = clockHere()) => {
      if (kind === 'embedded') return openEmbeddedStore({ path: config.store.path, mapSizeBytes: 256 * MIB, mode: 'production', clock, realms });
      return openRedisStore({ config: config.store.redis, mode: 'production', clock, realms, secrets: { readFile: () => '', env: () => undefined }, lookEveryMs: 50, memory: { path: join(directory, 'seen.json'), keeper: true, realms } });
    },
    remove: async () => {
      await server?.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
};

export const lifecycleOf = async (store: NodeStore, clock: Clock = clockHere()): Promise<Lifecycle> => {
  const policy = await committedPolicy();
  return createLifecycle({ store, clock, config: lifecycleConfig.parse({}), policy: () => policy, development: true, enforcementMs: 1, settle: async () => undefined });
};

/** Longer than a store's key may hold as it is. */
export const LONG = `spiffe://dev.local/${'x'.repeat(400)}`;
export const workload = (index: number): string => (index === 0 ? LONG : `spiffe://dev.local/ci/${index}`);
export const WORKLOADS = Array.from({ length: 8 }, (_, index) => workload(index));

export interface Made {
  readonly grants: readonly string[];
  readonly tasks: readonly string[];
}

/** Grants with tasks and counted uses, endings of all sorts, a one-time token, dropped records, an idempotency key. */
export const fill = async (store: NodeStore, realm: string, count = 60): Promise<Made> => {
  const lifecycle = await lifecycleOf(store);
  const call = { ...CALL, realm };
  const [grants, tasks]: [string[], string[]] = [[], []];
  for (let index = 0; index < count; index += 1) {
    if (index % 10 === 0) {
      const task = await lifecycle.openTask({ ...call, idempotency: { principal: 'p', key: `open ${index}`, body: {} } }, { kind: 'ci', owner: 'team:x' });
      if (task.ok) tasks.push((task.reply['task'] as { id: string }).id);
    }
    const task = tasks.at(-1);
    const issued = await lifecycle.issueGrant(call, terms({ workload: workload(index % WORKLOADS.length), ttlMs: 3_600_000, uses: 5, model: 'jit', ...(task === undefined ? {} : { task }) }));
    if (issued.ok) grants.push((issued.reply['grant'] as { id: string }).id);
  }
  await lifecycle.revoke(call, { selector: { kind: 'workload', value: workload(1) }, reason: 'r' }, true);
  await lifecycle.revoke(call, { selector: { kind: 'grant', value: grants[2] ?? '' }, reason: 'r' }, true);
  await lifecycle.suspend(call, { selector: { kind: 'owner', value: 'team:y' }, reason: 'r' }, true);
  await lifecycle.closeTask(call, tasks[0] ?? '', true);
  await use(store, realm, grants[3] ?? '', 'token:a');
  await store.commit({ realm, expect: [], puts: [{ key: { kind: 'thing', id: 'gone' }, value: { a: 1 }, index: { owner: 'somebody', end: 1_900_000_000_000 as Instant } }], events: [] });
  await store.commit({ realm, expect: [], puts: [], drops: [{ kind: 'thing', id: 'gone' }], events: [] });
  return { grants, tasks };
};

export const use = async (store: NodeStore, realm: string, grant: string, once: string): Promise<string> =>
  (await store.commit({
    realm, expect: [{ key: { kind: 'once', id: once }, version: 0 }], puts: [{ key: { kind: 'once', id: once }, value: { version: 1, until: 1_900_000_000_000 } }],
    increments: [{ key: { kind: 'uses', id: grant }, max: 5 }],
    events: [
      { type: 'credential.used', about: [{ kind: 'once', id: once }], ending: false, data: { decision: 'd' } },
      { type: 'grant.used', about: [{ kind: 'grant', id: grant }], ending: false, data: { grant, decision: 'd' } },
    ],
  })).outcome;

const allOf = async (store: NodeStore, realm: string, kind: string): Promise<readonly StoredRecord[]> => {
  const found: StoredRecord[] = [];
  for (let after: string | undefined; ; ) {
    const page = await store.list(realm, { kind, limit: 100, ...(after === undefined ? {} : { after }) });
    found.push(...page.items);
    if (page.next === undefined) return found;
    after = page.next;
  }
};

const KINDS = ['grant', 'task', 'task-grant', 'ending', 'revocation', 'suspension', 'uses', 'once', 'holder', 'thing', 'operator'];

export const eventsOf = async (store: NodeStore, realm: string): Promise<readonly StoredEvent[]> => {
  const all: StoredEvent[] = [];
  for (;;) {
    const page = await store.events(realm, { after: all.length, limit: 500 });
    all.push(...page);
    if (page.length < 500) return all;
  }
};

/** Everything that can be asked of a realm, in a form that compares. */
export const portrait = async (store: NodeStore, realm: string) => {
  const now = Date.now() as Instant;
  // Very long ids stand elsewhere in the order of each store.
  const records = await Promise.all(KINDS.map(async (kind) => [...(await allOf(store, realm, kind))].sort((a, b) => (a.key.id < b.key.id ? -1 : 1))));
  const grants = records[0] ?? [];
  const facts = [];
  for (const owner of [...WORKLOADS, 'somebody']) {
    const { position, endings, rows, ended, records: refs, truncated } = await store.facts({ realm, keys: [], index: { owner, endsAfter: now, lookBack: 8 } });
    facts.push({ position, endings, truncated, rows: rows.map(({ key }) => key.id).sort(), ended: ended.map(({ key }) => key.id).sort(), refs: [...refs.keys()].sort() });
  }
  const histories = await Promise.all(grants.slice(0, 10).map(({ key }) => store.events(realm, { after: 0, limit: 100, about: key })));
  return {
    epoch: store.epoch, records, facts,
    byOwner: (await store.list(realm, { kind: 'grant', owner: workload(2), limit: 1_000 })).items.map(({ key }) => key.id).sort(),
    events: (await eventsOf(store, realm)).map(({ bytes }) => Buffer.from(bytes).toString('utf8')),
    histories: histories.map((events) => events.map(({ sequence }) => sequence)),
  };
};
