/** Which chains in the end of a decision log were not closed: their processes run, or were killed with records they still held. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { byteLines } from './byte-lines.ts';
import type { Gap } from './encode-record.ts';
import { LINE_BYTES_MAX } from './read-log.ts';
import type { Segment } from './decision-chain.ts';
import { LINK, LINK_CHARS_MAX } from './verify-log.ts';

export interface OpenEnd {
  readonly chain: string;
  readonly pid: number;
  /** The last decision that is there, and the last that was reserved. */
  readonly after: number;
  readonly to: number;
  /** There may be more than that. */
  readonly ahead: boolean;
}

const TAIL_BYTES_MAX = 16 * 1_048_576;

const parse = (line: Buffer): { readonly segment?: Segment; readonly gap?: Gap['gap'] } => {
  try {
    return JSON.parse(line.toString('utf8')) as { readonly segment?: Segment; readonly gap?: Gap['gap'] };
  } catch {
    return {};
  }
};

/** Of what the file holds when this is called; no file, no ends. Only the last 16 MiB are read: who is not there is found by `verifyLog` all the same. */
export const openEnds = async (path: string): Promise<readonly OpenEnd[]> => {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true || found.size === 0) return [];
  const ends = new Map<string, { pid: number; after: number; to: number; ahead: boolean }>();
  const over = new Set<string>();
  const start = Math.max(0, found.size - TAIL_BYTES_MAX);
  for await (const lines of byteLines(createReadStream(path, { start, end: found.size - 1 }) as AsyncIterable<Buffer>, LINE_BYTES_MAX)) {
    for (const line of lines) {
      const link = line === undefined ? null : LINK.exec(line.toString('latin1', Math.max(0, line.length - LINK_CHARS_MAX)));
      if (line === undefined || link === null) continue;
      const [, chain = '', digits] = link;
      const { segment, gap } = line.length < 4_096 && /^\{"version":1,"(?:segment|gap)":/.test(line.toString('latin1', 0, 32)) ? parse(line) : {};
      if (segment !== undefined) ends.set(chain, { pid: segment.pid, after: segment.through, to: segment.to, ahead: segment.ahead === true });
      if (segment?.closed === true) over.add(chain);
      if (gap?.chain !== undefined) over.add(gap.chain);
      const end = ends.get(chain);
      if (end !== undefined) end.after = Number(digits);
    }
  }
  return [...ends].flatMap(([chain, end]) => (over.has(chain) || end.to === 0 ? [] : [{ chain, ...end }]));
};
