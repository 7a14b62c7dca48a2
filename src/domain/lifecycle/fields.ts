/** Checks of single fields. Each answers with what is wrong, as the end of a sentence that begins with the field's name. */

export const TEXT_CHARS_MAX = 2_000;
export const REFERENCE_CHARS_MAX = 500;
export const ID_CHARS_MAX = 128;
export const WORKLOAD_CHARS_MAX = 2_048;

// Control characters and bidirectional controls would let a text rewrite the line of a log or a terminal it is shown on.
// eslint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** One line for people: not blank, printable, of bounded length. */
export const textFault = (value: string, charsMax: number = TEXT_CHARS_MAX): string | undefined => {
  if (value.trim() === '') return 'must not be blank';
  if (value.length > charsMax) return `must have at most ${charsMax} characters`;
  if (UNPRINTABLE.test(value) || LONE_SURROGATE.test(value)) return 'must not contain control characters';
  return undefined;
};

const ID = /^[A-Za-z0-9][A-Za-z0-9._:-]*$/;
export const idFault = (value: string): string | undefined =>
  value.length <= ID_CHARS_MAX && ID.test(value) ? undefined : `must be 1 to ${ID_CHARS_MAX} characters of A-Z a-z 0-9 . _ : - and begin with a letter or digit`;

const PERSON = /^(user|team):[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$/;
export const isPerson = (value: string): boolean => PERSON.test(value);
export const personFault = (value: string): string | undefined =>
  isPerson(value) ? undefined : 'must be a person or team such as user:alice or team:shop';

const OIDC_HOST = /^oidc:(?:(?:[a-z0-9-]+\.)*[a-z0-9-]+|\[[0-9a-f:.]+\])(?::[1-9]\d{0,4})?(?=\/)/;
const OIDC_PATH = /^(?:\/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})+)+$/;
const UNRESERVED = /[A-Za-z0-9\-_.!~*'()]/;
/** Has it a percent-encoding of what `encodeURIComponent` never encodes? That would be a second spelling of one id. */
const encodedNeedlessly = (path: string): boolean =>
  [...path.matchAll(/%([0-9A-F]{2})/g)].some(([, hex]) => UNRESERVED.test(String.fromCharCode(Number.parseInt(hex ?? '', 16))));
const DOT_SEGMENT = /\/\.{1,2}(?:\/|$)/;

/** An id built from an issuer's verified claims (identity's templates): host and path of the issuer, then encoded claims. */
export const isOidcId = (value: string): boolean => {
  const host = OIDC_HOST.exec(value)?.[0];
  if (host === undefined || value.length > WORKLOAD_CHARS_MAX) return false;
  const path = value.slice(host.length);
  return OIDC_PATH.test(path) && !DOT_SEGMENT.test(path) && !encodedNeedlessly(path);
};

/** Collects faults of several fields. */
export const faultsOf = (checks: Readonly<Record<string, string | undefined>>): { path: string; message: string }[] =>
  Object.entries(checks).flatMap(([path, message]) => (message === undefined ? [] : [{ path, message }]));
