/**
 * The alerts of one realm that are not over yet: read once from the outbox, then kept by following the log of events. Bounded: when there are
 * too many, the rest waits where it is.
 */
import { alertRef, alertsOf, readAlert, type Alert } from '../domain/alert.ts';
import type { Store } from '../store/port.ts';

export interface Entry {
  readonly realm: string;
  readonly alert: Alert;
  /** Of the record, which the next commit expects. */
  readonly version: number;
}

export interface Backlog {
  readonly realm: string;
  /** By alert id, in the order in which they were raised or found. */
  readonly entries: Map<string, Entry>;
  /** Looks for new ones. */
  refresh(): Promise<void>;
  /** Reads one again; gone from `entries` when it is over. */
  reread(id: string): Promise<void>;
  /** Whatever was known may be old: the next look begins anew. */
  forget(): void;
}

const PAGE = 500;
export const BACKLOG_MAX = 5_000;

export const createBacklog = (realm: string, store: Pick<Store, 'list' | 'events' | 'facts' | 'read'>): Backlog => {
  const entries = new Map<string, Entry>();
  let position: number | undefined;

  const take = async (ids: readonly string[]): Promise<void> => {
    if (ids.length === 0) return;
    const records = await store.read(realm, ids.map(alertRef));
    ids.forEach((id, index) => {
      const record = records[index];
      const alert = readAlert(record?.value);
      if (record === undefined || alert === undefined || alert.state === 'done') entries.delete(id);
      else entries.set(id, { realm, alert, version: record.modified.sequence });
    });
  };

  const readAll = async (): Promise<number | undefined> => {
    const { sequence } = (await store.facts({ realm, keys: [] })).position;
    for (let after: string | undefined; ; ) {
      const page = await store.list(realm, { kind: 'outbox', limit: PAGE, ...(after === undefined ? {} : { after }) });
      await take(page.items.map(({ key }) => key.id).filter((id) => !entries.has(id)));
      if (page.next === undefined) return sequence;
      if (entries.size >= BACKLOG_MAX) return undefined;
      after = page.next;
    }
  };

  const follow = async (from: number): Promise<number> => {
    let after = from;
    while (entries.size < BACKLOG_MAX) {
      const events = await store.events(realm, { after, limit: PAGE });
      await take([...new Set(events.flatMap(({ data }) => alertsOf(data)))]);
      after = events.at(-1)?.sequence ?? after;
      if (events.length < PAGE) break;
    }
    return after;
  };

  return {
    realm, entries,
    refresh: async () => {
      if (position !== undefined) position = await follow(position);
      else if (entries.size < BACKLOG_MAX / 2) position = await readAll();
    },
    reread: async (id) => take([id]),
    forget: () => {
      position = undefined;
      entries.clear();
    },
  };
};

