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
/** Trust domain and path; `.` and `..` are no segments. */
const ID = /^spiffe:\/\/([a-z0-9._-]+)((?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)*)$/;

export const isTrustDomain = (name: string): boolean => name.length <= TRUST_DOMAIN_MAX && TRUST_DOMAIN.test(name);

export const isSegment = (text: string): boolean => SEGMENT.test(text) && text !== '.' && text !== '..';

/** The parts of a well-formed SPIFFE ID, else `undefined`. */
export const parseSpiffeId = (text: string): SpiffeId | undefined => {
  if (text.length > SPIFFE_ID_MAX) return undefined;
  const [, trustDomain, path] = ID.exec(text) ?? [];
  if (trustDomain === undefined || path === undefined || trustDomain.length > TRUST_DOMAIN_MAX) return undefined;
  return { trustDomain, path };
};
