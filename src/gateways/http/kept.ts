/**
 * The connections of an HTTP/1.1 listener that their clients keep, so that they can be spread over the workers (`src/supervisor/spread.ts`). One
 * counts when it is not new and has asked more than once: those that come for one question are no load that stays, and how many there are is chance.
 *
 * One that is to be opened anew is closed by its next answer, which says so (RFC 9112, 9.6); never while it is idle: its next question may be on
 * its way, and a client does not ask again what may have had an effect. So only those are chosen that ask: of a pool, clients use a part.
 */
import type { Socket } from 'node:net';

export interface KeptConnections {
  /** One more request of this connection. Is its answer to be the last? */
  asked(socket: Socket): boolean;
  /** How many there are. Those that asked since the look before this one, or since this one, may be let go. */
  look(): number;
  /** So many of those in all are to be let go, those first that were kept first. Says how many are. */
  shed(count: number): number;
}

interface Kept {
  leaving: boolean;
  /** Since the last look. */
  asked: boolean;
  /** Between the last two. */
  askedBefore: boolean;
}

/** Between the second question of a connection and when it counts. */
const SETTLING_MS = 1_000;

export const keptConnections = (): KeptConnections => {
  /** A map keeps its order. */
  const kept = new Map<Socket, Kept>();
  /** Those that asked; `true`: more than once. */
  const seen = new WeakMap<Socket, boolean>();
  return {
    asked: (socket) => {
      const again = seen.get(socket);
      if (again === true) {
        const connection = kept.get(socket);
        if (connection === undefined) return false;
        connection.asked = true;
        return connection.leaving;
      }
      seen.set(socket, again !== undefined);
      if (again === undefined) return false;
      const settling = setTimeout(() => void kept.set(socket, { leaving: false, asked: false, askedBefore: false }), SETTLING_MS).unref();
      socket.once('close', () => {
        clearTimeout(settling);
        kept.delete(socket);
      });
      return false;
    },
    look: () => {
      for (const connection of kept.values()) {
        connection.askedBefore = connection.asked;
        connection.asked = false;
      }
      return kept.size;
    },
    shed: (count) => {
      let leaving = 0;
      for (const connection of kept.values()) if (connection.leaving) leaving += 1;
      for (const connection of kept.values()) {
        if (leaving >= count) break;
        if (connection.leaving || !(connection.asked || connection.askedBefore)) continue;
        connection.leaving = true;
        leaving += 1;
      }
      return leaving;
    },
  };
};
