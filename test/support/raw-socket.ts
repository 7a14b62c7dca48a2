/** HTTP over a plain socket: what is sent is sent as it is, byte for byte, and what comes back is read without any help. */
import { connect, type NetConnectOpts, type Socket } from 'node:net';

export interface RawResponse {
  readonly status: number;
  /** By lower-case name, one entry a line. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly body: string;
}

export interface RawConnection {
  /** Sends bytes (latin1) and gives the next answer; `undefined` when the connection ends without one. */
  ask(bytes: string, options?: { readonly head?: boolean }): Promise<RawResponse | undefined>;
  /** Resolves when the other side has closed. */
  readonly closed: Promise<void>;
  readonly socket: Socket;
  close(): void;
}

const parse = (text: string, head: boolean, ended: boolean): { readonly response: RawResponse; readonly rest: string } | undefined => {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = new Map<string, string[]>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    headers.set(name, [...(headers.get(name) ?? []), line.slice(colon + 1).trim()]);
  }
  const status = Number(statusLine.split(' ')[1]);
  const from = end + 4;
  const done = (body: string, until: number) => ({ response: { status, headers, body }, rest: text.slice(until) });
  if (head || status === 204 || status === 304) return done('', from);
  const length = headers.get('content-length')?.[0];
  if (length !== undefined) {
    const until = from + Number(length);
    return text.length >= until ? done(text.slice(from, until), until) : undefined;
  }
  if (headers.get('transfer-encoding')?.[0] === 'chunked') {
    let body = '';
    for (let at = from; ; ) {
      const line = text.indexOf('\r\n', at);
      if (line === -1) return undefined;
      const size = Number.parseInt(text.slice(at, line), 16);
      if (text.length < line + 2 + size + 2) return undefined;
      if (size === 0) return done(body, line + 4);
      body += text.slice(line + 2, line + 2 + size);
      at = line + 2 + size + 2;
    }
  }
  return ended ? done(text.slice(from), text.length) : undefined;
};

export const openRaw = async (at: number | NetConnectOpts): Promise<RawConnection> => {
  const socket = typeof at === 'number' ? connect(at, '127.0.0.1') : connect(at);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  let text = '';
  let ended = false;
  let waiting: (() => void) | undefined;
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    waiting?.();
  });
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      ended = true;
      resolve();
      waiting?.();
    });
  });
  const ask: RawConnection['ask'] = async (bytes, { head = false } = {}) => {
    socket.write(bytes, 'latin1');
    for (;;) {
      const found = parse(text, head, ended);
      if (found !== undefined) {
        text = found.rest;
        return found.response;
      }
      if (ended) return undefined;
      await new Promise<void>((resolve) => {
        waiting = resolve;
      });
      waiting = undefined;
    }
  };
  return { ask, closed, socket, close: () => socket.destroy() };
};

/** One request on a connection of its own. */
export const askOnce = async (at: number | NetConnectOpts, bytes: string): Promise<RawResponse | undefined> => {
  const connection = await openRaw(at);
  try {
    return await connection.ask(bytes, { head: bytes.startsWith('HEAD ') });
  } finally {
    connection.close();
  }
};

/** `GET target HTTP/1.1` with these header lines. */
export const requestText = (target: string, lines: readonly string[] = [], method = 'GET'): string =>
  [`${method} ${target} HTTP/1.1`, ...(lines.some((line) => /^host:/i.test(line)) ? [] : ['Host: pdp.local']), ...lines, '', ''].join('\r\n');
