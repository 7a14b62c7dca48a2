/**
 * The process of a node that keeps what the node knows of the server: looks at every realm now and then, writes down how far it had
 * come, and keeps its last endings, so that they can be put back when the server loses them.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { NO_ENDINGS } from '../event.ts';
import type { Regress } from '../lost.ts';
import type { EndingsMark, NodeStore } from '../port.ts';
import { writeWhole } from '../write-whole.ts';
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
  /** The server contradicts what this process knows. */
  const regressed = new Set<string>();
  /** It only lacks what is kept here and was never confirmed. */
  const behind = new Set<string>();
  let seenText = '';
  let tailText = '';
  /** How many endings of each realm are written down. */
  const writtenEndings = new Map<string, number>();

  const write = (): void => {
    // Only what is sure: a process that knows more has nobody to tell it that it was lost.
    const seen = JSON.stringify([...witness.sure()]);
    if (seen !== seenText) writeWitnessFile(path, { epoch, realms: witness.sure() });
    seenText = seen;
    for (const [realm, { endings }] of witness.sure()) writtenEndings.set(realm, endings.sequence);
    const ends = JSON.stringify([...tails].map(([realm, tail]) => [realm, endOf(tail)]));
    if (ends === tailText) return;
    writeWhole(tailPath, JSON.stringify({ epoch, realms: Object.fromEntries([...tails].map(([realm, tail]) => [realm, writtenTail(tail)])) }));
    tailText = ends;
  };

  /** Before anybody is told that something has ended: the node's other processes read it before they ask over a new connection. */
  const noteEnding = (realm: string): void => {
    const ended = witness.sure().get(realm)?.endings.sequence ?? 0;
    if (writtenEndings.get(realm) === ended) return;
    try {
      writeWitnessFile(path, { epoch, realms: witness.sure() }, false);
      writtenEndings.set(realm, ended);
    } catch {
      // It has happened all the same, and the next look writes it once more.
    }
  };

  const hashAt = async (realm: string, sequence: number): Promise<string> => (sequence === 0 ? NO_ENDINGS.hash : (await asItIs.asked(realm, sequence)).hashThen);
  /** Where it begins: a while before the present, so that what ended before its first look, or while it began anew, is kept too. */
  const begin = async (realm: string, position: number, endings: EndingsMark): Promise<RealmTail> => {
    const events = await store.events(realm, { after: Math.max(0, position - EVENTS_MAX), limit: EVENTS_MAX });
    const [oldest, first] = [events[0], events.find(({ endingSequence }) => endingSequence !== undefined)];
    const before = (first?.endingSequence ?? 0) - 1;
    const hash = oldest === undefined || before < 0 ? '' : await hashAt(realm, before);
    // Nothing to begin with, or the server no longer knows what was before it.
    return oldest === undefined || hash === '' ? { base: endings, position, endings: [] } : { base: { sequence: before, hash }, position: oldest.sequence - 1, endings: [] };
  };
  const follow = async (realm: string): Promise<void> => {
    const { position, endings } = await store.facts({ realm, keys: [] });
    const kept = tails.get(realm);
    // What was not confirmed may be lost, and nobody's answers say so; it is put back all the same.
    if (kept !== undefined && (await hashAt(realm, endOf(kept).sequence)) !== endOf(kept).hash) return void behind.add(realm);
    regressed.delete(realm);
    behind.delete(realm);
    for (;;) {
      const tail = tails.get(realm) ?? (await begin(realm, position.sequence, endings));
      const events = await store.events(realm, { after: tail.position, limit: EVENTS_MAX });
      const followed = followTail(tail, events);
      if (followed === undefined || position.sequence < tail.position) {
        // Others of its events were lost: from the last ending that both have. Read between a loss and its discovery: the next look finds out.
        const last = tail.endings.at(-1)?.event.sequence;
        if (last === undefined) tails.delete(realm);
        else tails.set(realm, { ...tail, position: last });
        return;
      }
      // It may have been begun in one history and gone on in another.
      const end = endOf(followed);
      if (end.sequence !== endOf(tail).sequence && (await hashAt(realm, end.sequence)) !== end.hash) return;
      if (tails.get(realm) !== kept && tails.get(realm) !== tail) return;
      tails.set(realm, followed);
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
    known: (realm) => witness.sure().get(realm),
    intact: (realm) => behind.has(realm) && !regressed.has(realm),
    hashAt,
  };
  const regress: Regress = {
    asItIs,
    lost: async (realm) => (regressed.has(realm) || behind.has(realm) ? findLost(parts, realm) : undefined),
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
      behind.delete(realm);
      return true;
    },
  };
  return {
    ...store, regress,
    commit: async (asked) => {
      const outcome = await store.commit(asked);
      noteEnding(asked.realm);
      return outcome;
    },
    close: async () => {
      clearInterval(timer);
      await looking;
      await look().catch(() => undefined);
      await store.close();
    },
  };
};
