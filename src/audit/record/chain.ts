/**
 * The hash chain over a realm's events: what each event's stored bytes were, and in which order. It starts at `CHAIN_START` before
 * event 1 of an epoch, and needs nothing but the bytes, so that anybody who has them can compute it again.
 */
import { createHash } from 'node:crypto';

export const CHAIN_START = '0'.repeat(64);

/** SHA-256, hex, over the previous hash (its 64 hexadecimal digits as ASCII) followed by the event's bytes (or their text in UTF-8). */
export const nextLink = (previous: string, bytes: Uint8Array | string): string =>
  createHash('sha256').update(previous, 'latin1').update(bytes).digest('hex');

/** Of each link a seal keeps so many hexadecimal digits: enough to name the record that was changed. */
export const LINK_DIGITS = 16;

/** The data of a `record.sealed` event. */
export interface Seal {
  /** Sequences of the first and the last event that this seal covers. */
  readonly from: number;
  readonly through: number;
  /** The chain's hash before `from` and after `through`. */
  readonly before: string;
  readonly hash: string;
  /** `LINK_DIGITS` digits of the hash after each event, one after the other. */
  readonly links: string;
  /** A JWS that says `hash` of `through`; see `checkpoint.ts`. */
  readonly checkpoint: string;
}

const HASH = /^[0-9a-f]{64}$/;
const isSequence = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
const isHash = (value: unknown): value is string => typeof value === 'string' && HASH.test(value);

/** `undefined` for anything that is not a well-formed seal. */
export const readSeal = (data: unknown): Seal | undefined => {
  if (typeof data !== 'object' || data === null) return undefined;
  const { from, through, before, hash, links, checkpoint } = data as Record<string, unknown>;
  if (!isSequence(from) || !isSequence(through) || !(from <= through) || !isHash(before) || !isHash(hash)) return undefined;
  if (typeof links !== 'string' || links.length !== (through - from + 1) * LINK_DIGITS || typeof checkpoint !== 'string') return undefined;
  return { from, through, before, hash, links, checkpoint };
};
