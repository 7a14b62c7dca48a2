/**
 * Remembers what the server told this process, by realm. What it knows grows only: an answer that knows less than was known when
 * the question was sent, or other endings under the same number, comes from a server that lost something.
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
  committed(realm: string, sequence: number): void;
  all(): ReadonlyMap<string, Seen>;
  /** What was known is there again, under other positions. */
  forget(realm: string): void;
  /** Another number after every `forget`: what was read before may be of a history that is no more. */
  life(realm: string): number;
}

/** The server lost what it had confirmed. */
export class StoreRegressed extends StoreUnavailable {
  readonly reason = 'facts.regressed';
}

/** `before`: what an earlier process of this node knew. */
export const createWitness = (before: ReadonlyMap<string, Seen> = new Map()): Witness => {
  const realms = new Map<string, Seen>(before);
  const lives = new Map<string, number>();
  const regressed = (): StoreRegressed =>
    new StoreRegressed('the server knows less than it once confirmed (a failover that lost writes, or a restored or emptied server): what had ended may no longer be known');
  return {
    known: (realm) => realms.get(realm),
    all: () => realms,
    forget: (realm) => {
      realms.delete(realm);
      lives.set(realm, (lives.get(realm) ?? 0) + 1);
    },
    life: (realm) => lives.get(realm) ?? 0,
    see: (realm, known, seen, hashThen) => {
      if (known !== undefined) {
        if (seen.sequence < known.sequence || seen.endings.sequence < known.endings.sequence) throw regressed();
        // Also where it has gone on since from what it lost.
        if (known.endings.sequence > 0 && hashThen !== known.endings.hash) throw regressed();
      }
      const held = realms.get(realm);
      if (held === undefined || seen.sequence >= held.sequence) realms.set(realm, seen);
    },
    committed: (realm, sequence) => {
      const held = realms.get(realm);
      if (held !== undefined && held.sequence < sequence) realms.set(realm, { ...held, sequence });
    },
  };
};
