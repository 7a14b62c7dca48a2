/**
 * Delivers alerts. What it guarantees: an alert that was committed is tried at every channel that takes it until the channel has it, refuses it
 * or was not there for `giveUpAfterMs`; what became of it is committed, so that a restart neither loses nor repeats what is over; one node
 * delivers at a time. A delivery whose outcome could not be committed is repeated under the same id.
 *
 * A channel that fails pauses as a whole, with jitter and a bound, and is tried again with the oldest alert it lacks; other channels go on.
 */
import type { Clock } from '../decision/ports.ts';
import { alertRef, outboxRef, type Delivery } from '../domain/alert.ts';
import type { JsonObject } from '../domain/json.ts';
import type { NodeStore } from '../store/port.ts';
import { createBacklog, type Backlog, type Entry } from './backlog.ts';
import type { Channel, Sent } from './channel.ts';

export interface DelivererDeps {
  readonly store: Pick<NodeStore, 'list' | 'events' | 'facts' | 'read' | 'commit' | 'takeTurn'>;
  readonly clock: Clock;
  readonly realms: readonly string[];
  readonly channels: readonly Channel[];
  readonly retryMaxMs: number;
  readonly giveUpAfterMs: number;
  /** Names this process among those that share the store. */
  readonly holder: string;
  /** Between 0 and 1. */
  readonly random: () => number;
  /** What became of one try. */
  readonly onTry?: (channel: string, outcome: Sent['outcome'] | 'given-up') => void;
  readonly onError: (error: unknown) => void;
}

export interface Deliverer {
  /** One look for new alerts, and a begin with what is due. Does not wait for deliveries. */
  look(): Promise<void>;
  /** Resolves when nothing is on its way. */
  idle(): Promise<void>;
  /** Begins nothing more, and waits for what is on its way. */
  close(): Promise<void>;
  /** How many alerts wait here. */
  pending(): number;
}

const TURN_MS = 30_000;
const AT_ONCE = 4;
const RETRY_MS = 500;
const REFUSALS_MAX = 5;
const REFUSED_PAUSE_MS = 30_000;
const DETAIL_CHARS_MAX = 300;
const COMMITS_MAX = 8;

interface Line {
  readonly channel: Channel;
  failures: number;
  /** On the monotonic clock. */
  readyMs: number;
  readonly inFlight: Set<string>;
  /** By entry: how often it was tried and refused, and from when on it may be tried again. */
  readonly tries: Map<string, { attempts: number; refusals: number; readyMs: number }>;
}

export const createDeliverer = (deps: DelivererDeps): Deliverer => {
  const { store, clock, channels } = deps;
  const backlogs = deps.realms.map((realm) => createBacklog(realm, store));
  const lines: readonly Line[] = channels.map((channel) => ({ channel, failures: 0, readyMs: 0, inFlight: new Set(), tries: new Map() }));
  const underWay = new Set<Promise<void>>();
  const writes = new Map<string, Promise<void>>();
  let closed = false;

  const nameOf = ({ realm, alert }: Entry): string => `${realm}/${alert.id}`;
  const isOver = (entry: Entry): boolean => channels.every((channel) => !channel.takes(entry.alert) || Object.hasOwn(entry.alert.deliveries, channel.id));

  /** Notes what became of it at one channel, or that nobody takes it. */
  const commit = async (backlog: Backlog, id: string, channel: string | undefined, delivery: Delivery | undefined): Promise<void> => {
    for (let count = 0; count < COMMITS_MAX; count += 1) {
      const entry = backlog.entries.get(id);
      if (entry === undefined) return;
      const deliveries = channel === undefined || delivery === undefined ? entry.alert.deliveries : { ...entry.alert.deliveries, [channel]: delivery };
      const over = isOver({ ...entry, alert: { ...entry.alert, deliveries } });
      const alert = { ...entry.alert, deliveries, state: over ? 'done' as const : 'pending' as const };
      const outcome = await store.commit({
        realm: backlog.realm,
        expect: [{ key: alertRef(id), version: entry.version }],
        puts: [{ key: alertRef(id), value: alert as unknown as JsonObject }],
        drops: over ? [outboxRef(id)] : [],
        events: [{ type: 'alert.delivered', about: [alertRef(id)], ending: false, data: { alert: id, deliveries, by: 'system:alerts' } as unknown as JsonObject }],
      });
      if (outcome.outcome === 'committed') {
        if (over) backlog.entries.delete(id);
        else backlog.entries.set(id, { ...entry, alert, version: outcome.position.sequence });
        return;
      }
      await backlog.reread(id);
    }
    throw new Error('others change the same alert too often');
  };

  /** One after another for one alert, so that two channels don't get in each other's way. */
  const write = (backlog: Backlog, id: string, channel?: string, delivery?: Delivery): Promise<void> => {
    const name = `${backlog.realm}/${id}`;
    const mine = (writes.get(name) ?? Promise.resolve()).then(() => commit(backlog, id, channel, delivery));
    const kept = mine.catch(() => undefined).then(() => {
      if (writes.get(name) === kept) writes.delete(name);
    });
    writes.set(name, kept);
    return mine;
  };

  const pauseMs = (failures: number): number => {
    const full = Math.min(deps.retryMaxMs, RETRY_MS * 2 ** Math.min(failures - 1, 20));
    return full / 2 + (deps.random() * full) / 2;
  };

  const concluded = (line: Line, entry: Entry, sent: Sent): Delivery | undefined => {
    const name = nameOf(entry);
    const tried = line.tries.get(name) ?? { attempts: 0, refusals: 0, readyMs: 0 };
    tried.attempts += 1;
    line.tries.set(name, tried);
    const at = clock.now().latest;
    const said = sent.outcome === 'delivered' ? {} : { detail: sent.detail.slice(0, DETAIL_CHARS_MAX) };
    if (sent.outcome === 'failed') {
      line.failures += 1;
      line.readyMs = clock.monotonicMs() + pauseMs(line.failures);
    } else line.failures = 0;
    if (sent.outcome === 'delivered') return { state: 'delivered', at, attempts: tried.attempts };
    if (sent.outcome === 'refused') {
      tried.refusals += 1;
      tried.readyMs = clock.monotonicMs() + REFUSED_PAUSE_MS;
      if (tried.refusals >= REFUSALS_MAX) return { state: 'refused', at, attempts: tried.attempts, ...said };
    }
    return at - entry.alert.at < deps.giveUpAfterMs ? undefined : { state: 'given-up', at, attempts: tried.attempts, ...said };
  };

  const deliver = async (line: Line, backlog: Backlog, entry: Entry): Promise<void> => {
    const name = nameOf(entry);
    const { channel } = line;
    try {
      const sent = await channel.send(entry.realm, entry.alert).catch((): Sent => ({ outcome: 'failed', detail: 'an unexpected failure' }));
      const delivery = concluded(line, entry, sent);
      deps.onTry?.(channel.id, delivery?.state === 'given-up' ? 'given-up' : sent.outcome);
      if (delivery === undefined) return;
      await write(backlog, entry.alert.id, channel.id, delivery);
      line.tries.delete(name);
    } catch (error) {
      // It is tried again under the same id.
      line.readyMs = clock.monotonicMs() + pauseMs(1);
      deps.onError(error);
    } finally {
      line.inFlight.delete(name);
    }
  };

  const start = (work: Promise<void>): void => {
    const kept = work.catch(deps.onError).then(() => {
      underWay.delete(kept);
    });
    underWay.add(kept);
  };

  const dueFor = function* (line: Line): Generator<{ backlog: Backlog; entry: Entry }> {
    for (const backlog of backlogs) {
      for (const entry of backlog.entries.values()) {
        const name = nameOf(entry);
        if (line.inFlight.has(name) || Object.hasOwn(entry.alert.deliveries, line.channel.id) || !line.channel.takes(entry.alert)) continue;
        if (!(clock.monotonicMs() < (line.tries.get(name)?.readyMs ?? 0))) yield { backlog, entry };
      }
    }
  };

  const pump = (line: Line): void => {
    const due = dueFor(line);
    while (!closed && line.inFlight.size < (line.failures > 0 ? 1 : AT_ONCE) && !(clock.monotonicMs() < line.readyMs)) {
      const next = due.next();
      if (next.done === true) return;
      const { backlog, entry } = next.value;
      line.inFlight.add(nameOf(entry));
      start(deliver(line, backlog, entry).then(() => pump(line)));
    }
  };

  const settleUntaken = (backlog: Backlog): void => {
    for (const entry of backlog.entries.values()) {
      if (isOver(entry) && !writes.has(nameOf(entry))) start(write(backlog, entry.alert.id));
    }
  };

  const idle = async (): Promise<void> => {
    while (underWay.size > 0) await Promise.all(underWay);
  };

  return {
    idle,
    close: async () => {
      closed = true;
      await idle();
    },
    look: async () => {
      if ((await store.takeTurn?.('alerts', deps.holder, TURN_MS)) === false) {
        for (const backlog of backlogs) backlog.forget();
        return;
      }
      for (const backlog of backlogs) {
        try {
          await backlog.refresh();
        } catch (error) {
          backlog.forget();
          deps.onError(error);
          continue;
        }
        settleUntaken(backlog);
      }
      lines.forEach(pump);
    },
    pending: () => backlogs.reduce((count, { entries }) => count + entries.size, 0),
  };
};
