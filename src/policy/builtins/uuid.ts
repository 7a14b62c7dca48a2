/** `uuid.parse`. New UUIDs are random and not served. */
import { fail, string } from './operands.ts';
import type { RegoValue } from '../rego/value.ts';
import type { Builtins } from './builtin.ts';

/** 100 ns steps from the Gregorian reform, where versions 1 and 2 begin to count, to the Unix epoch. */
const GREGORIAN_START = 122_192_928_000_000_000n;
const DOMAINS = ['Person', 'Group', 'Org'];

const bytesOf = (text: string): Buffer => {
  // Two more than 36 stand for braces; which two is not looked at.
  const length = Buffer.byteLength(text);
  const hex = '[0-9a-fA-F]';
  let body = text;
  if (length === 45 && /^urn:uuid:/i.test(text)) body = text.slice(9);
  else if (length === 38 && /^[\0-\x7f]/.test(text)) body = text.slice(1, 37);
  else if (length !== 36 && length !== 32) return fail('not a UUID');
  const shape = body.length === 32 ? `^${hex}{32}$` : `^${hex}{8}-${hex}{4}-${hex}{4}-${hex}{4}-${hex}{12}$`;
  return new RegExp(shape).test(body) ? Buffer.from(body.replaceAll('-', ''), 'hex') : fail('not a UUID');
};

const variantOf = (byte: number): string => {
  if ((byte & 0xc0) === 0x80) return 'RFC4122';
  if ((byte & 0xe0) === 0xc0) return 'Microsoft';
  return (byte & 0xe0) === 0xe0 ? 'Future' : 'Reserved';
};

const unixNs = (bytes: Buffer): bigint => {
  const steps = BigInt(bytes.readUInt32BE(0)) | (BigInt(bytes.readUInt16BE(4)) << 32n) | (BigInt(bytes.readUInt16BE(6) & 0xfff) << 48n);
  // Seconds and the rest, both cut towards zero, as 64-bit integers.
  return BigInt.asIntN(64, (steps - GREGORIAN_START) * 100n);
};

const macKind = (byte: number): string => `${(byte & 2) === 2 ? 'local' : 'global'}:${(byte & 1) === 1 ? 'multicast' : 'unicast'}`;

const parse = (text: string): RegoValue => {
  const bytes = bytesOf(text);
  const version = bytes.readUInt8(6) >> 4;
  const fields = new Map<string, RegoValue>([
    ['version', version],
    ['variant', variantOf(bytes.readUInt8(8))],
  ]);
  if (version === 1 || version === 2) {
    fields.set('time', unixNs(bytes));
    fields.set('nodeid', (bytes.toString('hex', 10).match(/../g) ?? []).join('-'));
    fields.set('macvariables', macKind(bytes.readUInt8(10)));
    fields.set('clocksequence', bytes.readUInt16BE(8) & 0x3fff);
  }
  if (version === 2) {
    const domain = bytes.readUInt8(9);
    fields.set('id', bytes.readUInt32BE(0));
    fields.set('domain', DOMAINS[domain] ?? `Domain${domain}`);
  }
  return fields;
};

export const uuidBuiltins: Builtins = { 'uuid.parse': ([text]) => parse(string(text)) };
