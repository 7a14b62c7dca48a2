/**
 * Leaves new connections to the other workers that share the port, for a while, or takes them. Open ones go on. The port stays open as long as one
 * process listens.
 */
import { Server } from 'node:net';

export interface Acceptance {
  /** Not on a Unix socket: nothing is left there. */
  accept(wanted: boolean): void;
  /** For good. `ended` is called when all connections have ended. */
  stop(ended: () => void): void;
}

/** Where it could not listen. */
const RETRY_MS = 1_000;

/** Of a server that listens. From now on its errors are heard: none is told to anybody else. */
export const acceptance = (server: Server, at: { readonly host: string; readonly port: number } | undefined): Acceptance => {
  let wanted = true;
  let stopped = false;
  /** Asked to listen: the answer comes from the process that has the port. */
  let asking = false;
  // The server's own `close` might end connections.
  const leave = (ended?: () => void): void => void Server.prototype.close.call(server, ended);
  const settle = (): void => {
    if (at === undefined || asking || wanted === server.listening) return;
    if (!wanted) return leave();
    asking = true;
    server.listen(at.port, at.host);
  };
  server.on('listening', () => {
    asking = false;
    settle();
  });
  server.on('error', () => {
    asking = false;
    setTimeout(settle, RETRY_MS).unref();
  });
  return {
    accept: (next) => {
      if (stopped) return;
      wanted = next;
      settle();
    },
    stop: (ended) => {
      stopped = true;
      wanted = false;
      leave(() => ended());
    },
  };
};
