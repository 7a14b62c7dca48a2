/** The lifecycle over a real embedded store and the committed bundle, with a clock that the test moves. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock, Policy } from '../../src/decision/ports.ts';
import { lifecycleConfig, type LifecycleConfig } from '../../src/lifecycle/config.ts';
import type { Instant } from '../../src/domain/instant.ts';
import { createDelegation, type Delegation } from '../../src/lifecycle/delegation.ts';
import { createDirectory, type Directory } from '../../src/lifecycle/directory.ts';
import { createRequests, type Requests } from '../../src/lifecycle/requests.ts';
import { createInspect, type Inspect } from '../../src/lifecycle/inspect.ts';
import { createLifecycle, type Call, type Lifecycle, type LifecycleDeps } from '../../src/lifecycle/lifecycle.ts';
import { createNoteRefusal } from '../../src/lifecycle/note-refusals.ts';
import { loadPolicy } from '../../src/policy/load-policy.ts';
import { openEmbeddedStore, type EmbeddedStore } from '../../src/store/embedded/open.ts';
import type { NodeStore } from '../../src/store/port.ts';
import { repositoryRoot } from '../parts.ts';

export const T0 = 1_800_000_000_000;
export const WORKLOAD = 'spiffe://dev.local/ci/deployer';
export const OPERATOR = { kind: 'operator', id: 'user:op' } as const;
export const CALL: Call = { realm: 'default', actor: OPERATOR };

export const terms = (over: object = {}): Parameters<Lifecycle['issueGrant']>[1] => ({
  workload: WORKLOAD, model: 'time-boxed', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/orders/**' } }],
  ttlMs: 60_000, owner: 'team:shop', justification: 'deploy the shop', reference: 'CHG-1', ...over,
});

export interface World {
  readonly store: EmbeddedStore;
  readonly clock: Clock;
  readonly lifecycle: Lifecycle;
  readonly inspect: Inspect;
  readonly requests: Requests;
  readonly delegation: Delegation;
  readonly directory: Directory;
  readonly config: LifecycleConfig;
  /** What the test sets. */
  readonly at: { now: number; trusted: boolean; policy: Policy | undefined };
  /** Set: who may be an owner, beside those in the directory. */
  readonly knownOwners: { names?: ReadonlySet<string> };
  /** How long each ending waited. */
  readonly settled: number[];
  /** How many events the realm has. */
  events(): number;
  /** The same, of any store. */
  sequence(): Promise<number>;
  close(): Promise<void>;
}

let policy: Promise<Policy> | undefined;
export const committedPolicy = (): Promise<Policy> =>
  (policy ??= loadPolicy(readFileSync(join(repositoryRoot, 'bundles/curfew.tar.gz')), { entrypoints: ['curfew/access/decision', 'curfew/admin/decision', 'curfew/lifecycle/decision'] }));

/** Where worlds have their records: LMDB, unless a file runs tests of others over another store. Those use nothing that only LMDB has. */
let openElsewhere: ((clock: Clock) => Promise<NodeStore>) | undefined;
export const worldsOver = (open: typeof openElsewhere): void => {
  openElsewhere = open;
};

export const createWorld = async (over: { development?: boolean; noted?: boolean; checkReference?: LifecycleDeps['checkReference']; config?: object; wrap?: (store: EmbeddedStore) => EmbeddedStore; deciders?: LifecycleDeps['deciders'] } = {}): Promise<World> => {
  const path = mkdtempSync(join(tmpdir(), 'curfew-lifecycle-'));
  const at: World['at'] = { now: T0, trusted: true, policy: await committedPolicy() };
  let monotonic = 0;
  const clock: Clock = {
    now: () => ({ earliest: at.now as Instant, latest: at.now as Instant, trusted: at.trusted }),
    monotonicMs: () => (monotonic += 0.01),
  };
  const opened = ((await openElsewhere?.(clock)) as EmbeddedStore | undefined) ?? await openEmbeddedStore({ path, mode: 'development', clock, mapSizeBytes: 256 * 2 ** 20 });
  const store = over.wrap?.(opened) ?? opened;
  const anyStore: NodeStore = store;
  const config = lifecycleConfig.parse(over.config ?? {});
  const settled: number[] = [];
  const known: World['knownOwners'] = {};
  const deps: LifecycleDeps = {
    store, clock, config, policy: () => at.policy, development: over.development ?? true, enforcementMs: 250,
    knownOwners: () => known.names,
    settle: async (ms) => {
      settled.push(ms);
    },
    deciders: over.deciders,
    ...(over.checkReference === undefined ? {} : { checkReference: over.checkReference }),
    ...(over.noted === true ? { noteRefusal: createNoteRefusal({ store, clock }) } : {}),
  };
  return {
    store, clock, config, at, settled, knownOwners: known,
    lifecycle: createLifecycle(deps),
    requests: createRequests(deps),
    delegation: createDelegation(deps),
    directory: createDirectory(deps),
    inspect: createInspect({ store, clock, policy: () => at.policy, deciders: over.deciders }),
    sequence: async () => (await anyStore.facts({ realm: 'default', keys: [] })).position.sequence,
    events: () => store.facts({ realm: 'default', keys: [] }).position.sequence,
    close: async () => {
      await opened.close();
      rmSync(path, { recursive: true, force: true });
    },
  };
};
