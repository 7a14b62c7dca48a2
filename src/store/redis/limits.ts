/**
 * By which limits it may be decided, as a realm's state tells it (ADR 0041). Guarantees, without any clock of the server or of another process:
 *
 * - Facts are told to a process only while the row of its limits is open, by the same atomic read (`scripts/facts.ts`, `scripts/renew.ts`).
 * - A row is opened only when all replicas have it, so that whoever is promoted has it too.
 * - A row goes only when it was watched closed until no allow that rests on facts told before can still be in use.
 *
 * So a commit that ends access finds the row of every allow that it does not precede. A row that was lost with its server is made again by the
 * next question; what was allowed by it before is not waited for.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../decision/ports.ts';
import { untilOver } from '../leases.ts';
import { longestOf, type Longest } from '../longest.ts';
import { StoreUnavailable } from '../port.ts';
import { createConfirm } from './confirm.ts';
import { LEASE_MS_MAX } from './config.ts';
import { scriptOf, type Connection } from './connection.ts';
import { realmKeys } from './keys.ts';
import { LIMITS_PREFIX, limitsRowLua, OPEN } from './scripts/limits.ts';

const ROW_SCRIPT = scriptOf(limitsRowLua);
const ROW = /^limits:(\d{1,9}):(\d{1,9})$/;
const TRIES_MAX = 16;
/** Who still decides by them opens them again, so they are closed seldom. */
const OPEN_MS = 60_000;
const LOOK_MS = 5_000;

const isOpen = (row: string): boolean => row.startsWith(OPEN);
const closed = (): string => `0 ${randomBytes(9).toString('base64url')}`;
const opened = (row: string): string => `${OPEN}${row.slice(1)}`;

export const limitsRow = ({ factsAgeMs, pepCacheMs }: Longest): string => `${LIMITS_PREFIX}${factsAgeMs}:${pepCacheMs}`;

/** One that can't be understood is one that can't be waited for: it throws. */
const limitsOfRow = (row: string): Longest => {
  const [, factsAgeMs, pepCacheMs] = ROW.exec(row) ?? [];
  if (pepCacheMs === undefined) throw new StoreUnavailable('the row of limits is damaged: it is not known how long answers are in use');
  return { factsAgeMs: Number(factsAgeMs), pepCacheMs: Number(pepCacheMs) };
};

export const longestOfRows = (rows: readonly string[]): Longest | undefined => longestOf(rows.map(limitsOfRow));

export interface LimitsParts {
  /** The one that commits go over: replicas confirm what one connection wrote. */
  readonly connection: Connection;
  readonly epoch: string;
  readonly replicas: number;
  readonly timeoutMs: number;
}

const changing = ({ epoch, timeoutMs }: LimitsParts) => async (there: Connection, realm: string, row: string, before: string, after: string): Promise<string> => {
  const [what, now] = await there.script(timeoutMs, ROW_SCRIPT, [realmKeys(realm).state], [epoch, row, before, after]);
  if (String(what) !== 'row') throw new StoreUnavailable('this realm is not of this store');
  return String(now);
};

/** Opens the row of these limits in a realm; calls for one realm share their work. Rejects while it is not known to be open. */
export const createOpenLimits = (parts: LimitsParts, limits: Longest): ((realm: string) => Promise<void>) => {
  const { connection, replicas, timeoutMs } = parts;
  const [change, confirmed, row] = [changing(parts), createConfirm(replicas), limitsRow(limits)];
  const open = async (realm: string): Promise<void> => {
    const there = connection.at(realmKeys(realm).state);
    // One that was never asked is not connected to yet.
    if (replicas > 0 && Number.isNaN(there.generation())) await there.command(timeoutMs, 'TIME');
    let now = '';
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const generation = there.generation();
      // One that is there is written as it is: replicas confirm only what this connection wrote.
      const before = now === '' ? closed() : now;
      const found = await change(there, realm, row, now, before);
      if (found === before) {
        if (replicas > 0) await confirmed(there, generation, timeoutMs);
        now = await change(there, realm, row, before, opened(before));
      } else now = found;
      if (isOpen(now)) return;
    }
    throw new StoreUnavailable('redis: these limits are closed as often as they are opened');
  };
  const underWay = new Map<string, Promise<void>>();
  return (realm) => {
    const known = underWay.get(realm);
    if (known !== undefined) return known;
    const opening = open(realm).finally(() => underWay.delete(realm));
    underWay.set(realm, opening);
    return opening;
  };
};

/** After so long on one's own clock nothing is in use that rests on facts which were told by these limits before. */
export const untilUnused = ({ factsAgeMs, pepCacheMs }: Longest): number => untilOver(LEASE_MS_MAX + factsAgeMs + pepCacheMs);

interface Watched {
  readonly text: string;
  readonly sinceMs: number;
}

/** One look at a realm: closes rows that were open for long, and drops those that were closed for long enough. */
export const createRetireLimits = (parts: LimitsParts, clock: Pick<Clock, 'monotonicMs'>, openMs = OPEN_MS, unusedMs = untilUnused): ((realm: string) => Promise<void>) => {
  const change = changing(parts);
  const watched = new Map<string, ReadonlyMap<string, Watched>>();
  return async (realm) => {
    const there = parts.connection.at(realmKeys(realm).state);
    // From after the answer came: a row was as it is told at that time or before.
    const flat = ((await there.command(parts.timeoutMs, 'HGETALL', realmKeys(realm).state)) as readonly unknown[]).map(String);
    const nowMs = clock.monotonicMs();
    const before = watched.get(realm);
    const rows = new Map<string, Watched>();
    for (let at = 0; at < flat.length; at += 2) {
      const [row, text] = [flat[at] as string, flat[at + 1] as string];
      if (!row.startsWith(LIMITS_PREFIX)) continue;
      const known = before?.get(row);
      rows.set(row, known?.text === text ? known : { text, sinceMs: nowMs });
    }
    watched.set(realm, rows);
    for (const [row, { text, sinceMs }] of rows) {
      if (nowMs - sinceMs < (isOpen(text) ? openMs : unusedMs(limitsOfRow(row)))) continue;
      await change(there, realm, row, text, isOpen(text) ? closed() : '');
    }
  };
};

/** Looks at every realm now and then. `stop` resolves when nothing of it is under way. */
export const retireLimits = (retire: (realm: string) => Promise<void>, realms: readonly string[], everyMs = LOOK_MS): (() => Promise<void>) => {
  let looking: Promise<void> | undefined;
  const look = async (): Promise<void> => {
    // One that fails is looked at again; until then its rows stay, and are waited for.
    for (const realm of realms) await retire(realm).catch(() => undefined);
  };
  const timer = setInterval(() => { looking ??= look().finally(() => { looking = undefined; }); }, everyMs);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await looking;
  };
};
