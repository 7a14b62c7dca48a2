/**
 * Envoy's `x-forwarded-client-cert`: elements by `,`, pairs by `;`, values quoted when they hold `,` `;` or `=`, with `\"` for a
 * quote. Read strictly: an unknown key, a repeated one (but `DNS`), a stray character or one element too many refuses the
 * whole header. To be called only with what an authenticated gateway sent that is configured to send it.
 */
import type { Peer } from '../decision/evaluation.ts';
import { XFCC_CHARS_MAX } from './limits.ts';

export interface XfccOptions {
  /** Elements the header may have; default 1. */
  readonly elementsMax?: number;
  /** Of several: `first` is the original client, `last` (default) the peer of the gateway that wrote the last one. */
  readonly take?: 'first' | 'last';
}

const PAIR = /([A-Za-z]{1,16})=(?:"((?:[^"\\]|\\.)*)"|([^",;=\\]*))/y;
const PRINTABLE = /^[\u0020-\u007e]+$/;
const KEYS: ReadonlySet<string> = new Set(['by', 'hash', 'cert', 'chain', 'subject', 'uri', 'dns']);
const SHA256_HEX = /^[0-9a-f]{64}$/;

type Element = ReadonlyMap<string, readonly string[]>;

const elementsOf = (header: string): readonly Element[] | undefined => {
  const elements = [new Map<string, string[]>()];
  let at = 0;
  for (;;) {
    PAIR.lastIndex = at;
    const match = PAIR.exec(header);
    if (match === null) return undefined;
    const key = (match[1] ?? '').toLowerCase();
    const value = match[2] === undefined ? (match[3] ?? '') : match[2].replaceAll('\\"', '"');
    const element = elements[elements.length - 1] as Map<string, string[]>;
    if (!KEYS.has(key) || (element.has(key) && key !== 'dns')) return undefined;
    element.set(key, [...(element.get(key) ?? []), value]);
    at = PAIR.lastIndex;
    if (at === header.length) return elements;
    if (header[at] === ',') elements.push(new Map<string, string[]>());
    else if (header[at] !== ';') return undefined;
    at += 1;
  }
};

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
};

/** The peer that the header names, or `undefined` when it can't be read in exactly one way. */
export const parseXfcc = (header: string, { elementsMax = 1, take = 'last' }: XfccOptions = {}): Peer | undefined => {
  if (header.length > XFCC_CHARS_MAX || !PRINTABLE.test(header)) return undefined;
  const elements = elementsOf(header);
  if (elements === undefined || elements.length > elementsMax) return undefined;
  const element = take === 'first' ? elements[0] : elements[elements.length - 1];
  const one = (key: string): string | undefined => element?.get(key)?.[0] || undefined;
  const principal = one('uri') ?? one('dns') ?? one('subject');
  const hash = one('hash')?.toLowerCase();
  const cert = one('cert');
  const pem = cert === undefined ? undefined : decoded(cert);
  if (principal === undefined || (hash !== undefined && !SHA256_HEX.test(hash)) || (cert !== undefined && pem === undefined)) return undefined;
  return {
    principal,
    ...(pem === undefined ? {} : { certificatePem: pem }),
    ...(hash === undefined ? {} : { certificateSha256: hash }),
  };
};
