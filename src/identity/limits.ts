/** Named caps on what comes from outside. */
export const TOKEN_CHARS_MAX = 16_384;
export const HEADER_CHARS_MAX = 4_096;
export const HEADER_MEMBERS_MAX = 32;
export const CLAIMS_MEMBERS_MAX = 256;
export const KID_CHARS_MAX = 1_024;
export const JTI_CHARS_MAX = 1_024;
export const DPOP_JTI_CHARS_MAX = 256;
export const AUDIENCES_MAX = 64;
/** Actors in one token (`act` in `act`). */
export const ACTORS_MAX = 4;
export const JWKS_BYTES_MAX = 1_048_576;
export const JWKS_KEYS_MAX = 100;
export const RSA_BITS_MIN = 2_048;
export const RSA_BITS_MAX = 8_192;
/** Together, in characters, of the remembered tokens; what they hold is of the same order. */
export const REMEMBERED_CHARS_MAX = 16 * 1_048_576;
export const XFCC_CHARS_MAX = 65_536;
export const CERTIFICATE_CHARS_MAX = 65_536;
export const REMEMBERED_CERTIFICATES_MAX = 10_000;

export const DEVELOPMENT_TRUST_DOMAIN = 'dev.local';
