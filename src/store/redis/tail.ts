/**
 * The last endings of each realm, as this node read them, with the running hash after each: what it can put back when the server
 * loses them. Kept in memory by the node's keeper, and written beside what it knows of the server.
 */
import type { StoredEvent, EndingsMark } from '../port.ts';
import { nextEndings, parseEvent } from '../event.ts';

export interface KnownEnding {
  readonly mark: EndingsMark;
  readonly event: StoredEvent;
}

export interface RealmTail {
  /** Before the first of them. */
  readonly base: EndingsMark;
  /** Of the last event that was read. */
  readonly position: number;
  readonly endings: readonly KnownEnding[];
}

export const ENDINGS_KEPT = 1_000;

/** What follows `tail`, in order. `undefined` when it does not follow: another history. */
export const followTail = (tail: RealmTail, events: readonly StoredEvent[]): RealmTail | undefined => {
  let last = tail.endings.at(-1)?.mark ?? tail.base;
  let { position } = tail;
  const endings = [...tail.endings];
  for (const event of events) {
    if (event.sequence !== position + 1) return undefined;
    position = event.sequence;
    if (event.endingSequence === undefined) continue;
    if (event.endingSequence !== last.sequence + 1) return undefined;
    last = nextEndings(last, event.bytes);
    endings.push({ mark: last, event });
  }
  const dropped = Math.max(0, endings.length - ENDINGS_KEPT);
  return { position, base: dropped === 0 ? tail.base : (endings[dropped - 1] as KnownEnding).mark, endings: endings.slice(dropped) };
};

/** As it is written: the events' own bytes. */
export interface WrittenTail {
  readonly base: EndingsMark;
  readonly position: number;
  readonly events: readonly string[];
}

export const writtenTail = ({ base, position, endings }: RealmTail): WrittenTail =>
  ({ base, position, events: endings.map(({ event }) => Buffer.from(event.bytes).toString('utf8')) });

export const readTail = ({ base, position, events }: WrittenTail): RealmTail => {
  let last = base;
  const endings = events.map((text) => {
    const event = parseEvent(Buffer.from(text, 'utf8'));
    last = nextEndings(last, event.bytes);
    return { mark: last, event };
  });
  return { base, position, endings };
};
