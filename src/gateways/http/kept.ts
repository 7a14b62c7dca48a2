/**
 * The connections of an HTTP/1.1 listener that their clients keep, so that they can be spread over the workers (`src/supervisor/spread.ts`). One
 * counts when it is not new and has asked more than once: those that come for one question are no load that stays, and how many there are is chance.
 *
 * One that is to be opened anew is closed by its next answer, which says so (RFC 9112, 9.6); never while it is idle: its next question may be on
 * its way, and a client does not ask again what may have had an effect.
 */
import type { Socket } from 'node:net';

export interface KeptConnections {
  /** One more request of this connection. Is its answer to be the last? */
  asked(socket: Socket): boolean;
  /** With those that are to be let go and were not asked since. */
  count(): number;
  /** So many in all are to be let go, those first that were kept first. */
  shed(count: number): void;
}

interface Kept {
  leaving: boolean;
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
      if (again === true) return kept.get(socket)?.leaving === true;
      seen.set(socket, again !== undefined);
      if (again === undefined) return false;
      const settling = setTimeout(() => void kept.set(socket, { leaving: false }), SETTLING_MS).unref();
      socket.once('close', () => {
        clearTimeout(settling);
        kept.delete(socket);
      });
      return false;
    },
    count: () => kept.size,
    shed: (count) => {
      let left = count;
      for (const { leaving } of kept.values()) if (leaving) left -= 1;
      for (const connection of kept.values()) {
        if (left <= 0) return;
        if (connection.leaving) continue;
        connection.leaving = true;
        left -= 1;
      }
    },
  };
};
