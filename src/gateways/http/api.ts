/**
 * A protocol that asks in JSON, on the decision listener beside the gateways' own: AuthZEN, OPA, Kubernetes. Guarantee: the body is
 * bounded, and either all there or refused; it is read as one JSON value that can be understood in one way only, or as none.
 */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gunzip } from 'node:zlib';
import type { JsonValue } from '../../domain/json.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import { bodyOf, type HttpRequest } from './request.ts';

export interface HttpApi {
  /** Is the target, verbatim, one of this protocol's? What it takes it answers, also with an error. */
  serves(target: string): boolean;
  /** Says, at once and without deciding, that there is no room for a question now: no yes. False: what is asked is no question for a decision. */
  shed(request: HttpRequest, response: ServerResponse): boolean;
  /** Total: writes exactly one answer. */
  handle(request: HttpRequest, incoming: IncomingMessage, response: ServerResponse): Promise<void>;
}

export type Body =
  | { readonly kind: 'value'; readonly value: JsonValue }
  | { readonly kind: 'empty' | 'malformed' | 'too_large' };

/** `undefined` when there are more bytes, or when they end before they are all there. */
const readBytes = (incoming: IncomingMessage, declared: string, bytesMax: number): Promise<Buffer | undefined> => {
  if (!(Number(declared) <= bytesMax)) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= bytesMax) return void chunks.push(chunk);
      incoming.removeAllListeners('data').pause();
      return resolve(undefined);
    });
    incoming.once('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    incoming.once('close', () => resolve(undefined));
  });
};

const unzipped = (bytes: Buffer, bytesMax: number): Promise<Buffer | 'too_large' | 'malformed'> =>
  new Promise((resolve) => {
    gunzip(bytes, { maxOutputLength: bytesMax }, (error, text) => {
      if (error === null) resolve(text);
      else resolve((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? 'too_large' : 'malformed');
    });
  });

export interface BodyRules {
  /** Also once it is unpacked. */
  readonly bytesMax: number;
  readonly depthMax?: number;
  /** It came with `Content-Encoding: gzip`. */
  readonly gzip?: boolean;
  /** What reads the text; absent: JSON. `undefined` is none, or one with two readings. */
  readonly parse?: ((text: string) => JsonValue | undefined) | undefined;
}

/** Never rejects. A body that was not read to its end leaves the connection unfit for another question: close it. */
export const readJsonBody = async (incoming: IncomingMessage, { bytesMax, depthMax, gzip = false, parse }: BodyRules): Promise<Body> => {
  const { length, plain } = bodyOf(incoming.rawHeaders);
  const received = await readBytes(incoming, length, bytesMax);
  if (received === undefined) return { kind: 'too_large' };
  if (!plain) return { kind: 'malformed' };
  const bytes = gzip && received.length > 0 ? await unzipped(received, bytesMax) : received;
  if (typeof bytes === 'string') return { kind: bytes };
  if (!isUtf8(bytes)) return { kind: 'malformed' };
  const text = bytes.toString('utf8');
  if (text.trim() === '') return { kind: 'empty' };
  const value = parse === undefined ? parseStrictJson(text, { depthMax, exactIntegers: true }) : parse(text);
  return value === undefined ? { kind: 'malformed' } : { kind: 'value', value };
};

/** One answer, whole and at once; a second call finds it written. Never cached, unless `headers` say so. */
export const writeJson = (response: ServerResponse, status: number, body: string, headers: readonly string[] = []): void => {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, [
    'content-type', 'application/json', 'cache-control', 'no-store', 'x-content-type-options', 'nosniff',
    'content-length', String(Buffer.byteLength(body)), ...headers,
  ]);
  response.end(body);
};
