/** One HTTP request as it was received: nothing decoded, joined or normalised. */
import type { IncomingMessage } from 'node:http';
import type { PepEvidence } from '../pep.ts';

export interface HttpRequest {
  readonly method: string;
  /** The request target, verbatim. */
  readonly target: string;
  /** By lower-case name, one entry a header line, in order. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** More header lines (`headers` is empty then), or a larger body, than the limits say. */
  readonly tooLarge: boolean;
  readonly evidence: Omit<PepEvidence, 'tokens'>;
}

export const readHeaders = (rawHeaders: readonly string[]): ReadonlyMap<string, readonly string[]> => {
  const headers = new Map<string, string[]>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase();
    const value = rawHeaders[index + 1] as string;
    const lines = headers.get(name);
    if (lines === undefined) headers.set(name, [value]);
    else lines.push(value);
  }
  return headers;
};

const NO_HEADERS: HttpRequest['headers'] = new Map();

export const readRequest = (
  incoming: IncomingMessage,
  evidence: HttpRequest['evidence'],
  size: { readonly headerLinesMax: number; readonly bodyTooLarge: boolean },
): HttpRequest => {
  const { rawHeaders } = incoming;
  const tooMany = rawHeaders.length > size.headerLinesMax * 2;
  const headers = tooMany ? NO_HEADERS : readHeaders(rawHeaders);
  return { method: incoming.method ?? '', target: incoming.url ?? '', headers, tooLarge: tooMany || size.bodyTooLarge, evidence };
};

/** The target without its query. */
export const pathOf = (target: string): string => {
  const mark = target.indexOf('?');
  return mark === -1 ? target : target.slice(0, mark);
};

/** The value of a header that is there exactly once; otherwise `undefined`. */
export const once = (headers: HttpRequest['headers'], name: string): string | undefined => {
  const lines = headers.get(name);
  return lines?.length === 1 ? lines[0] : undefined;
};

const CONTENT_LENGTH = 'content-length';
const TRANSFER_ENCODING = 'transfer-encoding';

/** Does a body follow, and how long is it said to be? From the lines as they came: node makes an object of all headers for whoever asks for one. */
export const bodyOf = (rawHeaders: readonly string[]): { readonly follows: boolean; readonly length: string; readonly plain: boolean } => {
  let length = '0';
  let encoding: string | undefined;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    if (name.length === CONTENT_LENGTH.length && name.toLowerCase() === CONTENT_LENGTH) length = rawHeaders[index + 1] as string;
    else if (name.length === TRANSFER_ENCODING.length && name.toLowerCase() === TRANSFER_ENCODING) encoding = encoding === undefined ? (rawHeaders[index + 1] as string) : 'several';
  }
  // `gzip, chunked` would be unpacked by others who read it.
  return { follows: encoding !== undefined || length !== '0', length, plain: encoding === undefined || encoding.toLowerCase() === 'chunked' };
};
