/**
 * Is a webhook from whom it says? Decided over the bytes as they came, before they are read as anything, in constant time, and with no is
 * the answer to everything that is missing.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { readBounded } from '../bounded/file.ts';

export interface SecretSources {
  readonly env: (name: string) => string | undefined;
}
export type SecretAt = { readonly file: string } | { readonly env: string };

const SECRET_BYTES_MAX = 4_096;
/** Shorter ones could be guessed. */
const SECRET_CHARS_MIN = 16;
/** As Standard Webhooks recommends. */
export const TOLERANCE_S = 300;
const PREFIX = 'whsec_';

/** `undefined` when there is none that is long enough. */
export const readHookSecret = (at: SecretAt, { env }: SecretSources): string | undefined => {
  const read = 'file' in at ? readBounded(at.file, SECRET_BYTES_MAX) : { text: env(at.env) ?? '' };
  const text = 'fault' in read ? '' : read.text.trim();
  return text.length < SECRET_CHARS_MIN ? undefined : text;
};

const same = (given: string, expected: string): boolean => {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(given), hash(expected));
};

/** GitHub's `X-Hub-Signature-256`: `sha256=` and the HMAC of the body, hex. */
export const githubSigned = (headers: Headers, body: Buffer, secret: string): boolean =>
  same(headers.get('x-hub-signature-256') ?? '', `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`);

/** GitLab's `X-Gitlab-Token`: the token itself. */
export const gitlabSigned = (headers: Headers, _body: Buffer, secret: string): boolean => same(headers.get('x-gitlab-token') ?? '', secret);

const ID = /^[\x21-\x7e]{1,200}$/;

/** Standard Webhooks: over id, time and body; several signatures may stand beside one another while a key is rotated. */
export const standardSigned = (headers: Headers, body: Buffer, secret: string, nowMs: number): boolean => {
  const id = headers.get('webhook-id') ?? '';
  const timestamp = headers.get('webhook-timestamp') ?? '';
  if (!ID.test(id) || !/^\d{1,12}$/.test(timestamp)) return false;
  if (!(Math.abs(nowMs / 1_000 - Number(timestamp)) <= TOLERANCE_S)) return false;
  const key = secret.startsWith(PREFIX) ? Buffer.from(secret.slice(PREFIX.length), 'base64') : Buffer.from(secret, 'utf8');
  if (key.length < SECRET_CHARS_MIN) return false;
  const expected = `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`;
  return (headers.get('webhook-signature') ?? '').split(' ').slice(0, 8).some((given) => same(given, expected));
};
