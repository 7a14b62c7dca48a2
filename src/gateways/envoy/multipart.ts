/**
 * Media types, and `multipart/form-data` read strictly: what different servers read differently is refused, since differences
 * between parsers are how a form passes one reader and means something else to the next.
 */
import type { JsonValue } from '../../domain/json.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import type { BodyLimits } from './config.ts';

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const TYPE = new RegExp(`^(${TOKEN}/${TOKEN})\\s*(?:;|$)`);
const PARAMETER = new RegExp(`\\s*;\\s*(${TOKEN})=(?:(${TOKEN})|"([^"\\\\]*)")`, 'y');
const BOUNDARY = /^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$/;
const PART_HEADERS_MAX = 16;
const PART_HEADER_BYTES_MAX = 8_192;
const IDENTITY_ENCODINGS = new Set(['7bit', '8bit', 'binary']);

export interface MediaType {
  /** `type/subtype`, lower case. */
  readonly type: string;
  /** Lower-case names. */
  readonly parameters: ReadonlyMap<string, string>;
}

const parameterList = (text: string, from: number): ReadonlyMap<string, string> | undefined => {
  const parameters = new Map<string, string>();
  let at = from;
  while (at < text.length) {
    PARAMETER.lastIndex = at;
    const match = PARAMETER.exec(text);
    if (match === null) return /^\s*;?\s*$/.test(text.slice(at)) ? parameters : undefined;
    const name = (match[1] as string).toLowerCase();
    if (parameters.has(name)) return undefined;
    parameters.set(name, match[2] ?? match[3] ?? '');
    at = PARAMETER.lastIndex;
  }
  return parameters;
};

/** `undefined` when malformed or when a parameter occurs twice. */
export const parseMediaType = (text: string): MediaType | undefined => {
  const type = TYPE.exec(text)?.[1];
  if (type === undefined) return undefined;
  const parameters = parameterList(text, type.length);
  return parameters === undefined ? undefined : { type: type.toLowerCase(), parameters };
};

const partHeaders = (block: string): ReadonlyMap<string, string> | undefined => {
  const headers = new Map<string, string>();
  for (const line of block.split('\r\n', PART_HEADERS_MAX + 1)) {
    const match = new RegExp(`^(${TOKEN}):[ \\t]*([^\\r\\n\\0]*)$`).exec(line);
    if (match === null || headers.size >= PART_HEADERS_MAX) return undefined;
    const name = (match[1] as string).toLowerCase();
    if (headers.has(name)) return undefined;
    headers.set(name, (match[2] as string).trimEnd());
  }
  return headers;
};

/** Name of the form field, `undefined` when there is none that all readers would agree on. */
const fieldName = (disposition: string | undefined): string | undefined => {
  const match = /^form-data\s*(?=;)/i.exec(disposition ?? '');
  if (match === null || disposition === undefined) return undefined;
  const parameters = parameterList(disposition, match[0].length);
  if (parameters === undefined || [...parameters.keys()].some((name) => name.includes('*'))) return undefined;
  const name = parameters.get('name');
  // Header bytes were read one by one; the name itself is UTF-8.
  return name === undefined || name === '' ? undefined : Buffer.from(name, 'latin1').toString('utf8');
};

/** Field name to values; parts declared as JSON are parsed. `undefined` when malformed, ambiguous or beyond the limits. */
export const parseMultipart = (bytes: Buffer, boundary: string, limits: BodyLimits): Readonly<Record<string, readonly JsonValue[]>> | undefined => {
  if (!BOUNDARY.test(boundary)) return undefined;
  const fields = Object.create(null) as Record<string, JsonValue[]>;
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  if (!bytes.subarray(0, delimiter.length - 2).equals(delimiter.subarray(2))) return undefined;
  let at = delimiter.length - 2;
  for (let count = 0; count <= limits.maxParts; count += 1) {
    const mark = bytes.toString('latin1', at, at + 2);
    if (mark === '--') return /^(?:\r\n)?$/.test(bytes.toString('latin1', at + 2)) ? fields : undefined;
    if (mark !== '\r\n') return undefined;
    const head = bytes.indexOf('\r\n\r\n', at + 2, 'latin1');
    if (head < 0 || head - at > PART_HEADER_BYTES_MAX) return undefined;
    const headers = partHeaders(bytes.toString('latin1', at + 2, head));
    const end = bytes.indexOf(delimiter, head + 2);
    if (headers === undefined || end < head + 4) return undefined;
    const encoding = headers.get('content-transfer-encoding');
    if (encoding !== undefined && !IDENTITY_ENCODINGS.has(encoding.toLowerCase())) return undefined;
    const name = fieldName(headers.get('content-disposition'));
    if (name === undefined) return undefined;
    const text = bytes.toString('utf8', head + 4, end);
    const contentType = headers.get('content-type');
    let value: JsonValue = text;
    if (contentType !== undefined && parseMediaType(contentType)?.type === 'application/json') {
      const json = parseStrictJson(text, { depthMax: limits.maxDepth, exactIntegers: true });
      if (json === undefined) return undefined;
      value = json;
    }
    (fields[name] ??= []).push(value);
    at = end + delimiter.length;
  }
  return undefined;
};
