/**
 * Lines of JSON as UTF-8, invisible characters escaped, in one buffer that is used again and again. Lines that are plain ASCII,
 * which nearly all are, are copied as they stand; one look at all of them tells.
 */
import { isAscii } from 'node:buffer';
import { escapeInvisible } from '../domain/invisible.ts';

export interface LineBytes {
  /** Forgets what was there, and holds these lines. */
  hold(texts: readonly string[]): void;
  /** Where each line ends, its newline included. */
  readonly ends: readonly number[];
  /** Valid until other lines are held. */
  view(from: number, to: number): Buffer;
}

const BYTES_MIN = 65_536;
/** A larger buffer is given back when it is not needed any more. */
const BYTES_KEPT_MAX = 1_048_576;
const NEWLINE = 0x0a;
const DELETE = 0x7f;

export const createLineBytes = (): LineBytes => {
  let bytes = Buffer.allocUnsafeSlow(BYTES_MIN);
  let ends: number[] = [];

  const room = (size: number): void => {
    if (size > bytes.length || (bytes.length > BYTES_KEPT_MAX && size <= BYTES_KEPT_MAX)) bytes = Buffer.allocUnsafeSlow(Math.max(BYTES_MIN, size));
  };
  const write = (texts: readonly string[]): number => {
    ends = [];
    let at = 0;
    for (const text of texts) {
      at += bytes.write(text, at, 'utf8');
      bytes[at] = NEWLINE;
      at += 1;
      ends.push(at);
    }
    return at;
  };

  return {
    hold: (texts) => {
      const size = texts.reduce((sum, { length }) => sum + length + 1, 0);
      room(size);
      // Whatever is not ASCII takes two bytes or more of which none is ASCII, or does not fit and is left out.
      const plain = bytes.subarray(0, write(texts));
      if (plain.length === size && isAscii(plain) && !plain.includes(DELETE)) return;
      const escaped = texts.map(escapeInvisible);
      room(escaped.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0));
      write(escaped);
    },
    get ends() {
      return ends;
    },
    view: (from, to) => bytes.subarray(from, to),
  };
};
