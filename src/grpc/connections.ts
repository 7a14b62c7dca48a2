/**
 * Bounds the connections of a listener. When one more comes than there may be, the one that has waited longest without ever asking anything makes
 * room: connections that are only held can't keep out those that ask. Where all have asked, the new one is closed, or, with `idleGiveWay`, the one
 * that is idle for longest: for a listener whose clients come anew each time.
 */
import type { Server, Socket } from 'node:net';

export interface Connections {
  readonly sockets: Iterable<Socket>;
  /** A request of this connection is under way until `answered`. The socket may be that of TLS. */
  asked(socket: Socket): void;
  answered(socket: Socket): void;
}

interface Connection {
  readonly name: string | Socket;
  readonly socket: Socket;
  hasAsked: boolean;
  underWay: number;
}

/** The same for a connection and the TLS over it. */
const nameOf = (socket: Socket): string | Socket => (socket.remotePort === undefined ? socket : `${socket.remoteAddress} ${socket.remotePort}`);

export const boundConnections = (server: Server, limits: { readonly max: number; readonly idleGiveWay: boolean }): Connections => {
  /** Those that came or were idle first stand first. */
  const known = new Map<string | Socket, Connection>();
  /** So that a request needs no name. */
  const bySocket = new WeakMap<Socket, Connection>();

  const connectionOf = (socket: Socket): Connection | undefined => {
    const found = bySocket.get(socket) ?? known.get(nameOf(socket));
    if (found !== undefined) bySocket.set(socket, found);
    return found;
  };
  const first = (fits: (connection: Connection) => boolean): Connection | undefined => {
    for (const connection of known.values()) if (fits(connection)) return connection;
    return undefined;
  };
  /** Whether there is room for one more. */
  const makeRoom = (): boolean => {
    if (known.size < limits.max) return true;
    const victim = first(({ hasAsked }) => !hasAsked) ?? (limits.idleGiveWay ? first(({ underWay }) => underWay === 0) : undefined);
    if (victim === undefined) return false;
    known.delete(victim.name);
    victim.socket.destroy();
    return true;
  };

  server.on('connection', (socket: Socket) => {
    if (!makeRoom()) return void socket.destroy();
    const name = nameOf(socket);
    const connection = { name, socket, hasAsked: false, underWay: 0 };
    known.set(name, connection);
    socket.once('close', () => {
      if (known.get(name) === connection) known.delete(name);
    });
  });

  return {
    sockets: { [Symbol.iterator]: () => [...known.values()].map(({ socket }) => socket)[Symbol.iterator]() },
    asked: (socket) => {
      const connection = connectionOf(socket);
      if (connection === undefined) return;
      connection.hasAsked = true;
      connection.underWay += 1;
    },
    answered: (socket) => {
      const connection = connectionOf(socket);
      if (connection === undefined) return;
      connection.underWay -= 1;
      if (!limits.idleGiveWay || known.get(connection.name) !== connection) return;
      known.delete(connection.name);
      known.set(connection.name, connection);
    },
  };
};
