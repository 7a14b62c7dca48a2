/**
 * The requests that gateways send all day, read in one pass: a whole head in strict form, no body, nothing that asks for more
 * than an answer on a connection that stays. Guarantee: what is read here is what node's strict parser reads from the same
 * bytes (a property test compares them); whatever is not of this form is not judged here but left to that parser.
 */
import type { HttpRequest } from './request.ts';

export type PlainRequest = Pick<HttpRequest, 'method' | 'target' | 'headers'>;

const REQUEST_LINE = /^(GET|POST|PUT|PATCH|DELETE|OPTIONS) (\/[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*) HTTP\/1\.1$/;
/** Of the whole head: control characters, and line ends other than CRLF. */
// eslint-disable-next-line no-control-regex
const ODD = /[^\t\r\n\x20-\x7e\x80-\xff]|\r(?!\n)|(?<!\r)\n/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/;
/** They frame a body, or change what the connection is. */
const NOT_PLAIN: ReadonlySet<string> = new Set(['transfer-encoding', 'upgrade', 'expect', 'proxy-connection', 'trailer', 'te', 'http2-settings']);

/** Lower case by the spelling that was sent; starts anew when full. `''`: not a name that is plain. */
const names = new Map<string, string>();
const NAMES_MAX = 1_000;

const plainName = (sent: string): string => {
  const known = names.get(sent);
  if (known !== undefined) return known;
  const name = sent.toLowerCase();
  const plain = TOKEN.test(sent) && !NOT_PLAIN.has(name) ? name : '';
  if (names.size >= NAMES_MAX) names.clear();
  // A copy: the text was cut out of the request, and would keep all of it in memory.
  names.set(Buffer.from(sent, 'latin1').toString('latin1'), plain);
  return plain;
};

const SPACE = 0x20;
const isBlank = (code: number): boolean => code === SPACE || code === 0x09;

/** Could more bytes make it a plain request? */
export const mayBecomePlain = (text: string): boolean => !text.includes('\r\n\r\n') && !ODD.test(text.endsWith('\r') ? `${text}\n` : text);

/** `text`: everything that was received since the last answer, one character a byte. `undefined`: not of this form, or not whole. */
export const readPlainRequest = (text: string, headerLinesMax: number): PlainRequest | undefined => {
  const lineEnd = text.indexOf('\r\n');
  if (lineEnd === -1 || ODD.test(text)) return undefined;
  const requestLine = REQUEST_LINE.exec(text.slice(0, lineEnd));
  if (requestLine === null) return undefined;
  const headers = new Map<string, string[]>();
  let lines = 0;
  let from = lineEnd + 2;
  for (let end = text.indexOf('\r\n', from); end !== from; end = text.indexOf('\r\n', from)) {
    const colon = text.indexOf(':', from);
    const begin = colon + 2;
    // One space, then at least one character, without blanks around.
    if (colon === -1 || !(begin < end) || text.charCodeAt(colon + 1) !== SPACE || isBlank(text.charCodeAt(begin)) || isBlank(text.charCodeAt(end - 1))) return undefined;
    const name = plainName(text.slice(from, colon));
    const value = text.slice(begin, end);
    lines += 1;
    if (name === '' || lines > headerLinesMax) return undefined;
    if (name === 'content-length' && (value !== '0' || headers.has(name))) return undefined;
    if (name === 'connection' && (value.toLowerCase() !== 'keep-alive' || headers.has(name))) return undefined;
    const known = headers.get(name);
    if (known === undefined) headers.set(name, [value]);
    else known.push(value);
    from = end + 2;
  }
  // The blank line ends it, and nothing is behind it.
  if (from + 2 !== text.length || headers.get('host')?.length !== 1) return undefined;
  return { method: requestLine[1] as string, target: requestLine[2] as string, headers };
};
