/** The bytes of events and the running hash of endings: the same for every store, and never to be migrated. */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../domain/json.ts';
import { canonicalJson } from '../domain/json.ts';
import type { Instant } from '../domain/instant.ts';
import type { EndingsMark, EventDraft, StoredEvent } from './port.ts';
import { recordKeyText, StoreUnavailable } from './port.ts';

export const NO_ENDINGS: EndingsMark = { sequence: 0, hash: '0'.repeat(64) };

/** Far beyond any event that the domain's own limits let through. */
const EVENT_BYTES_MAX = 1_000_000;

/** Canonical JSON of `{about: ["kind/id", ...], at: <ms>, data, endingSequence?, sequence, type}` in UTF-8. Throws a `TypeError` for what isn't JSON. */
export const eventBytes = (draft: EventDraft, place: { readonly sequence: number; readonly at: Instant; readonly endingSequence?: number }): Buffer => {
  const bytes = Buffer.from(
    canonicalJson({
      about: draft.about.map(recordKeyText),
      at: place.at,
      data: draft.data,
      endingSequence: place.endingSequence,
      sequence: place.sequence,
      type: draft.type,
    }),
    'utf8',
  );
  if (bytes.length > EVENT_BYTES_MAX) throw new TypeError(`store: an event of ${bytes.length} bytes`);
  return bytes;
};

/** SHA-256, hex, over the previous hash (its 64 hexadecimal digits as ASCII) followed by the event's bytes. */
export const nextEndings = (previous: EndingsMark, bytes: Uint8Array): EndingsMark => ({
  sequence: previous.sequence + 1,
  hash: createHash('sha256').update(previous.hash, 'latin1').update(bytes).digest('hex'),
});

interface EventShape {
  readonly sequence: number;
  readonly at: Instant;
  readonly type: string;
  readonly endingSequence?: number;
  readonly data: JsonObject;
}

/** Reads back what `eventBytes` wrote. */
export const parseEvent = (bytes: Uint8Array): StoredEvent => {
  let shape: EventShape;
  try {
    shape = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')) as EventShape;
  } catch (cause) {
    throw new StoreUnavailable('an event is damaged', { cause });
  }
  const { sequence, at, type, endingSequence, data } = shape;
  return { sequence, at, type, data, bytes, ...(endingSequence === undefined ? {} : { endingSequence }) };
};
