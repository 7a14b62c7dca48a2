/**
 * Pages by number, as SCIM asks for them, of a store that pages by cursor: who asks for one page after another has each record read once,
 * not all of them for each page. What comes and goes meanwhile moves no record over the edge of a page; where a page begins anew, by a
 * number that nobody was given, it is counted from the nearest one that is known.
 */
import type { Page, StoredRecord } from '../store/port.ts';

export interface FeedPagesDeps {
  readonly list: (options: { readonly after?: string; readonly limit: number }) => Promise<Page<StoredRecord>>;
  /** The id for those outside; `undefined`: the record is another source's. */
  readonly idOf: (record: StoredRecord) => string | undefined;
}

/** Ids from this number on, the first is 1. */
export type FeedPages = (start: number, count: number) => Promise<readonly string[]>;

const READ_MAX = 1_000;
const MARKS_MAX = 64;

export const createFeedPages = ({ list, idOf }: FeedPagesDeps): FeedPages => {
  /** The number of the next id, by the cursor after which it comes; the latest last. */
  const marks = new Map<number, string>();
  const mark = (next: number, after: string): void => {
    marks.delete(next);
    marks.set(next, after);
    for (const oldest of marks.keys()) {
      if (marks.size <= MARKS_MAX) return;
      marks.delete(oldest);
    }
  };
  return async (start, count) => {
    let next = 1;
    for (const known of marks.keys()) if (known <= start && known > next) next = known;
    let after = marks.get(next);
    const ids: string[] = [];
    while (ids.length < count) {
      // Never beyond what is asked for, so that a page of the store ends where this one does.
      const wanted = next < start ? start - next : count - ids.length;
      const page = await list({ limit: Math.min(READ_MAX, wanted), ...(after === undefined ? {} : { after }) });
      for (const record of page.items) {
        const id = idOf(record);
        if (id === undefined) continue;
        if (next >= start) ids.push(id);
        next += 1;
      }
      after = page.next;
      if (after === undefined) break;
      if (next >= start) mark(next, after);
    }
    return ids;
  };
};
