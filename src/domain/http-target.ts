/**
 * Judges a raw HTTP request target. Guarantee: a target that is accepted has exactly one reading: every decoder that follows
 * RFC 3986, normalises, collapses slashes or decodes twice arrives at the path returned here, or at nothing. Everything else is
 * ambiguous. Not covered: what a backend does with the query (it is never part of a resource) or with case.
 */
import { SEGMENTS_MAX } from './scope.ts';

/** What a route may accept although it is ambiguous in general, because its backend is known to keep it apart. */
export interface TargetOptions {
  /** `%2F` stays one segment, written `%2F`. */
  readonly encodedSlash?: 'keep' | undefined;
  /** `%25` is written `%25`; one that hides a further escape (`%252e`) stays ambiguous. */
  readonly encodedPercent?: 'keep' | undefined;
  /** `%3F` and `%23` are written `%3F` and `%23`. */
  readonly encodedDelimiter?: 'keep' | undefined;
  /** `;` belongs to its segment; `%3B` is written `%3B`. */
  readonly semicolon?: 'keep' | undefined;
  /** Segments may end in a dot or a space, which some file systems drop. */
  readonly trailingDot?: 'keep' | undefined;
}

export interface CleanTarget {
  readonly ok: true;
  /** Canonical and decoded: `/` and the segments joined by `/`. The only `%` in it are those that an option kept. */
  readonly path: string;
  /** Decoded; never empty but for the last one, which stands for a trailing slash. `/` is `['']`. */
  readonly segments: readonly string[];
  /** The path as it was sent. */
  readonly rawPath: string;
  /** What follows the first `?`, as it was sent. */
  readonly query: string | undefined;
}

export type JudgedTarget = CleanTarget | { readonly ok: false; readonly reason: 'request.ambiguous' | 'request.too_large' };

/** Longest target, query included, in characters. */
export const TARGET_CHARS_MAX = 8_192;

const ambiguous = { ok: false, reason: 'request.ambiguous' } as const;
const tooLarge = { ok: false, reason: 'request.too_large' } as const;

// RFC 3986 `pchar` without `;` and `%`.
const PLAIN_SEGMENT = /^[A-Za-z0-9\-._~!$&'()*+,=:@]*$/;
const PLAIN_CHAR = /[A-Za-z0-9\-._~!$&'()*+,=:@]/;
const UNRESERVED = /[A-Za-z0-9\-._~]/;
const QUERY = /^[\x21\x22\x24-\x7e]*$/;
const ONLY_DOTS = /^\.+$/;
const NON_ASCII_ESCAPES = /(?:%[89A-Fa-f][0-9A-Fa-f])+/y;
const ESCAPE = /%[0-9A-Fa-f]{2}/y;
const ASCII = /[\u0021-\u007e]/;
/** Controls, and the format characters that make a line look like another one. */
const UNPRINTABLE = /[\u0080-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/;

/** Strict UTF-8 of a run of escapes; `undefined` for overlong forms, surrogates, truncated or non-normalised text. */
const decodeNonAscii = (escapes: string): string | undefined => {
  let text: string;
  try {
    text = decodeURIComponent(escapes);
  } catch {
    return undefined;
  }
  if (UNPRINTABLE.test(text) || text.normalize('NFC') !== text) return undefined;
  // Compatibility forms (a full-width slash or letter) become plain ASCII where a backend normalises to NFKC.
  return ASCII.test(text.normalize('NFKC')) ? undefined : text;
};

const keptEscape = (char: string, options: TargetOptions, follows: string): string | undefined => {
  if (char === '/') return options.encodedSlash === 'keep' ? '%2F' : undefined;
  if (char === ';') return options.semicolon === 'keep' ? '%3B' : undefined;
  if (char === '?') return options.encodedDelimiter === 'keep' ? '%3F' : undefined;
  if (char === '#') return options.encodedDelimiter === 'keep' ? '%23' : undefined;
  if (char === '%') return options.encodedPercent === 'keep' && !/^[0-9A-Fa-f%]/.test(follows) ? '%25' : undefined;
  return char;
};

const decodeSegment = (raw: string, options: TargetOptions): string | undefined => {
  let text = '';
  for (let at = 0; at < raw.length; ) {
    const char = raw.charAt(at);
    if (char !== '%') {
      if (!PLAIN_CHAR.test(char) && !(char === ';' && options.semicolon === 'keep')) return undefined;
      text += char;
      at += 1;
      continue;
    }
    NON_ASCII_ESCAPES.lastIndex = at;
    const run = NON_ASCII_ESCAPES.exec(raw);
    if (run !== null) {
      const decoded = decodeNonAscii(run[0]);
      if (decoded === undefined) return undefined;
      text += decoded;
      at += run[0].length;
      continue;
    }
    ESCAPE.lastIndex = at;
    if (!ESCAPE.test(raw)) return undefined;
    const code = Number.parseInt(raw.slice(at + 1, at + 3), 16);
    const decoded = String.fromCharCode(code);
    at += 3;
    if (code < 0x20 || code === 0x7f || decoded === '\\' || UNRESERVED.test(decoded)) return undefined;
    const kept = keptEscape(decoded, options, raw.slice(at));
    if (kept === undefined) return undefined;
    text += kept;
  }
  // A combining mark after a plain character composes across the run's border.
  return text.normalize('NFC') === text ? text : undefined;
};

/** Would some reader drop, resolve or shorten this segment? */
const isSlippery = (segment: string, options: TargetOptions): boolean => {
  if (ONLY_DOTS.test(segment)) return true;
  if (options.trailingDot !== 'keep' && /[. ]$/.test(segment)) return true;
  if (options.semicolon === 'keep') {
    // Servlet containers cut path parameters off before they resolve dots: `..;x` is `..`, `;x` is nothing.
    const stem = segment.split(/;|%3B/, 1)[0] as string;
    if (stem === '' || /^[.\s]+$/.test(stem)) return true;
  }
  return options.encodedSlash === 'keep' && segment.split('%2F').some((part) => /^\.+(?:;|%3B|$)/.test(part));
};

const NO_OPTIONS: TargetOptions = {};

/** Judges an origin-form target (`/path?query`) as it was sent. Absolute, authority and asterisk forms are ambiguous. */
export const judgeTarget = (target: string, options: TargetOptions = NO_OPTIONS): JudgedTarget => {
  if (target.length > TARGET_CHARS_MAX) return tooLarge;
  if (target.charCodeAt(0) !== 0x2f) return ambiguous;
  const mark = target.indexOf('?');
  const rawPath = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? undefined : target.slice(mark + 1);
  if (query !== undefined && !QUERY.test(query)) return ambiguous;
  const segments = rawPath.slice(1).split('/');
  // The host is a segment of the resource id, too.
  if (segments.length >= SEGMENTS_MAX) return tooLarge;
  for (let index = 0; index < segments.length; index += 1) {
    const raw = segments[index] as string;
    if (raw === '') {
      if (index !== segments.length - 1) return ambiguous;
      continue;
    }
    const segment = PLAIN_SEGMENT.test(raw) ? raw : decodeSegment(raw, options);
    if (segment === undefined || isSlippery(segment, options)) return ambiguous;
    segments[index] = segment;
  }
  return { ok: true, path: `/${segments.join('/')}`, segments, rawPath, query };
};
