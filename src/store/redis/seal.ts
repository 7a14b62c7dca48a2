/**
 * Says that a text was written by someone who holds the store's integrity key, for this place and no other. Without a key a seal
 * says nothing. It does not say that the text is the newest one of its place.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

export interface Seal {
  /** The sealed text of `text`, for `field` of what `purpose` names. */
  close(purpose: string, field: string, text: string): string;
  /** The text, or `undefined` when this is not what was sealed for this place. */
  open(purpose: string, field: string, sealed: string): string | undefined;
}

const PLAIN = '-';
const KEYED = '+';
const MAC_CHARS = 43;

/** One that can be replaced while it is in use. */
export const replaceable = (seal: Seal): Seal & { replace(by: Seal): void } => {
  let current = seal;
  return {
    close: (purpose, field, text) => current.close(purpose, field, text),
    open: (purpose, field, sealed) => current.open(purpose, field, sealed),
    replace: (by) => { current = by; },
  };
};

const PLAIN_SEAL: Seal = {
  close: (_purpose, _field, text) => `${PLAIN}${text}`,
  open: (_purpose, _field, sealed) => (sealed[0] === PLAIN ? sealed.slice(1) : undefined),
};

/**
 * `keys`: of at least 32 bytes each; none: seals that say nothing. The first one seals, what any of them sealed is opened. A keyed seal refuses
 * what was written without one of its keys.
 */
export const createSeal = (...keys: readonly Uint8Array[]): Seal => {
  const [first] = keys;
  if (first === undefined) return PLAIN_SEAL;
  const mac = (purpose: string, field: string, text: string, key: Uint8Array = first): Buffer =>
    createHmac('sha256', key).update(`${purpose.length}:${purpose}${field.length}:${field}${text}`, 'utf16le').digest();
  return {
    close: (purpose, field, text) => `${KEYED}${mac(purpose, field, text).toString('base64url')}${text}`,
    open: (purpose, field, sealed) => {
      if (sealed[0] !== KEYED || sealed.length <= MAC_CHARS) return undefined;
      const text = sealed.slice(1 + MAC_CHARS);
      const given = Buffer.from(sealed.slice(1, 1 + MAC_CHARS), 'base64url');
      const sealedIt = (key: Uint8Array): boolean => {
        const right = mac(purpose, field, text, key);
        return given.length === right.length && timingSafeEqual(given, right);
      };
      return keys.some(sealedIt) ? text : undefined;
    },
  };
};
