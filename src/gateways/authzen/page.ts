/**
 * Paging of searches. A token names the candidate after which the next page goes on, and the search it belongs to: with anything else
 * of the search changed it is an error. It is no capability: every page is asked for and decided anew.
 */
import { hash } from 'node:crypto';
import { canonicalJson, isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import { wrong, type Read } from './entities.ts';

export interface Page {
  /** The last candidate that was looked at; absent on the first page. */
  readonly after?: string;
  readonly limit: number;
}

const TOKEN_CHARS_MAX = 8_192;

/** Of all that was asked but the page. */
export const searchDigest = (parts: JsonValue): string => hash('sha256', canonicalJson(parts), 'base64url').slice(0, 22);

export const pageToken = (digest: string, after: string): string => Buffer.from(JSON.stringify([digest, after])).toString('base64url');

const readToken = (token: string, digest: string): string | undefined => {
  if (token.length > TOKEN_CHARS_MAX || !/^[A-Za-z0-9_-]+$/.test(token)) return undefined;
  const parts = parseStrictJson(Buffer.from(token, 'base64url').toString('utf8'));
  if (!Array.isArray(parts) || parts.length !== 2 || parts[0] !== digest) return undefined;
  return typeof parts[1] === 'string' ? parts[1] : undefined;
};

export const readPage = (body: JsonObject, digest: string, pageMax: number): Read<Page> => {
  const page = Object.hasOwn(body, 'page') ? body['page'] : undefined;
  if (page === undefined) return { ok: true, value: { limit: pageMax } };
  if (!isJsonObject(page)) return wrong('page must be an object');
  const { token, limit = pageMax } = page;
  if (typeof limit !== 'number' || !Number.isSafeInteger(limit) || !(limit >= 1)) return wrong('page.limit must be a whole number from 1');
  const bounded = Math.min(limit, pageMax);
  if (token === undefined || token === '') return { ok: true, value: { limit: bounded } };
  const after = typeof token === 'string' ? readToken(token, digest) : undefined;
  return after === undefined ? wrong('page.token must be the next_token of the page before, with everything else unchanged') : { ok: true, value: { after, limit: bounded } };
};
