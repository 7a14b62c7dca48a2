/**
 * Remembers what the server told this process, by realm. What it knows grows only: an answer that knows less than was known when
 * the question was sent, or other endings under the same number, comes from a server that lost something.
 *
 * Where replicas follow, a primary also tells what no replica has yet, and what nobody was told is confirmed. So it is kept apart what
 * surely every replica has: what was told before a write was sent that all of them confirmed, on the same connection.
 */
import { StoreUnavailable, type EndingsMark } from '../port.ts';

export interface Seen {
  readonly sequence: number;
  readonly endings: EndingsMark;
}

export interface Witness {
  /** To be taken before the question is sent: answers may overtake one another. */
  known(realm: string): Seen | undefined;
  /** Throws `StoreRegressed` when `seen` can't follow `known`. `hashThen`: the server's hash up to the last ending that was known. */
  see(realm: string, known: Seen | undefined, seen: Seen, hashThen: string): void;
  /** The same of a commit that happened, and that all replicas have; one at a server that lost something tells nothing, and the next question throws. */
  committed(realm: string, known: Seen | undefined, seen: Seen, hashThen: string): void;
  /** `mark`: what another process of this node surely knows; known here too from now on where `seen` can't follow it, so that every question throws. */
  compare(realm: string, mark: Seen, seen: Seen, hashThen: string): void;
  /** What a failover can't lose: of all that is known, as far as every replica has it. Without replicas it is all of it. */
  sure(): ReadonlyMap<string, Seen>;
  /** To be taken before a write is sent that all replicas then confirm. */
  turn(): number;
  /** They did: whatever was told up to `turn`, while the connection was of this generation, is sure. `realm`: of this one only, whose server it is. */
  confirmed(turn: number, generation: number, realm?: string): void;
  /** Only what is sure is known from now on; false where nothing else was known. */
  revert(realm: string): boolean;
  /** What was known is there again, under other positions. */
  forget(realm: string): void;
  /** Another number after every `forget`: what was read before may be of a history that is no more. */
  life(realm: string): number;
}

/** The server lost what it had confirmed. */
export class StoreRegressed extends StoreUnavailable {
  readonly reason = 'facts.regressed';
}

/** May a server that knows `seen` be the one that knew `known`? Also where it has gone on since from what it lost. */
const follows = (known: Seen | undefined, seen: Seen, hashThen: string): boolean =>
  known === undefined || (known.sequence <= seen.sequence && known.endings.sequence <= seen.endings.sequence && (known.endings.sequence === 0 || hashThen === known.endings.hash));

const TOLD_MAX = 4_096;

interface Told {
  readonly realm: string;
  readonly seen: Seen;
  readonly turn: number;
  readonly generation: number;
}

const regressed = (): StoreRegressed =>
  new StoreRegressed('the server knows less than it once confirmed (a failover that lost writes, or a restored or emptied server): what had ended may no longer be known. Nodes put back what they know; whether to go on without the rest says `curfew endings accept-loss`');

/** `before`: what an earlier process of this node knew. `generation`: of the connection that replicas confirm; absent: there are none. */
export const createWitness = (before: ReadonlyMap<string, Seen> = new Map(), generation?: (realm: string) => number): Witness => {
  const realms = new Map<string, Seen>(before);
  const surely = new Map<string, Seen>(before);
  /** Not sure yet, oldest first. */
  let told: Told[] = [];
  let turns = 0;
  const note = (realm: string, seen: Seen): void => {
    if (generation === undefined || surely.get(realm)?.sequence === seen.sequence) return;
    const last = told.findLast((one) => one.realm === realm);
    if (last?.seen.sequence === seen.sequence && last.generation === generation(realm)) return;
    // Those that are dropped become sure with a later one.
    if (told.length >= TOLD_MAX) told.shift();
    told.push({ realm, seen, turn: turns, generation: generation(realm) });
  };
  const lives = new Map<string, number>();
  return {
    known: (realm) => realms.get(realm),
    compare: (realm, mark, seen, hashThen) => {
      if (!follows(mark, seen, hashThen)) for (const held of [realms, surely]) held.set(realm, mark);
    },
    sure: () => (generation === undefined ? realms : surely),
    turn: () => {
      turns += 1;
      return turns - 1;
    },
    confirmed: (turn, of, realm) => {
      for (const one of told) {
        if (realm !== undefined && one.realm !== realm) continue;
        const held = surely.get(one.realm);
        if (one.turn <= turn && one.generation === of && (held === undefined || one.seen.sequence >= held.sequence)) surely.set(one.realm, one.seen);
      }
      told = told.filter((one) => (realm !== undefined && one.realm !== realm) || (one.turn > turn && one.generation === of));
    },
    revert: (realm) => {
      const [sure, held] = [surely.get(realm), realms.get(realm)];
      if (generation === undefined || held === undefined || (sure?.sequence === held.sequence && sure.endings.sequence === held.endings.sequence)) return false;
      if (sure === undefined) realms.delete(realm);
      else realms.set(realm, sure);
      told = told.filter((one) => one.realm !== realm);
      lives.set(realm, (lives.get(realm) ?? 0) + 1);
      return true;
    },
    forget: (realm) => {
      realms.delete(realm);
      surely.delete(realm);
      told = told.filter((one) => one.realm !== realm);
      lives.set(realm, (lives.get(realm) ?? 0) + 1);
    },
    life: (realm) => lives.get(realm) ?? 0,
    see: (realm, known, seen, hashThen) => {
      if (!follows(known, seen, hashThen)) throw regressed();
      const held = realms.get(realm);
      if (held !== undefined && seen.sequence < held.sequence) return;
      realms.set(realm, seen);
      note(realm, seen);
    },
    committed: (realm, known, seen, hashThen) => {
      if (!follows(known, seen, hashThen)) return;
      for (const held of [realms, surely]) if ((held.get(realm)?.sequence ?? -1) < seen.sequence) held.set(realm, seen);
    },
  };
};
