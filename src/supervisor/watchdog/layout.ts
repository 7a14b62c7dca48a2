/** The memory that the deciding thread and its watchdog share. */
export interface SharedWatch {
  /** Turns of the event loop, counted by a timer. */
  readonly header: Int32Array;
  /** UTF-8 of the fingerprint of the evaluation under way. */
  readonly text: Uint8Array;
}

export const LOOP_TURNS = 0;
/** Odd while an evaluation is under way; grows by one at its start and at its end. */
export const EVALUATION = 1;
export const TEXT_BYTES = 2;
const HEADER_SLOTS = 4;
/** Three parts of 2,048 characters, each at most six bytes long after escaping, and then some. */
export const TEXT_BYTES_MAX = 40_960;

export const allocateWatch = (): SharedArrayBuffer => new SharedArrayBuffer(HEADER_SLOTS * 4 + TEXT_BYTES_MAX);

export const viewWatch = (memory: SharedArrayBuffer): SharedWatch => ({
  header: new Int32Array(memory, 0, HEADER_SLOTS),
  text: new Uint8Array(memory, HEADER_SLOTS * 4),
});

/** What the watch thread is started with. */
export interface WatchThreadData {
  readonly memory: SharedArrayBuffer;
  readonly tickMs: number;
  readonly evaluationBudgetMs: number;
  /** Where the report goes before the process ends. */
  readonly reportFd: number;
}

/** The report, one line of JSON. */
export interface StallReport {
  readonly cause: 'evaluation' | 'loop' | 'stuck';
  /** Of the evaluation that stood still. */
  readonly fingerprint?: string;
}
