/**
 * When the server knows less than it once told: which endings this node knows that it lost, and, once they are all there again, the
 * word for every process that it may go on from what the server has now.
 *
 * That word is a record of its own for each state of the endings that was lost, by number and hash: it can't be mistaken for any other
 * loss, before or after, and it is sealed like every record.
 */
import type { JsonObject } from '../../domain/json.ts';
import { NO_ENDINGS } from '../event.ts';
import type { Lost } from '../lost.ts';
import type { EndingsMark, RecordKey, Store } from '../port.ts';
import type { KnownEnding, RealmTail } from './tail.ts';
import type { Seen } from './witness.ts';

export interface RegressParts {
  /** Of the server as it is, whatever was known of it. */
  readonly asItIs: Pick<Store, 'facts' | 'commit'>;
  /** The hash that the server has after so many endings; '' when it has not so many. */
  readonly hashAt: (realm: string, sequence: number) => Promise<string>;
  readonly tail: (realm: string) => RealmTail | undefined;
  /** What this process surely knows was there; it may be ahead of what it keeps. */
  readonly known: (realm: string) => Seen | undefined;
  /** All of that is there; only what is kept here, and nobody was told of, is not. */
  readonly intact: (realm: string) => boolean;
}

export const healedRef = ({ sequence, hash }: EndingsMark): RecordKey => ({ kind: 'healed', id: `${sequence}.${hash}` });

const has = async (parts: RegressParts, realm: string, mark: EndingsMark): Promise<boolean> =>
  mark.sequence === 0 ? mark.hash === NO_ENDINGS.hash : (await parts.hashAt(realm, mark.sequence)) === mark.hash;

/** How many of them, from the oldest, the server has: they are a chain. */
const countKept = async (parts: RegressParts, realm: string, endings: readonly KnownEnding[]): Promise<number> => {
  let [low, high] = [0, endings.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await has(parts, realm, (endings[middle] as KnownEnding).mark)) low = middle + 1;
    else high = middle;
  }
  return low;
};

export const findLost = async (parts: RegressParts, realm: string): Promise<Lost & { readonly marks: readonly EndingsMark[]; readonly kept: readonly KnownEnding[] }> => {
  const tail = parts.tail(realm);
  if (tail === undefined) return { endings: [], whole: false, marks: [], kept: [] };
  const count = await countKept(parts, realm, tail.endings);
  const lost = tail.endings.slice(count);
  const common = tail.endings[count - 1]?.mark ?? tail.base;
  const known = parts.known(realm);
  // Behind its last event there may be an ending that this node has not read.
  const reaches = known === undefined || known.sequence <= tail.position || parts.intact(realm);
  return { endings: lost.map(({ event }) => event), whole: reaches && (count > 0 || (await has(parts, realm, tail.base))), marks: [common, ...lost.map(({ mark }) => mark)], kept: tail.endings.slice(0, count) };
};

/** Says that what was lost up to each of these is there again. In one commit, which ends nothing. */
export const sayHealed = async ({ asItIs }: RegressParts, realm: string, marks: readonly EndingsMark[]): Promise<boolean> => {
  const value: JsonObject = { version: 1 };
  for (let from = 0; from < marks.length; from += 250) {
    const keys = marks.slice(from, from + 250).map(healedRef);
    const { outcome } = await asItIs.commit({
      realm, expect: [], puts: keys.map((key) => ({ key, value })),
      events: [{ type: 'endings.healed', about: [], ending: true, data: { lost: keys.map(({ id }) => id) } }],
    });
    if (outcome !== 'committed') return false;
  }
  return true;
};
