/**
 * The process of a node that keeps what the node knows of the server: looks at every realm now and then, writes down how far it had
 * come, and keeps its last endings, so that they can be put back when the server loses them.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { NO_ENDINGS } from '../event.ts';
import type { Regress } from '../lost.ts';
import type { EndingsMark, NodeStore } from '../port.ts';
import { findLost, sayHealed, type RegressParts } from './regress.ts';
import type { RedisStore } from './store.ts';
import { followTail, readTail, writtenTail, type RealmTail } from './tail.ts';
import { writeWitnessFile } from './witness-file.ts';
import { StoreRegressed, type Witness } from './witness.ts';

export interface KeeperParts {
  readonly store: NodeStore;
  /** The same server, whatever was known of it. */
  readonly asItIs: RedisStore;
  readonly witness: Witness;
  readonly memory: { readonly path: string; readonly realms: readonly string[] };
  /** What is lost then was never confirmed to anybody, endings aside that somebody has read. */
  readonly replicated: boolean;
  readonly everyMs: number;
}

const EVENTS_MAX = 1_000;
const mark = z.strictObject({ sequence: z.int().min(0), hash: z.string().regex(/^[0-9a-f]{64}$/) });
const written = z.strictObject({
  epoch: z.string(),
  realms: z.record(z.string(), z.strictObject({ base: mark, position: z.int().min(0), events: z.array(z.string()).max(EVENTS_MAX) })),
});

const endOf = (tail: RealmTail): EndingsMark => tail.endings.at(-1)?.mark ?? tail.base;

/** Beside what it knows; one that is not there, of another epoch or damaged is begun anew. */
const readTails = (path: string, epoch: string): Map<string, RealmTail> => {
  try {
    const found = written.parse(JSON.parse(readFileSync(path, 'utf8')));
    return new Map(found.epoch === epoch ? Object.entries(found.realms).map(([realm, tail]) => [realm, readTail(tail)]) : []);
  } catch {
    return new Map();
  }
};

export const keeping = ({ store, asItIs, witness, memory: { path, realms }, replicated, everyMs }: KeeperParts): NodeStore => {
  const { epoch } = store;
  const tailPath = `${path}.endings`;
  const tails = readTails(tailPath, epoch);
  const regressed = new Set<string>();
  let seenText = '';
  let tailText = '';

  const write = (): void => {
    const seen = JSON.stringify([...witness.all()]);
    if (seen !== seenText) writeWitnessFile(path, { epoch, realms: witness.all() });
    seenText = seen;
    const ends = JSON.stringify([...tails].map(([realm, tail]) => [realm, endOf(tail)]));
    if (ends === tailText) return;
    const next = `${tailPath}.${process.pid}.new`;
    writeFileSync(next, JSON.stringify({ epoch, realms: Object.fromEntries([...tails].map(([realm, tail]) => [realm, writtenTail(tail)])) }), { mode: 0o600, flush: true });
    renameSync(next, tailPath);
    tailText = ends;
  };

  const follow = async (realm: string): Promise<void> => {
    const { position, endings } = await store.facts({ realm, keys: [] });
    regressed.delete(realm);
    for (;;) {
      const tail = tails.get(realm) ?? { base: endings, position: position.sequence, endings: [] };
      const events = await store.events(realm, { after: tail.position, limit: EVENTS_MAX });
      // Read between a loss and its discovery: the next look finds out.
      tails.set(realm, followTail(tail, events) ?? tail);
      if (events.length < EVENTS_MAX) return;
    }
  };
  const look = async (): Promise<void> => {
    for (const realm of realms) {
      try {
        await follow(realm);
      } catch (error) {
        if (error instanceof StoreRegressed) regressed.add(realm);
        else throw error;
      }
    }
    write();
  };
  // A round that fails says so at the next question, which fails as well.
  let looking: Promise<void> | undefined;
  const timer = setInterval(() => { looking ??= look().catch(() => undefined).finally(() => { looking = undefined; }); }, everyMs);
  timer.unref();

  const parts: RegressParts = {
    asItIs,
    tail: (realm) => tails.get(realm),
    known: (realm) => witness.known(realm)?.endings,
    hashAt: async (realm, sequence) => (sequence === 0 ? NO_ENDINGS.hash : asItIs.hashAt(realm, sequence)),
  };
  const regress: Regress = {
    asItIs,
    lost: async (realm) => (regressed.has(realm) ? findLost(parts, realm) : undefined),
    accept: async (realm) => {
      const { whole, marks, kept } = await findLost(parts, realm);
      if (!replicated || !whole || !(await sayHealed(parts, realm, marks))) return false;
      const last = kept.at(-1);
      const tail = tails.get(realm);
      // It goes on from where the histories part, so that what was put back is known again.
      if (last === undefined || tail === undefined) tails.delete(realm);
      else tails.set(realm, { base: tail.base, endings: kept, position: last.event.sequence });
      witness.forget(realm);
      regressed.delete(realm);
      return true;
    },
  };
  return {
    ...store, regress,
    close: async () => {
      clearInterval(timer);
      await looking;
      await look().catch(() => undefined);
      await store.close();
    },
  };
};
