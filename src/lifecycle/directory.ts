/** The directory: people and workloads, set by operators or by a people source. Whoever leaves is answered for when it is enforced everywhere. */
import type { JsonObject } from '../domain/json.ts';
import { personRef, readPerson, readRegistration, workloadRef } from '../domain/lifecycle/directory.ts';
import { setPerson, setWorkload, type SetPerson, type SetWorkload } from '../domain/lifecycle/directory-rules.ts';
import { formatPosition } from '../domain/position.ts';
import type { Store, StoredRecord } from '../store/port.ts';
import { createEnforce } from './enforce.ts';
import type { Executed } from './execute.ts';
import type { Call, LifecycleDeps } from './lifecycle.ts';
import { newId } from './new-id.ts';
import { createRun } from './run.ts';
import { createSettle } from './settle.ts';
import { watchEnforced } from './watched.ts';

export interface Directory {
  /** `source`: who says so; `api`, or the name of a people source. */
  setPerson(call: Call, person: SetPerson, source: string, respondAsync?: boolean): Promise<Executed>;
  setWorkload(call: Call, workload: SetWorkload, respondAsync?: boolean): Promise<Executed>;
  person(realm: string, id: string): Promise<JsonObject | undefined>;
  workload(realm: string, id: string): Promise<JsonObject | undefined>;
  list(realm: string, kind: 'person' | 'workload', page: { readonly after?: string | undefined; readonly limit: number }): Promise<{ readonly items: readonly JsonObject[]; readonly next?: string }>;
}

const view = (store: Pick<Store, 'epoch'>, record: StoredRecord): JsonObject => {
  const { version: _version, ...rest } = record.value;
  return { ...rest, position: formatPosition({ epoch: store.epoch, sequence: record.modified.sequence }) };
};

export const createDirectory = (deps: LifecycleDeps): Directory => {
  const { store, clock, config } = deps;
  const run = createRun({ store, clock, idempotencyKeepMs: config.idempotencyKeepMs });
  const enforcedMs = (): number => deps.enforcementMs + (store.fenceMs?.() ?? 0);
  const enforce = watchEnforced(deps.watch, createEnforce({ store, clock, run, settle: deps.settle ?? createSettle(clock), enforcedMs, pepCacheMs: () => deps.pepCacheMs ?? 0, deciders: deps.deciders }));
  const setting = (source: string, realm: string) => ({ source, knownOwners: deps.knownOwners?.(realm), newId: () => (deps.newId ?? newId)(clock.now().latest), settleMs: enforcedMs(), onTransfer: config.directory.onTransfer });
  const one = async (realm: string, kind: 'person' | 'workload', id: string): Promise<JsonObject | undefined> => {
    const [record] = await store.read(realm, [kind === 'person' ? personRef(id) : workloadRef(id)]);
    return record === undefined ? undefined : view(store, record);
  };
  return {
    setPerson: (call, person, source, respondAsync = false) =>
      enforce({ ...call, command: 'person.set' }, 0, !respondAsync && call.actor.kind !== 'system' && !person.active, () => run(call, 'person.set', `person/${person.id}`, setPerson(person, call.actor, setting(source, call.realm)))),
    setWorkload: (call, workload, respondAsync = false) =>
      enforce({ ...call, command: 'workload.set' }, 0, !respondAsync && call.actor.kind !== 'system' && !workload.active, () => run(call, 'workload.set', `workload/${workload.id}`, setWorkload(workload, call.actor, setting('api', call.realm)))),
    person: (realm, id) => one(realm, 'person', id),
    workload: (realm, id) => one(realm, 'workload', id),
    list: async (realm, kind, { after, limit }) => {
      const { items, next } = await store.list(realm, { kind, limit, ...(after === undefined ? {} : { after }) });
      const known = items.filter(({ value }) => (kind === 'person' ? readPerson(value) : readRegistration(value)) !== undefined);
      return { items: known.map((record) => view(store, record)), ...(next === undefined ? {} : { next }) };
    },
  };
};
