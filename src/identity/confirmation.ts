/** `cnf` of a verified token: whose key must be proved at each request (RFC 7800, 8705, 9449). A member not known here is not waived. */
import type { JsonValue } from '../domain/json.ts';
import { isJsonObject } from '../domain/json.ts';

export interface Confirmation {
  readonly x5t?: string;
  readonly jkt?: string;
}

const SHA256_BASE64URL = /^[A-Za-z0-9_-]{43}$/;

const sha256 = (value: JsonValue | undefined): value is string => typeof value === 'string' && SHA256_BASE64URL.test(value);

export const confirmationOf = (cnf: JsonValue | undefined): Confirmation | 'unsupported' => {
  if (!isJsonObject(cnf)) return 'unsupported';
  const { 'x5t#S256': x5t, jkt, ...others } = cnf;
  if (Object.keys(others).length > 0 || (x5t === undefined && jkt === undefined)) return 'unsupported';
  if ((x5t !== undefined && !sha256(x5t)) || (jkt !== undefined && !sha256(jkt))) return 'unsupported';
  return { ...(x5t === undefined ? {} : { x5t }), ...(jkt === undefined ? {} : { jkt }) };
};
