/** Digests, on Node's own crypto. Certificates and keys are not served here. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { string } from './operands.ts';
import type { Builtin, Builtins } from './builtin.ts';

const digest =
  (algorithm: string): Builtin =>
  ([text]) =>
    createHash(algorithm).update(string(text)).digest('hex');

const hmac =
  (algorithm: string): Builtin =>
  ([message, key]) =>
    createHmac(algorithm, string(key)).update(string(message)).digest('hex');

const equalMacs = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
};

export const cryptoBuiltins: Builtins = {
  'crypto.md5': digest('md5'),
  'crypto.sha1': digest('sha1'),
  'crypto.sha256': digest('sha256'),
  'crypto.hmac.md5': hmac('md5'),
  'crypto.hmac.sha1': hmac('sha1'),
  'crypto.hmac.sha256': hmac('sha256'),
  'crypto.hmac.sha512': hmac('sha512'),
  'crypto.hmac.equal': ([a, b]) => equalMacs(string(a), string(b)),
};
