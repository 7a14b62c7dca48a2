/**
 * A realm as it is copied from one store to another, or into a file: the same for every store. What a source gives is consistent, as of
 * one position, whatever is committed meanwhile. Records may come several times; the last counts.
 */
import type { Instant } from '../../domain/instant.ts';
import type { JsonValue } from '../../domain/json.ts';
import { nextEndings, NO_ENDINGS, parseEvent } from '../event.ts';
import type { Provenance } from '../provenance.ts';
import { StoreUnavailable, type EndingsMark, type RecordKey, type Stamp, type StoredEvent, type StoredRecord } from '../port.ts';

export interface CopiedRecord extends StoredRecord {
  readonly refs: readonly RecordKey[];
  readonly index?: { readonly owner: string; readonly end: Instant };
}

/** What was done under an idempotency key; `hash` is `idempotencyHash`, hex. */
export interface CopiedReplay {
  readonly hash: string;
  readonly digest: string;
  readonly done: Stamp;
  readonly until: number;
  readonly reply: JsonValue;
}

export type Entry =
  | { readonly what: 'record'; readonly record: CopiedRecord }
  | { readonly what: 'dropped'; readonly key: RecordKey }
  | { readonly what: 'event'; readonly event: StoredEvent; readonly about: readonly RecordKey[] }
  | { readonly what: 'replay'; readonly replay: CopiedReplay };

/** Where the realm stood. */
export interface RealmEnd {
  readonly sequence: number;
  readonly at: Instant;
  readonly endings: EndingsMark;
}

export interface CopyHead {
  readonly epoch: string;
  readonly mode: 'development' | 'production';
  readonly clockMark?: Instant;
  /** What is known of earlier epochs. */
  readonly succeeds?: Provenance['succeeds'];
}

export interface CopySource {
  readonly head: CopyHead;
  /** Batches of entries, then where the realm stood. */
  copy(realm: string): AsyncGenerator<readonly Entry[], RealmEnd>;
  /** Only the events after `after`, in order. */
  events(realm: string, after: number): AsyncGenerator<readonly Entry[], RealmEnd>;
  /** To what a realm was moved, if it was. */
  movedTo(realm: string): string | undefined;
  /** Nobody changes or reads the realm any more, running processes included; the source stays as it is for ever. Repeated: no effect. */
  retire(realm: string, to: string): Promise<void>;
  /** Takes that back. */
  reinstate(realm: string): Promise<void>;
  close(): Promise<void>;
}

export interface CopyTarget {
  /** Of the store that is there already; `loading` when it is not whole. */
  readonly found?: { readonly epoch: string; readonly loading?: string; readonly moved: readonly string[] };
  /** The store belongs to this copy from now on, until `finish`. Rejects when another store, or another copy, is there. */
  begin(head: CopyHead, source: string): Promise<void>;
  /** Is the realm there already, and whole? */
  hasRealm(realm: string): Promise<boolean>;
  beginRealm(realm: string): Promise<void>;
  write(realm: string, entries: readonly Entry[], endings: ReadonlyMap<number, EndingsMark>): Promise<void>;
  endRealm(realm: string, end: RealmEnd): Promise<void>;
  /** `restored`: what the store is as of; it denies everything until an operator says more. */
  finish(restored?: { readonly epoch: string; readonly realms: Readonly<Record<string, RealmEnd>> }): Promise<void>;
  close(): Promise<void>;
}

export const parseKeyText = (text: string): RecordKey => {
  const slash = text.indexOf('/');
  return { kind: text.slice(0, slash), id: text.slice(slash + 1) };
};

/** Of an event's bytes. Throws `StoreUnavailable` for what is none. */
export const eventEntry = (bytes: Uint8Array): Extract<Entry, { what: 'event' }> => {
  const event = parseEvent(bytes);
  const { about } = JSON.parse(Buffer.from(bytes).toString('utf8')) as { about?: readonly string[] };
  if (!Array.isArray(about)) throw new StoreUnavailable('an event is damaged');
  return { what: 'event', event, about: about.map(parseKeyText) };
};

/** Follows the chain of a realm's endings from `from`; throws when an event is missing, or was changed. */
export const followEndings = (from: { readonly sequence: number; readonly endings: EndingsMark } = { sequence: 0, endings: NO_ENDINGS }) => {
  let { sequence, endings } = from;
  return {
    /** Endings among them, by the sequence of the event. */
    add: (entries: readonly Entry[]): ReadonlyMap<number, EndingsMark> => {
      const marks = new Map<number, EndingsMark>();
      for (const entry of entries) {
        if (entry.what !== 'event') continue;
        const { event } = entry;
        if (event.sequence !== sequence + 1) throw new StoreUnavailable(`the log has a gap: event ${event.sequence} follows ${sequence}`);
        ({ sequence } = event);
        if (event.endingSequence === undefined) continue;
        if (event.endingSequence !== endings.sequence + 1) throw new StoreUnavailable(`the log lacks an ending: ${event.endingSequence} follows ${endings.sequence}`);
        endings = nextEndings(endings, event.bytes);
        marks.set(sequence, endings);
      }
      return marks;
    },
    /** Throws unless this is where it has come. */
    check: (end: RealmEnd): void => {
      if (end.sequence !== sequence || end.endings.sequence !== endings.sequence || end.endings.hash !== endings.hash) throw new StoreUnavailable('the log of the realm does not lead to where the realm stands: the copy is not whole');
    },
    reached: () => ({ sequence, endings }),
  };
};

/** Copies one realm; resolves to where it stood. */
export const copyRealm = async (source: Pick<CopySource, 'copy'>, target: CopyTarget, realm: string): Promise<RealmEnd> => {
  const chain = followEndings();
  await target.beginRealm(realm);
  const entries = source.copy(realm);
  for (;;) {
    const next = await entries.next();
    if (next.done === true) {
      chain.check(next.value);
      await target.endRealm(realm, next.value);
      return next.value;
    }
    await target.write(realm, next.value, chain.add(next.value));
  }
};
