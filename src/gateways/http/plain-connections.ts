/**
 * Connections on which plain questions come, one after the other: read in one pass and answered straight into the socket. At the
 * first byte that is anything else a connection is handed, with that byte and for good, to node's server, which then sees what
 * it would have seen without this. The limits are the same on both sides. One question at a time: what comes before its answer
 * has left waits unread (ADR 0012).
 */
import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import type { Connections } from '../../grpc/connections.ts';
import { toHttpDate, type Instant } from '../../domain/instant.ts';
import type { HttpLimits } from './config.ts';
import { mayBecomePlain, readPlainRequest, type PlainRequest } from './plain-request.ts';
import { answerText, type Reply } from './reply.ts';

/** Takes the question and answers it, then or later; false: it is not for here, and nothing was done. */
export type PlainHandler = (request: PlainRequest, reply: Reply) => boolean;

export interface PlainConnections {
  /** Those that wait for a question. */
  closeIdle(): void;
  closeAll(): void;
}

interface Options {
  readonly limits: HttpLimits;
  readonly connections: Pick<Connections, 'asked' | 'answered'>;
  /** From now on each connection ends with its answer. */
  readonly isClosing: () => boolean;
  readonly handle: PlainHandler;
  /** Ends a connection whose question did not come in time. */
  readonly refuseLate: (socket: Socket) => void;
}

interface Lane {
  readonly socket: Socket;
  /** Of a question that is not whole yet, one character a byte. */
  text: string;
  pieces: number;
  hasAsked: boolean;
  /** A question is under way. */
  busy: boolean;
  /** Came meanwhile. */
  behind: Buffer | undefined;
  ended: boolean;
  /** How often it was looked at since it began to wait. */
  looks: number;
}

/** Sniffed together; a head in more pieces than this is left to node's parser, which keeps its place in it. */
const PIECES_MAX = 8;

/** Stands between `server` and its connections from now on; call it before any listens. `tickMs`: between looks at who waits. */
export const servePlainly = (server: HttpServer, tickMs: number, options: Options): PlainConnections => {
  const { limits, connections } = options;
  const lanes = new Map<Socket, Lane>();
  const [nodes] = server.listeners('connection') as ((this: HttpServer, socket: Socket) => void)[];
  if (nodes === undefined) throw new Error('a server without its own listener');
  server.off('connection', nodes);
  const keepAlive = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(limits.keepAliveTimeoutMs / 1_000)}\r\n`;
  let dateSecond = -1;
  let date = '';
  const dateLine = (at: Instant | undefined): string => {
    const second = at === undefined ? dateSecond : Math.floor(at / 1_000);
    if (at !== undefined && second !== dateSecond) {
      dateSecond = second;
      date = `Date: ${toHttpDate(at)}\r\n`;
    }
    return date;
  };

  server.on('connection', (socket: Socket) => {
    const lane: Lane = { socket, text: '', pieces: 0, hasAsked: false, busy: false, behind: undefined, ended: false, looks: 0 };
    lanes.set(socket, lane);

    const handOver = (bytes: Buffer): void => {
      lanes.delete(socket);
      socket.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose).off('drain', onDrain);
      socket.pause();
      socket.unshift(bytes);
      nodes.call(server, socket);
      socket.resume();
    };

    const answered = (): void => {
      lane.busy = false;
      lane.looks = 0;
      connections.answered(socket);
      if (lane.behind !== undefined) return handOver(lane.behind);
      if (lane.ended) socket.end();
    };

    const replyTo = (): Reply => {
      let last = false;
      let sent = false;
      return {
        isOpen: () => !sent && !socket.destroyed,
        endConnection: () => {
          last = true;
        },
        abandon: () => void socket.destroy(),
        send: (status, headers, body, at) => {
          if (options.isClosing()) last = true;
          const text = answerText(status, headers, dateLine(at), last ? 'Connection: close\r\n' : keepAlive, body);
          sent = true;
          const taken = typeof text === 'string' ? socket.write(text, 'latin1') : socket.write(text);
          if (last) {
            connections.answered(socket);
            socket.destroySoon();
            return;
          }
          // Whoever does not read its answers asks nothing more.
          if (!taken) socket.pause();
          answered();
        },
      };
    };

    const onData = (chunk: Buffer): void => {
      if (lane.busy) {
        lane.behind = lane.behind === undefined ? chunk : Buffer.concat([lane.behind, chunk]);
        socket.pause();
        return;
      }
      const text = lane.text === '' ? chunk.toString('latin1') : lane.text + chunk.toString('latin1');
      if (text.length <= limits.headerBytesMax && lane.pieces < PIECES_MAX && !text.endsWith('\r\n\r\n') && mayBecomePlain(text)) {
        if (lane.text === '') lane.looks = 0;
        lane.text = text;
        lane.pieces += 1;
        return;
      }
      lane.text = '';
      lane.pieces = 0;
      const request = text.length > limits.headerBytesMax || options.isClosing() ? undefined : readPlainRequest(text, limits.headerLinesMax);
      if (request === undefined) return handOver(Buffer.from(text, 'latin1'));
      lane.busy = true;
      const first = !lane.hasAsked;
      lane.hasAsked = true;
      connections.asked(socket);
      if (options.handle(request, replyTo())) return;
      lane.busy = false;
      if (first) lane.hasAsked = false;
      connections.answered(socket);
      handOver(Buffer.from(text, 'latin1'));
    };
    const onEnd = (): void => {
      lane.ended = true;
      if (!lane.busy) socket.end();
    };
    const onDrain = (): void => {
      if (!lane.busy) socket.resume();
    };
    const onError = (): void => void socket.destroy();
    const onClose = (): void => void lanes.delete(socket);
    socket.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose).on('drain', onDrain);
  });

  const look = (): void => {
    for (const lane of lanes.values()) {
      if (lane.busy) continue;
      lane.looks += 1;
      const waitedMs = (lane.looks - 1) * tickMs;
      const idle = lane.hasAsked && lane.text === '';
      if (waitedMs < (idle ? limits.keepAliveTimeoutMs : limits.headersTimeoutMs)) continue;
      if (idle) lane.socket.destroy();
      else options.refuseLate(lane.socket);
    }
  };
  const timer = setInterval(look, tickMs).unref();
  server.once('close', () => clearInterval(timer));

  return {
    closeIdle: () => {
      for (const lane of lanes.values()) if (!lane.busy) lane.socket.destroy();
    },
    closeAll: () => {
      for (const { socket } of lanes.values()) socket.destroy();
    },
  };
};
