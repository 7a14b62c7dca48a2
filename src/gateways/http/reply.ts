/** Where an answer is written: node's response, or the socket itself. Either way it goes to the kernel before `send` returns, unless a slow reader keeps it waiting. */
import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Instant } from '../../domain/instant.ts';

export interface Reply {
  /** Not answered yet, and somebody is there. */
  isOpen(): boolean;
  /** Ends the connection with the answer; before `send`. */
  endConnection(): void;
  /** Ends it at once, whatever was sent. */
  abandon(): void;
  /** `headers`: name, value, name, value, ... Throws on what can't stand in a header, and has then sent nothing. `at`: now, where it is known. */
  send(status: number, headers: readonly string[], body: string, at: Instant | undefined): void;
}

export const nodeReply = (response: ServerResponse): Reply => ({
  isOpen: () => !response.headersSent && !response.destroyed,
  endConnection: () => {
    response.shouldKeepAlive = false;
  },
  abandon: () => void response.destroy(),
  send: (status, headers, body) => {
    response.writeHead(status, headers as string[]);
    if (body === '') response.end();
    else response.end(body);
  },
});

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// eslint-disable-next-line no-control-regex
const NO_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const plainNames = new Set<string>();
const PLAIN_NAMES_MAX = 1_000;

const isName = (name: string): boolean => {
  if (plainNames.has(name)) return true;
  if (!NAME.test(name)) return false;
  if (plainNames.size < PLAIN_NAMES_MAX) plainNames.add(name);
  return true;
};

/** An HTTP/1.1 answer, one character a byte where it can be. `date`, `connection`: whole header lines. Throws as node does on a header that would break the frame. */
export const answerText = (status: number, headers: readonly string[], date: string, connection: string, body: string): string | Buffer => {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`;
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] as string;
    const value = headers[index + 1] as string;
    if (!isName(name) || NO_VALUE.test(value)) throw new TypeError('a header that can not be sent');
    text += `${name}: ${value}\r\n`;
  }
  text += `${date}${connection}\r\n`;
  if (body === '') return text;
  return Buffer.byteLength(body) === body.length ? text + body : Buffer.concat([Buffer.from(text, 'latin1'), Buffer.from(body, 'utf8')]);
};
