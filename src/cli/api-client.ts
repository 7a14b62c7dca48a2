/** The admin API's client: one request, one answer, a bounded wait. The credential is sent nowhere but to the server named. */
import { randomUUID } from 'node:crypto';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { plain } from './print.ts';

/** Ends the command with this code; the message is for people. */
export class Failed extends Error {
  override readonly name = 'Failed';
  readonly code: ExitCode;
  constructor(code: ExitCode, message: string) {
    super(message);
    this.code = code;
  }
}

export interface ClientOptions {
  readonly server: string;
  readonly token: () => string;
  readonly realm: string | undefined;
  readonly fetch: typeof globalThis.fetch;
}

export interface ApiClient {
  /** `timeoutMs`: for an answer that takes long to make. */
  get(path: string, query?: Readonly<Record<string, string | undefined>>, timeoutMs?: number): Promise<JsonObject>;
  /** A write, under a new idempotency key unless one is given. */
  send(method: 'POST' | 'PUT', path: string, body: JsonObject, options?: { readonly idempotencyKey?: string | undefined; readonly headers?: Readonly<Record<string, string>> }): Promise<JsonObject>;
  /** Outside of `/v1` and without a credential. */
  open(path: string): Promise<{ readonly status: number; readonly body: JsonObject }>;
}

const TIMEOUT_MS = 30_000;

const problemText = (status: number, body: JsonValue | undefined): string => {
  if (!isJsonObject(body)) return `the server answered ${status}`;
  const { detail, title, code } = body;
  const text = typeof detail === 'string' ? detail : typeof title === 'string' ? title : `the server answered ${status}`;
  return plain(typeof code === 'string' ? `${code}: ${text}` : text);
};

const parse = (text: string): JsonValue | undefined => {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
};

export const createApiClient = (options: ClientOptions): ApiClient => {
  const { realm, fetch } = options;
  const base = options.server.replace(/\/+$/, '');
  const prefix = realm === undefined ? '/v1' : `/v1/realms/${encodeURIComponent(realm)}`;

  const ask = async (url: string, init: RequestInit, timeoutMs = TIMEOUT_MS): Promise<{ status: number; body: JsonValue | undefined }> => {
    try {
      const response = await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
      return { status: response.status, body: parse(await response.text()) };
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : error instanceof Error ? error.message : '';
      throw new Failed(EXIT.unavailable, `${base} can not be reached${cause === '' ? '' : ` (${cause})`}`);
    }
  };
  const wanted = ({ status, body }: { status: number; body: JsonValue | undefined }): JsonObject => {
    if (status >= 200 && status < 300 && isJsonObject(body)) return body;
    throw new Failed(status >= 400 && status < 500 ? EXIT.refused : EXIT.unavailable, problemText(status, body));
  };
  const authorization = (): Readonly<Record<string, string>> => ({ authorization: `Bearer ${options.token()}` });

  return {
    get: async (path, query = {}, timeoutMs = TIMEOUT_MS) => {
      const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
      const search = given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
      return wanted(await ask(`${base}${prefix}${path}${search}`, { headers: authorization() }, timeoutMs));
    },
    send: async (method, path, body, { idempotencyKey, headers = {} } = {}) => {
      const key = idempotencyKey ?? randomUUID();
      const init = { method, body: JSON.stringify(body), headers: { ...authorization(), 'content-type': 'application/json', 'idempotency-key': key, ...headers } };
      try {
        return wanted(await ask(`${base}${prefix}${path}`, init));
      } catch (error) {
        // Whether it took effect is not known; the same key makes repeating it safe.
        if (error instanceof Failed && error.code === EXIT.unavailable) throw new Failed(error.code, `${error.message}\nrepeat it safely with --idempotency-key ${key}`);
        throw error;
      }
    },
    open: async (path) => {
      const { status, body } = await ask(`${base}${path}`, {});
      return { status, body: isJsonObject(body) ? body : {} };
    },
  };
};
