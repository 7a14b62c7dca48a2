/**
 * Selectors as operators write them, brought into the one form that decisions look up. A selector that can't match anything
 * because of its spelling is refused: a revocation must never seem to have worked.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts';
import {
  certificateBySerial, certificateBySpki, credentialByHash, credentialByJti, SELECTOR_KINDS,
  type Selector, type SelectorKind,
} from '../selector.ts';
import { isTrustDomain, parseSpiffeId } from '../spiffe-id.ts';
import { idFault, personFault, textFault } from './fields.ts';
import { workloadFault } from './grant-terms.ts';

export interface SelectorInput {
  readonly kind: SelectorKind;
  readonly value: JsonValue;
}

export type Canonical = { readonly ok: true; readonly selector: Selector } | { readonly ok: false; readonly path: string; readonly message: string };

const SHA256_HEX = /^[0-9a-f]{64}$/;
const sha256 = (value: JsonValue | undefined): string | undefined => {
  const hex = typeof value === 'string' ? value.toLowerCase() : '';
  return SHA256_HEX.test(hex) ? hex : undefined;
};

const plainText = (value: JsonValue | undefined): string | undefined => (typeof value === 'string' && textFault(value) === undefined ? value : undefined);

/** Hex in lower case, without colons, leading zero bytes dropped, an even number of digits: how certificates are looked up. */
export const canonicalSerial = (text: string): string | undefined => {
  const hex = text.replaceAll(':', '').replace(/^0x/i, '').toLowerCase();
  if (!/^[0-9a-f]{1,80}$/.test(hex)) return undefined;
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  return even.replace(/^(?:00)+(?=[0-9a-f]{2})/, '');
};

const exactly = (value: JsonObject, names: readonly string[]): boolean =>
  Object.keys(value).length === names.length && names.every((name) => Object.hasOwn(value, name));

const pairOf = (text: string, prefix: string): readonly [JsonValue | undefined, JsonValue | undefined] | undefined => {
  if (!text.startsWith(prefix)) return undefined;
  try {
    const value = JSON.parse(text.slice(prefix.length)) as JsonValue;
    return Array.isArray(value) && value.length === 2 ? [value[0] as JsonValue, value[1] as JsonValue] : undefined;
  } catch {
    return undefined;
  }
};

const byJti = (issuer: JsonValue | undefined, jti: JsonValue | undefined): string | undefined => {
  const names = [plainText(issuer), plainText(jti)];
  return names[0] === undefined || names[1] === undefined ? undefined : credentialByJti(names[0], names[1]);
};
const byHash = (hash: JsonValue | undefined): string | undefined => {
  const hex = sha256(hash);
  return hex === undefined ? undefined : credentialByHash(hex);
};
/** As RFC 2253 writes it (`openssl x509 -issuer -nameopt RFC2253`): no spaces around `,` and `=`, most specific first. */
const DISTINGUISHED_NAME = /^(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)=(?! )(?:[^,+\\]|\\.)*(?:[,+](?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)=(?! )(?:[^,+\\]|\\.)*)*$/;
const PRINTABLE = /^[\x20-\x7e]{1,2000}$/;

const bySerial = (issuer: JsonValue | undefined, serial: JsonValue | undefined): string | undefined => {
  const name = typeof issuer === 'string' && PRINTABLE.test(issuer) && DISTINGUISHED_NAME.test(issuer) ? issuer : undefined;
  const hex = typeof serial === 'string' ? canonicalSerial(serial) : undefined;
  return name === undefined || hex === undefined ? undefined : certificateBySerial(name, hex);
};
const bySpki = (hash: JsonValue | undefined): string | undefined => {
  const hex = sha256(hash);
  return hex === undefined ? undefined : certificateBySpki(hex);
};

const credential = (value: JsonValue): string | undefined => {
  if (typeof value === 'string') {
    const pair = pairOf(value, 'jti:');
    return pair === undefined ? (value.startsWith('sha256:') ? byHash(value.slice(7)) : undefined) : byJti(...pair);
  }
  if (!isJsonObject(value)) return undefined;
  if (exactly(value, ['issuer', 'jti'])) return byJti(value['issuer'], value['jti']);
  return exactly(value, ['sha256']) ? byHash(value['sha256']) : undefined;
};

const certificate = (value: JsonValue): string | undefined => {
  if (typeof value === 'string') {
    const pair = pairOf(value, 'serial:');
    return pair === undefined ? (value.startsWith('spki:') ? bySpki(value.slice(5)) : undefined) : bySerial(...pair);
  }
  if (!isJsonObject(value)) return undefined;
  if (exactly(value, ['issuer', 'serial'])) return bySerial(value['issuer'], value['serial']);
  return exactly(value, ['spki']) ? bySpki(value['spki']) : undefined;
};

const issuerFault = (value: string): string | undefined =>
  (value.startsWith('spiffe://') && isTrustDomain(value.slice('spiffe://'.length))) || (/^https?:\/\/[^\s?#]+$/.test(value) && value.length <= 500 && textFault(value) === undefined)
    ? undefined
    : 'must be an issuer exactly as its tokens name it, such as https://issuer.example, or spiffe://trust-domain';

type TextFault = (value: string, realm: string) => string | undefined;

const TEXT_KINDS: Readonly<Record<Exclude<SelectorKind, 'credential' | 'certificate'>, TextFault>> = {
  grant: idFault,
  task: idFault,
  entitlement: idFault,
  pep: idFault,
  owner: personFault,
  approver: personFault,
  'bundle-revision': (value) => textFault(value, 500),
  workload: workloadFault,
  'workload-prefix': (value) => (parseSpiffeId(value) === undefined ? 'must be the beginning of a SPIFFE ID in whole path segments, without a trailing slash' : undefined),
  'trust-domain': (value) => (isTrustDomain(value) ? undefined : 'must be a trust domain name such as prod.example'),
  issuer: issuerFault,
  realm: (value, realm) => (value === realm ? undefined : `must be the realm of this path, ${realm}`),
};

export const canonicalSelector = (input: SelectorInput, realm: string): Canonical => {
  const { kind, value } = input;
  const no = (message: string): Canonical => ({ ok: false, path: '/selector/value', message });
  if (!SELECTOR_KINDS.includes(kind)) return { ok: false, path: '/selector/kind', message: `must be one of ${SELECTOR_KINDS.join(', ')}` };
  if (kind === 'credential') {
    const text = credential(value);
    return text === undefined ? no('must be {issuer, jti}, or {sha256} with the SHA-256 (hex) of the JWS signing input') : { ok: true, selector: { kind, value: text } };
  }
  if (kind === 'certificate') {
    const text = certificate(value);
    return text === undefined ? no('must be {issuer, serial} with the issuer as RFC 2253 writes it (openssl x509 -issuer -nameopt RFC2253), or {spki} with the SHA-256 (hex) of the public key info') : { ok: true, selector: { kind, value: text } };
  }
  if (typeof value !== 'string') return no('must be a string');
  const fault = TEXT_KINDS[kind](value, realm);
  return fault === undefined ? { ok: true, selector: { kind, value } } : no(fault);
};
