/**
 * The connections of a job, kept over all its runs, as a gateway keeps a pool, one question at a time on each. Where the server wants one to be closed (`Connection: close`, GOAWAY), or has
 * closed one between two runs, what comes next is asked over another. Anything else that ends a connection during a run fails it, and so does an answer to no question.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { addressed, checkAllows, createReader, GREETING, questionOf } from './http2-client.ts';
import type { Kind } from './requests.ts';

export interface Job {
  readonly kind: Kind;
  readonly port: number;
  readonly requests: readonly string[];
  readonly allow: readonly boolean[];
}

/** How a yes and a no are written in bodies. */
const WORDS: Readonly<Record<Exclude<Kind, 'curfew' | 'grpc'>, readonly [yes: string, no: string]>> = {
  opa: ['"allow":true', '"allow":false'], authzen: ['"decision":true', '"decision":false'], kubernetes: ['"allowed":true', '"denied":true'],
  bare: ['"result":true', '"result":false'], cerbos: ['EFFECT_ALLOW', 'EFFECT_DENY'],
};

export type Verdict = 'allow' | 'deny' | 'unavailable' | 'neither';

interface Answer {
  readonly length: number;
  readonly verdict: Verdict;
  /** The server closes the connection, or wants it closed. */
  readonly leave: boolean;
}

/** Length of the first whole answer in `text` and what it says; `undefined` while it is not whole. */
const readAnswer = (kind: Exclude<Kind, 'grpc'>, text: string): Answer | undefined => {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const head = text.slice(0, headEnd);
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(length)) throw new Error(`an answer without its length: ${head.slice(0, 200)}`);
  const end = headEnd + 4 + length;
  if (text.length < end) return undefined;
  const status = Number(head.slice(9, 12));
  const leave = /\r\nconnection: *close/i.test(head);
  const late = status === 429 || head.includes('x-curfew-reason: unavailable');
  if (kind === 'curfew') {
    const verdict = status === 200 ? 'allow' : late ? 'unavailable' : status === 403 ? 'deny' : 'neither';
    return { length: end, verdict, leave };
  }
  const body = text.slice(headEnd + 4, end);
  const [yes, no] = WORDS[kind];
  // `evaluationError`: a Kubernetes review has no other way to say that nothing was decided.
  const verdict = status === 503 || late || (kind === 'kubernetes' && body.includes('"evaluationError"')) ? 'unavailable' : status !== 200 ? 'neither' : body.includes(yes) ? 'allow' : body.includes(no) ? 'deny' : 'neither';
  return { length: end, verdict, leave };
};

export interface Connection {
  /** Of the request that it asked last. */
  index: number;
  /** When that was due. */
  sentFor: number;
}

/** What a run hears. */
export interface Hears {
  answered(connection: Connection, verdict: Verdict, text: string): void;
  failed(error: Error): void;
}

export interface JobConnections {
  /** So many, open, for a run. */
  start(count: number, hears: Hears): Promise<readonly Connection[]>;
  ask(connection: Connection, index: number, sentFor: number): void;
  /** The run is over: none is asked. */
  rest(): void;
  /** After a run that failed; the next one has others. */
  drop(): void;
}

const CHECK = '/envoy.service.auth.v3.Authorization/Check';

interface Open extends Connection {
  socket: Socket;
  /** Of HTTP/2: the last stream, and what reads the connection. */
  stream: number;
  hear: ReturnType<typeof createReader>;
  text: string;
  asking: boolean;
  /** What comes next goes over another one. */
  leave: boolean;
}

export const connectionsOf = ({ kind, port, requests }: Job): JobConnections => {
  const wires = requests.map((text) => (kind === 'grpc' ? questionOf(CHECK, Buffer.from(text, 'latin1')) : Buffer.from(text, 'latin1')));
  const all: Open[] = [];
  let hears: Hears | undefined;

  const answerIn = (connection: Open, chunk: string): Answer | undefined => {
    if (kind !== 'grpc') {
      connection.text = connection.text === '' ? chunk : connection.text + chunk;
      return readAnswer(kind, connection.text);
    }
    const { reply, message, leave } = connection.hear(Buffer.from(chunk, 'latin1'));
    for (const bytes of reply) connection.socket.write(bytes);
    connection.leave ||= leave;
    if (message === undefined) return undefined;
    const allows = checkAllows(message);
    connection.text = message.toString('latin1');
    return { length: message.length, verdict: allows === undefined ? 'neither' : allows ? 'allow' : message.includes('unavailable') ? 'unavailable' : 'deny', leave };
  };
  const receive = (connection: Open, chunk: string): void => {
    const answer = answerIn(connection, chunk);
    if (answer === undefined) return;
    const { text } = connection;
    if (!connection.asking || answer.length !== text.length) throw new Error('more than one answer to one request');
    connection.text = '';
    connection.asking = false;
    connection.leave ||= answer.leave;
    hears?.answered(connection, answer.verdict, text);
  };
  const failed = (error: Error): void => hears?.failed(error);

  /** At once: what is written before it is there waits in the socket. */
  const open = (connection: Open): void => {
    const socket = (connection.socket = connect({ port, host: '127.0.0.1', noDelay: true }));
    Object.assign(connection, { stream: -1, hear: createReader(), text: '', asking: false, leave: false });
    socket.setEncoding('latin1');
    if (kind === 'grpc') socket.write(GREETING);
    const current = (): boolean => connection.socket === socket;
    socket.on('data', (chunk: string) => {
      if (!current()) return;
      try {
        receive(connection, chunk);
      } catch (error) {
        failed(error as Error);
      }
    });
    socket.on('error', (error) => {
      if (current() && !connection.leave) failed(error);
    });
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        if (!current()) return;
        if (connection.asking || !connection.leave) failed(new Error('the server closed a connection'));
        connection.leave = true;
      });
    }
  };
  const another = (connection: Open): void => {
    const { socket } = connection;
    open(connection);
    socket.end();
  };

  return {
    start: async (count, heard) => {
      hears = heard;
      while (all.length < count) {
        const connection = { index: 0, sentFor: 0 } as Open;
        open(connection);
        all.push(connection);
      }
      const wanted = all.slice(0, count);
      for (const connection of wanted) if (connection.leave) another(connection);
      await Promise.all(wanted.map(async ({ socket }) => (socket.connecting ? once(socket, 'connect') : undefined)));
      return wanted;
    },
    ask: (connection, index, sentFor) => {
      const asked = connection as Open;
      if (asked.leave) another(asked);
      Object.assign(asked, { index, sentFor, asking: true });
      const wire = wires[index] as Buffer;
      if (kind === 'grpc') asked.stream += 2;
      asked.socket.write(kind === 'grpc' ? addressed(wire, asked.stream) : wire);
    },
    rest: () => { hears = undefined; },
    drop: () => {
      hears = undefined;
      for (const { socket } of all.splice(0)) socket.destroy();
    },
  };
};
