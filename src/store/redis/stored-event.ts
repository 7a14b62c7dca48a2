/** Events as they stand in their stream: their own bytes, or those of one that is no ending shortened (`short-text.ts`). */
import { StoreUnavailable } from '../port.ts';
import { expand } from './short-text.ts';

export type StreamEntry = readonly [id: Buffer, fields: readonly Buffer[]];

/** Names of the only field: with the bytes as they are, and with the short text. */
export const WHOLE_EVENT = 'e';
export const SHORT_EVENT = 's';

/** The bytes that the log is made of, whichever way they are kept. Throws `StoreUnavailable` for what this version does not know. */
export const eventBytesOf = (entry: StreamEntry | undefined): Buffer => {
  const [name, bytes] = entry?.[1] ?? [];
  if (name === undefined || bytes === undefined) throw new StoreUnavailable('the history names an event that is not there; restore the store from a backup');
  const kept = name.toString('latin1');
  if (kept === WHOLE_EVENT) return bytes;
  try {
    if (kept === SHORT_EVENT) return Buffer.from(expand(bytes.toString('utf8')), 'utf8');
  } catch {
    // As below.
  }
  throw new StoreUnavailable('an event is damaged or not of a known format; restore the store from a backup');
};
