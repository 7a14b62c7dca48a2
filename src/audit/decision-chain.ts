/**
 * The hash chain of one process's decision log. Every line ends in a link, `"link":"<chain>:<n>"`: whose it is, and how many decisions
 * the chain has accounted for up to and with it. A segment line begins each part: it seals the lines since the one before it, and says up to
 * which number decisions may come before the next. It is on disk before the first of them is answered, so that what a killed process
 * still held is a gap of a known place and size. Nothing here signs; see `verify-log.ts` for what a whole chain proves.
 */
import { createHash, randomBytes, type Hash } from 'node:crypto';

/** As JSON, `{"version":1,"segment":{...},"link":...}`. */
export interface Segment {
  readonly chain: string;
  readonly pid: number;
  /** Decisions accounted for before it. */
  readonly through: number;
  /** Decisions up to this one may follow. */
  readonly to: number;
  /** SHA-256, hex, over `previous` of the segment before it and the bytes of this chain's lines from that one on. */
  readonly previous: string;
  /** Decisions do not wait for the range: after a kill more than that may be missing. */
  readonly ahead?: true;
  /** No line of this chain follows. */
  readonly closed?: true;
}

export interface DecisionChain {
  readonly id: string;
  /** Decisions accounted for. */
  readonly through: number;
  /** Lines were taken that no segment seals. */
  readonly open: boolean;
  /** Adds the link to the text of a JSON object; `decisions` is how many decisions it accounts for. */
  linked(text: string, decisions: number): string;
  /** The text of a segment line, which must be the next line that is taken. */
  segment(to: number, closed?: boolean): string;
  /** Whole lines with their newlines, in order, each once. */
  took(bytes: Uint8Array): void;
}

/** What the first segment of a chain has for `previous`. */
export const chainStart = (id: string): string => createHash('sha256').update(id, 'latin1').digest('hex');

export const startPart = (previous: string): Hash => createHash('sha256').update(previous, 'latin1');

/** `ahead`: nobody waits until a number is reserved, so `to` bounds nothing. */
export const createDecisionChain = (id: string = randomBytes(8).toString('hex'), ahead = false): DecisionChain => {
  let through = 0;
  let open = false;
  let started = false;
  let part = startPart(chainStart(id));

  const linked = (text: string, decisions: number): string => {
    through += decisions;
    return `${text.slice(0, -1)},"link":"${id}:${through}"}`;
  };
  return {
    id,
    get through() {
      return through;
    },
    get open() {
      return open;
    },
    linked,
    segment: (to, closed = false) => {
      const previous = started ? part.digest('hex') : chainStart(id);
      started = true;
      part = startPart(previous);
      open = false;
      const segment: Segment = { chain: id, pid: process.pid, through, to: Math.max(to, through), previous, ...(ahead ? { ahead } : {}), ...(closed ? { closed } : {}) };
      return linked(JSON.stringify({ version: 1, segment }), 0);
    },
    took: (bytes) => {
      part.update(bytes);
      open = true;
    },
  };
};
