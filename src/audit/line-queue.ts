/** What waits to be written to a decision log, and how the next of it become bytes: linked, in order, each once. */
import type { DecisionRecord } from '../decision/record.ts';
import type { DecisionChain } from './decision-chain.ts';
import { gapText, type Gap, type NotEmitted } from './encode-record.ts';
import { createLineBytes, type LineBytes } from './line-bytes.ts';

/** Encoded in one go: for so long a decision may wait. */
const BATCH_RECORDS_MAX = 64;
/** Of the queue; then what was taken is dropped from it. */
const QUEUE_TAKEN_MAX = 1_024;

/** `undefined`: the record is not to be kept. Throws on what can't be written. */
export type LineText = (record: DecisionRecord) => string | undefined;

/** Seals what was taken before it, and reserves what comes. */
export interface SegmentItem {
  readonly segment: { readonly closed: boolean };
}
export type Item = DecisionRecord | Gap | NotEmitted | SegmentItem;

export interface Batch {
  /** Its bytes are valid until the next batch is encoded. */
  readonly lines: LineBytes;
  /** Of each line, how many decisions it finishes. */
  readonly finishes: readonly number[];
  /** The first line reserves decisions up to this number. */
  readonly reserves: number | undefined;
}

export interface LineQueue {
  push(item: Item): void;
  readonly waiting: number;
  /** Without lines when nothing waits. `fresh`: the bytes of the last batch may still be read. */
  encode(fresh: boolean): Batch;
}

export interface LineQueueOptions {
  readonly textOf: LineText;
  readonly chain?: DecisionChain | undefined;
  /** Up to where is to be reserved. */
  readonly wanted: () => number;
  /** A record could not be encoded; a gap stands in its place. */
  readonly onUnencoded: () => void;
}

export const createLineQueue = ({ textOf, chain, wanted, onUnencoded }: LineQueueOptions): LineQueue => {
  let queue: (Item | undefined)[] = [];
  let taken = 0;
  let lines = createLineBytes();

  const linked = (text: string, decisions: number): string => (chain === undefined ? text : chain.linked(text, decisions));
  const gapLine = (gap: Gap['gap']): string => linked(gapText({ version: 1, gap }), gap.chain === undefined ? (gap.dropped ?? 0) : 0);
  const recordLine = (record: DecisionRecord): string | undefined => {
    let text: string | undefined;
    try {
      text = textOf(record);
    } catch {
      onUnencoded();
      return gapLine({ dropped: 1, from: record.now.latest, to: record.now.latest, cause: 'record could not be encoded', pid: process.pid });
    }
    return text === undefined ? undefined : linked(text, 1);
  };

  const encode = (fresh: boolean): Batch => {
    if (fresh) lines = createLineBytes();
    const texts: string[] = [];
    const finishes: number[] = [];
    let left = 0;
    let reserves: number | undefined;
    const first = taken;
    const upTo = Math.min(queue.length, first + BATCH_RECORDS_MAX);
    for (; taken < upTo; taken += 1) {
      const item = queue[taken] as Item;
      if ('segment' in item) {
        // What it seals must have been taken before: it begins a batch.
        if (texts.length > 0 || left > 0) break;
        reserves = item.segment.closed ? 0 : wanted();
        texts.push((chain as DecisionChain).segment(reserves, item.segment.closed));
        finishes.push(0);
      } else if ('gap' in item) {
        texts.push(gapLine(item.gap));
        finishes.push(0);
      } else if ('not_emitted' in item) {
        texts.push(linked(JSON.stringify(item), 0));
        finishes.push(0);
      } else {
        const text = recordLine(item);
        if (text === undefined) left += 1;
        else {
          texts.push(text);
          finishes.push(1);
        }
      }
    }
    if (left > 0) {
      texts.push(gapLine({ dropped: left, cause: 'the policy says that it is not to be kept', pid: process.pid }));
      finishes.push(left);
    }
    // What was taken is let go of at once: a thousand records would live long enough to be moved to the old generation.
    queue.fill(undefined, first, taken);
    lines.hold(texts);
    chain?.took(lines.view(0, lines.ends.at(-1) ?? 0));
    if (taken === queue.length || taken >= QUEUE_TAKEN_MAX) {
      queue = queue.slice(taken);
      taken = 0;
    }
    return { lines, finishes, reserves };
  };

  return {
    push: (item) => void queue.push(item),
    get waiting() {
      return queue.length - taken;
    },
    encode,
  };
};
