/**
 * Names of records that a record refers to, as they are kept on the server: most are a usual beginning and a text that stands in the
 * record's own body, so place and length there say them. The scripts read them back (`stored.ts`) without understanding the body.
 *
 * A name is `code offset(2) length(1)`, or `! length(2) bytes`. Numbers are digits of base 64 from `0`; lengths and places count bytes. The list of beginnings is part of the
 * store's format: entries are only ever added at its end, 70 at most.
 */
import { StoreUnavailable } from '../port.ts';

export const BEGINNINGS = [
  '', 'spiffe://', 'ending/.grant:', 'ending/.task:', 'ending/.entitlement:', 'ending/.owner:', 'ending/.owner:user:', 'ending/.owner:team:', 'ending/.approver:', 'ending/.approver:user:',
  'ending/.bundle-revision:', 'task/.', 'grant/.', 'uses/.', 'review/.', 'recertification/.', 'ending/.workload:', 'ending/.workload:spiffe://', 'ending/.workload-prefix:', 'ending/.workload-prefix:spiffe://',
  'ending/.trust-domain:', 'ending/.issuer:',
] as const;

export const BASE = 64;
export const ZERO = 48;
export const LITERAL = '!';
const LENGTH_MAX = BASE - 1;
const OFFSET_MAX = BASE * BASE - 1;

const digit = (value: number): string => String.fromCharCode(ZERO + value);
const two = (value: number): string => `${digit(Math.floor(value / BASE))}${digit(value % BASE)}`;

/** The longest ones first. */
const BY_LENGTH = BEGINNINGS.map((beginning, code) => ({ beginning, code })).sort((a, b) => b.beginning.length - a.beginning.length);

/** `undefined`: it can't be said by places in this body. */
const placed = (name: string, body: Buffer): string | undefined => {
  for (const { beginning, code } of BY_LENGTH) {
    if (!name.startsWith(beginning)) continue;
    const rest = Buffer.from(name.slice(beginning.length), 'utf8');
    const at = rest.length > 0 && rest.length <= LENGTH_MAX ? body.indexOf(rest) : -1;
    if (at >= 0 && at <= OFFSET_MAX) return `${digit(code)}${two(at)}${digit(rest.length)}`;
  }
  return undefined;
};

/** `undefined` where a name is too long to be packed. */
export const packNames = (names: readonly string[], body: string): string | undefined => {
  const bytes = Buffer.from(body, 'utf8');
  let packed = '';
  for (const name of names) {
    const length = Buffer.byteLength(name, 'utf8');
    const known = placed(name, bytes);
    if (known === undefined && length > OFFSET_MAX) return undefined;
    packed += known ?? `${LITERAL}${two(length)}${name}`;
  }
  return packed;
};

/** What `packNames` packed, by the same body. Throws `StoreUnavailable` for what this version does not know. */
export const unpackNames = (packed: Buffer, body: Buffer): readonly string[] => {
  const digitAt = (at: number): number => (packed[at] ?? Number.NaN) - ZERO;
  const unknown = (): StoreUnavailable => new StoreUnavailable('what a record refers to is damaged, forged or not of a known format; restore the store from a backup');
  const part = (of: Buffer, from: number, length: number): string => {
    if (!(from >= 0 && length >= 0 && from + length <= of.length)) throw unknown();
    return of.toString('utf8', from, from + length);
  };
  const names: string[] = [];
  for (let at = 0; at < packed.length; ) {
    const place = digitAt(at + 1) * BASE + digitAt(at + 2);
    if (packed[at] === LITERAL.charCodeAt(0)) {
      names.push(part(packed, at + 3, place));
      at += 3 + place;
    } else {
      const beginning = BEGINNINGS[digitAt(at)];
      if (beginning === undefined) throw unknown();
      names.push(`${beginning}${part(body, place, digitAt(at + 3))}`);
      at += 4;
    }
  }
  return names;
};
