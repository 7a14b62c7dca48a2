/** HTTP/1.1 over a bare socket, so that no client tidies up what is sent. */
import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** Lower-case names; the last value of a name. */
  readonly headers: ReadonlyMap<string, string>;
  /** Header lines as received. */
  readonly lines: readonly string[];
  readonly body: string;
}

export interface RawConnection {
  /** Sends the bytes (text as latin1) and waits for one whole answer. Rejects when the connection ends before it. */
  send(request: string | Buffer): Promise<RawAnswer>;
  /** Everything received and not yet taken as an answer. */
  pending(): string;
  readonly socket: Socket;
  close(): void;
}

const parseHead = (head: string): { status: number; headers: Map<string, string>; lines: readonly string[] } => {
  const [first = '', ...lines] = head.split('\r\n');
  const headers = new Map(lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  }));
  return { status: Number(first.split(' ')[1]), headers, lines };
};

/** Body and rest, or `undefined` while it is not all there. */
const takeBody = (headers: ReadonlyMap<string, string>, text: string, ended: boolean): { body: string; rest: string } | undefined => {
  const length = headers.get('content-length');
  if (length !== undefined) return text.length < Number(length) ? undefined : { body: text.slice(0, Number(length)), rest: text.slice(Number(length)) };
  if (headers.get('transfer-encoding') === 'chunked') {
    let [body, at] = ['', 0];
    for (;;) {
      const line = text.indexOf('\r\n', at);
      if (line < 0) return undefined;
      const size = Number.parseInt(text.slice(at, line), 16);
      if (text.length < line + 2 + size + 2) return undefined;
      if (size === 0) return { body, rest: text.slice(line + 4) };
      body += text.slice(line + 2, line + 2 + size);
      at = line + 2 + size + 2;
    }
  }
  return ended ? { body: text, rest: '' } : undefined;
};

export const openConnection = async (port: number): Promise<RawConnection> => {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  let [received, ended] = ['', false];
  let wake: () => void = () => undefined;
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    received += text;
    wake();
  });
  const finish = (): void => {
    ended = true;
    wake();
  };
  socket.on('end', finish);
  socket.on('close', finish);
  socket.on('error', finish);

  const take = (): RawAnswer | undefined => {
    const split = received.indexOf('\r\n\r\n');
    if (split < 0) return undefined;
    const { status, headers, lines } = parseHead(received.slice(0, split));
    const rest = received.slice(split + 4);
    const bodiless = status === 204 || status === 304 || status === 101;
    const taken = bodiless ? { body: '', rest } : takeBody(headers, rest, ended);
    if (taken === undefined) return undefined;
    received = taken.rest;
    return { status, headers, lines, body: taken.body };
  };

  return {
    socket,
    pending: () => received,
    send: (request) =>
      new Promise((resolve, reject) => {
        wake = () => {
          const answer = take();
          if (answer !== undefined) resolve(answer);
          else if (ended) reject(new Error('the connection ended without an answer'));
        };
        if (ended) reject(new Error('the connection is closed'));
        else socket.write(typeof request === 'string' ? Buffer.from(request, 'latin1') : request);
      }),
    close: () => socket.destroy(),
  };
};

/** One request on a connection of its own. */
export const rawRequest = async (port: number, request: string | Buffer): Promise<RawAnswer> => {
  const connection = await openConnection(port);
  try {
    return await connection.send(request);
  } finally {
    connection.close();
  }
};

/** A request without body. `headers`: whole lines. */
export const rawGet = (target: string, headers: readonly string[] = [], method = 'GET', host = 'shop.local'): string =>
  `${method} ${target} HTTP/1.1\r\n${[`host: ${host}`, ...headers].join('\r\n')}\r\n\r\n`;
