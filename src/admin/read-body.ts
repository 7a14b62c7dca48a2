/** The body of a command: bounded bytes, JSON with one reading, judged by a strict schema. */
import type { z } from 'zod';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
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

/** Why a text that is not acceptable JSON is not: broken, or readable in more than one way. */
const jsonFault = (text: string): string => {
  try {
    JSON.parse(text);
  } catch {
    return 'the body is not JSON';
  }
  return 'the body is JSON that can be read in more than one way: a member given twice, a member __proto__, a number beyond range, an unpaired surrogate, or too deep';
};

/** Judges a value by a schema; what is wrong is told with its place. */
export const judgeBy = <T>(schema: z.ZodType<T>, value: JsonObject): Read<T> => {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return { ok: true, value: parsed.data, json: value };
  const faults = schemaFaults(schema, parsed.error);
  return no('invalid', faults.map(({ path, message }) => `${path === '' ? 'the body' : path} ${message}`).join('; '), faults);
};

/** An absent body counts as `{}`; commands that need members then name those that are missing. */
export const readBody = async <T>(request: Request, schema: z.ZodType<T>): Promise<Read<T>> => {
  const type = request.headers.get('content-type');
  const bytes = await readBytes(request);
  if (bytes === undefined) return TOO_LARGE;
  if (bytes.byteLength === 0) return judgeBy(schema, {});
  if (type === null || !JSON_TYPE.test(type.trim())) return no('media-type', 'content-type must be application/json');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return no('malformed', 'the body is not UTF-8');
  }
  const value = parseStrictJson(text);
  if (value === undefined) return no('malformed', jsonFault(text));
  return isJsonObject(value) ? judgeBy(schema, value) : no('malformed', 'the body must be a JSON object');
};
