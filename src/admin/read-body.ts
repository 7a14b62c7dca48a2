/** The body of a command: bounded bytes, JSON with one reading, judged by a strict schema. */
import type { z } from 'zod';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { parseStrictJson, strictJsonFault } from '../domain/strict-json.ts';
import type { Problem } from './problem.ts';
import { schemaFaults } from './schema-faults.ts';

export const BODY_BYTES_MAX = 256 * 1024;

export type Read<T> = { readonly ok: true; readonly value: T; readonly json: JsonObject } | { readonly ok: false; readonly problem: Problem };

const no = (code: Problem['code'], detail: string, faults?: Problem['faults']): { readonly ok: false; readonly problem: Problem } => ({
  ok: false,
  problem: { code, detail, faults },
});

const TOO_LARGE = no('body-too-large', `a body may have at most ${BODY_BYTES_MAX} bytes`);

const readBytes = async (request: Request): Promise<Uint8Array | undefined> => {
  if (Number(request.headers.get('content-length') ?? 0) > BODY_BYTES_MAX) return undefined;
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.byteLength;
    if (size > BODY_BYTES_MAX) {
      await reader.cancel();
      return undefined;
    }
    chunks.push(value);
  }
  return Buffer.concat(chunks);
};

const JSON_TYPE = /^application\/json(?:\s*;\s*charset="?utf-8"?)?$/i;

/** What is wrong with a text that is no JSON, or readable in more than one way, and where. */
const unreadable = (text: string): { readonly ok: false; readonly problem: Problem } => {
  const { path, line, column, message } = strictJsonFault(text) ?? { path: '', line: 1, column: 1, message: 'is not JSON' };
  return no('malformed', `${path === '' ? 'the body' : path} ${message} (line ${line}, column ${column})`, [{ path, message: `${message} (line ${line}, column ${column})` }]);
};

/** Judges a value by a schema; what is wrong is told with its place. */
export const judgeBy = <T>(schema: z.ZodType<T>, value: JsonObject): Read<T> => {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return { ok: true, value: parsed.data, json: value };
  const faults = schemaFaults(schema, parsed.error);
  return no('invalid', faults.map(({ path, message }) => `${path === '' ? 'the body' : path} ${message}`).join('; '), faults);
};

/**
 * An absent body counts as `{}`; commands that need members then name those that are missing. What is put in the place of something
 * has to be said: there an absent body, which would empty it, is refused.
 */
export const readBody = async <T>(request: Request, schema: z.ZodType<T>): Promise<Read<T>> => {
  const type = request.headers.get('content-type');
  const bytes = await readBytes(request);
  if (bytes === undefined) return TOO_LARGE;
  if (bytes.byteLength === 0) return request.method === 'PUT' ? no('malformed', 'the body is missing', [{ path: '', message: 'is missing' }]) : judgeBy(schema, {});
  if (type === null || !JSON_TYPE.test(type.trim())) return no('media-type', 'content-type must be application/json');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return no('malformed', 'the body is not UTF-8');
  }
  const value = parseStrictJson(text);
  if (value === undefined) return unreadable(text);
  return isJsonObject(value) ? judgeBy(schema, value) : no('malformed', 'the body must be a JSON object');
};
