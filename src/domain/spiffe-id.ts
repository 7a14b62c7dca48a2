/**
 * SPIFFE IDs (spiffe/spiffe, standards/SPIFFE-ID.md): `spiffe://<trust domain>[/<segment>...]`. The only parser of them here.
 * It accepts the one spelling the standard allows and changes nothing, so that equal IDs are equal strings: no case folding,
 * no percent-decoding, no dot segments, no trailing slash, no userinfo, port, query or fragment, ASCII only.
 */
export interface SpiffeId {
  readonly trustDomain: string;
  /** `''`, or `/` and segments joined by `/`. */
  readonly path: string;
}

/** Bytes; all characters are ASCII. */
export const SPIFFE_ID_MAX = 2048;
export const TRUST_DOMAIN_MAX = 255;

const TRUST_DOMAIN = /^[a-z0-9._-]+$/;
const SEGMENT = /^[A-Za-z0-9._-]+$/;
const PREFIX = 'spiffe://';

export const isTrustDomain = (name: string): boolean => name.length <= TRUST_DOMAIN_MAX && TRUST_DOMAIN.test(name);

export const isSegment = (text: string): boolean => SEGMENT.test(text) && text !== '.' && text !== '..';

/** The parts of a well-formed SPIFFE ID, else `undefined`. */
export const parseSpiffeId = (text: string): SpiffeId | undefined => {
  if (text.length > SPIFFE_ID_MAX || !text.startsWith(PREFIX)) return undefined;
  const slash = text.indexOf('/', PREFIX.length);
  const trustDomain = slash === -1 ? text.slice(PREFIX.length) : text.slice(PREFIX.length, slash);
  if (!isTrustDomain(trustDomain)) return undefined;
  const path = slash === -1 ? '' : text.slice(slash);
  const segments = path === '' ? [] : path.slice(1).split('/');
  if (!segments.every(isSegment)) return undefined;
  return { trustDomain, path };
};
