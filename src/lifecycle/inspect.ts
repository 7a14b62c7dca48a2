/**
 * Reading grants, tasks and endings for people. A grant's state is computed at the moment of asking, by the same pure function
 * as decisions use; nothing here says `active` where a decision would say that the grant does not hold.
 */
import { readFacts } from '../decision/gather.ts';
import type { Clock, Policy } from '../decision/ports.ts';
import { endingRef, grantRef, grantSelectors, taskRef, type RecordRef } from '../domain/grant-refs.ts';
import type { Grant } from '../domain/grant.ts';
import { toRfc3339, type Instant, type TimeInterval } from '../domain/instant.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import { revocationRef, suspensionRef, type RevocationRecord, type SuspensionRecord } from '../domain/lifecycle/ending-rules.ts';
import { formatPosition } from '../domain/position.ts';
import { readGrant, readTask } from '../domain/records.ts';
import { workloadSelectors } from '../domain/selector.ts';
import type { Holders } from '../store/leases.ts';
import type { Store, StoredEvent, StoredRecord } from '../store/port.ts';
import type { Deciders } from './deciders.ts';
import { grantState, stateRefs, surroundings } from './grant-state.ts';
import { useRef } from './use-notes.ts';
import { grantView, holdersView, owingView, revocationView, suspensionView, taskView, usedView, type EnforcementView, type GrantState, type PageView } from './view.ts';

export interface InspectDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly policy: () => Pick<Policy, 'entitlement'> | undefined;
  readonly deciders?: Deciders | undefined;
}

export interface GrantFilter {
  readonly workload?: string | undefined;
  readonly state?: GrantState['state'] | undefined;
  readonly model?: Grant['model'] | undefined;
  readonly task?: string | undefined;
}

export interface PageRequest {
  readonly after?: string | undefined;
  readonly limit: number;
}

export interface Inspect {
  grant(realm: string, id: string): Promise<JsonObject | undefined>;
  grants(realm: string, filter: GrantFilter, page: PageRequest): Promise<PageView>;
  /** A workload's grants, live ones first; at most as many as the store reads at once (`ROWS_MAX`), those that end last. */
  grantsOf(realm: string, workload: string, page: PageRequest): Promise<PageView>;
  task(realm: string, id: string): Promise<JsonObject | undefined>;
  tasks(realm: string, page: PageRequest): Promise<PageView>;
  revocation(realm: string, id: string): Promise<JsonObject | undefined>;
  revocations(realm: string, page: PageRequest): Promise<PageView>;
  suspension(realm: string, id: string): Promise<JsonObject | undefined>;
  suspensions(realm: string, page: PageRequest): Promise<PageView>;
}

/** Records looked at for one page; a sparse filter gives short pages with `next` beyond this. */
const SCAN_MAX = 2_000;
const HISTORY_MAX = 200;

/** What can be told without knowing the state, which costs more. */
const mayPass = ({ model, task }: GrantFilter, { value }: StoredRecord): boolean =>
  (model === undefined || value['model'] === model) && (task === undefined || value['task'] === task);

const passes = (filter: GrantFilter, state: GrantState): boolean => filter.state === undefined || state.state === filter.state;

const text = (value: JsonValue | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

/** What an event says beyond its type, without whole records. */
const eventView = (event: StoredEvent, epoch: string): JsonObject => {
  const { revocation, suspension, cause, by, direct, traceparent } = event.data;
  const ended = isJsonObject(revocation) ? revocation : isJsonObject(suspension) ? suspension : undefined;
  return {
    position: formatPosition({ epoch, sequence: event.sequence }),
    at: toRfc3339(event.at),
    type: event.type,
    by: text(by) ?? 'unknown',
    ...(direct === undefined ? {} : { direct }),
    ...(cause === undefined ? {} : { cause }),
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(ended === undefined ? {} : { id: ended['id'] ?? null, selector: ended['selector'] ?? null, reason: ended['reason'] ?? null }),
  };
};

export const createInspect = (deps: InspectDeps): Inspect => {
  const { store, clock, policy, deciders } = deps;
  const positionOf = (record: StoredRecord, stamp: 'created' | 'modified') => ({ epoch: store.epoch, sequence: record[stamp].sequence });

  const grantViews = async (realm: string, records: readonly StoredRecord[]): Promise<readonly { readonly view: JsonObject; readonly grant: Grant; readonly state: GrantState }[]> => {
    const understood = records.flatMap((record) => {
      const grant = readGrant(record.value);
      return grant === undefined ? [] : [{ record, grant }];
    });
    if (understood.length === 0) return [];
    const answer = await store.facts({ realm, keys: understood.flatMap(({ grant }) => stateRefs(grant)) });
    const active = policy();
    const now: TimeInterval = clock.now();
    return understood.flatMap(({ record, grant }) => {
      const facts = readFacts({ ...answer, rows: [record] }, grant.workload);
      const [fact] = facts.grants;
      if (fact === undefined) return [];
      const state = grantState(fact, facts, now, (id) => active?.entitlement(id) !== undefined);
      return [{ grant, state, view: grantView(grant, state, positionOf(record, 'created'), fact.usesLeft === undefined ? undefined : Math.max(0, fact.usesLeft)) }];
    });
  };

  const history = async (realm: string, record: StoredRecord, grant: Grant): Promise<readonly JsonObject[]> => {
    const about = [grantRef(grant.id), ...(grant.task === undefined ? [] : [taskRef(grant.task)]), ...[...grantSelectors(grant), ...workloadSelectors(grant.workload), ...surroundings(grant)].map(endingRef)];
    // A task's beats and earlier endings of its workload are not the grant's story.
    const lists = await Promise.all(about.map((key) => store.events(realm, { after: key.kind === 'grant' ? 0 : record.created.sequence - 1, limit: HISTORY_MAX, about: key })));
    const events = new Map(lists.flat().filter(({ type }) => type !== 'task.beat').map((event) => [event.sequence, event]));
    return [...events.values()].sort((a, b) => a.sequence - b.sequence).slice(0, HISTORY_MAX).map((event) => eventView(event, store.epoch));
  };

  /** Pages through one kind until `limit` items passed the filter or enough was looked at. */
  const pageOf = async (
    realm: string, list: { readonly kind: string; readonly owner?: string }, page: PageRequest,
    views: (records: readonly StoredRecord[]) => Promise<readonly JsonObject[]>,
  ): Promise<PageView> => {
    const items: JsonObject[] = [];
    let { after } = page;
    for (let scanned = 0; scanned < SCAN_MAX; ) {
      const limit = page.limit - items.length;
      const found = await store.list(realm, { ...list, limit, ...(after === undefined ? {} : { after }) });
      items.push(...(await views(found.items)));
      scanned += limit;
      after = found.next;
      if (after === undefined) return { items };
      if (items.length >= page.limit) break;
      // A long search lets revocations through in between.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return { items, ...(after === undefined ? {} : { next: after }) };
  };

  /** Grants of one workload that end after `endsAfter`, those that end last first, from the time index. */
  const ofWorkload = async (realm: string, workload: string, endsAfter: Instant, filter: GrantFilter, page: PageRequest): Promise<PageView> => {
    const read = await store.facts({ realm, keys: [], index: { owner: workload, endsAfter, wanted: () => false } });
    const rows = read.rows.filter(({ key }) => key.kind === 'grant');
    const found = page.after === undefined ? 0 : rows.findIndex(({ key }) => key.id === page.after) + 1;
    // The grant of the cursor is no longer among them, nor then is what comes after it in this order.
    const rest = page.after !== undefined && found === 0 ? [] : rows.slice(found);
    const views = (await grantViews(realm, rest.filter((record) => mayPass(filter, record)))).filter(({ state }) => passes(filter, state));
    const items = views.slice(0, page.limit);
    const last = items.at(-1);
    return { items: items.map(({ view }) => view), ...(last === undefined || items.length >= views.length ? {} : { next: last.grant.id }) };
  };

  const taskViewOf = (record: StoredRecord | undefined, holders?: Holders): JsonObject | undefined => {
    const task = record === undefined ? undefined : readTask(record.value);
    if (record === undefined || task === undefined) return undefined;
    // What is paused or closed was changed last by just that.
    const told = task.state === 'open' ? undefined : holders === undefined ? owingView(deciders, record.modified.at) : holdersView(holders, record.modified.sequence);
    return taskView(task, clock.now(), positionOf(record, 'modified'), told);
  };
  const revocationOf = (record: StoredRecord | undefined, told?: EnforcementView): JsonObject | undefined =>
    record === undefined ? undefined : revocationView(record.value as unknown as RevocationRecord, record.created.at, positionOf(record, 'created'), told ?? owingView(deciders, record.created.at));
  const suspensionOf = (record: StoredRecord | undefined, told?: EnforcementView): JsonObject | undefined =>
    record === undefined ? undefined : suspensionView(record.value as unknown as SuspensionRecord, record.created.at, positionOf(record, 'modified'), told ?? owingView(deciders, record.created.at));
  /** With which of those that answer from memory know of it by now. */
  const ended = async (realm: string, key: RecordRef, view: (record: StoredRecord | undefined, told?: EnforcementView) => JsonObject | undefined): Promise<JsonObject | undefined> => {
    const [record, holders] = await Promise.all([one(realm, key), store.holders?.(realm)]);
    return view(record, record === undefined || holders === undefined ? undefined : holdersView(holders, record.created.sequence));
  };
  const each = (view: (record: StoredRecord) => JsonObject | undefined) => (records: readonly StoredRecord[]) =>
    Promise.resolve(records.map((record) => view(record)).filter((item) => item !== undefined));
  const one = async (realm: string, key: RecordRef): Promise<StoredRecord | undefined> => (await store.read(realm, [key]))[0];

  return {
    grant: async (realm, id) => {
      const record = await one(realm, grantRef(id));
      const [found] = record === undefined ? [] : await grantViews(realm, [record]);
      if (record === undefined || found === undefined) return undefined;
      return { ...found.view, ...usedView((await one(realm, useRef(id)))?.value), history: await history(realm, record, found.grant) };
    },
    grants: (realm, filter, page) => {
      if (filter.workload !== undefined && (filter.state === 'active' || filter.state === 'scheduled')) return ofWorkload(realm, filter.workload, clock.now().latest, filter, page);
      const byTask = filter.task !== undefined && filter.workload === undefined;
      const list = byTask
        ? { kind: 'task-grant', owner: `task:${filter.task}` }
        : { kind: 'grant', ...(filter.workload === undefined ? {} : { owner: filter.workload }) };
      return pageOf(realm, list, page, async (records) => {
        const grants = byTask ? (await store.read(realm, records.map(({ key }) => grantRef(key.id)))).flatMap((record) => record ?? []) : records;
        const views = await grantViews(realm, grants.filter((record) => mayPass(filter, record)));
        return views.filter(({ state }) => passes(filter, state)).map(({ view }) => view);
      });
    },
    grantsOf: (realm, workload, page) => ofWorkload(realm, workload, 0 as Instant, {}, page),
    task: async (realm, id) => taskViewOf(...(await Promise.all([one(realm, taskRef(id)), store.holders?.(realm)]))),
    tasks: (realm, page) => pageOf(realm, { kind: 'task' }, page, each((record) => taskViewOf(record))),
    revocation: (realm, id) => ended(realm, revocationRef(id), revocationOf),
    revocations: (realm, page) => pageOf(realm, { kind: 'revocation' }, page, each(revocationOf)),
    suspension: (realm, id) => ended(realm, suspensionRef(id), suspensionOf),
    suspensions: (realm, page) => pageOf(realm, { kind: 'suspension' }, page, each(suspensionOf)),
  };
};
