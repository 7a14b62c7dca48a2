/** `net.cidr_*`, with addresses as Go's net package reads them. */
import type { RegoValue } from '../rego/value.ts';
import { notServed } from '../rego/not-served.ts';
import { collection, fail, isArray, isObject, isSet, string } from './operands.ts';
import type { Builtins } from './builtin.ts';

interface Address {
  /** 32, or 128 also for `::ffff:1.2.3.4`. */
  readonly bits: 32 | 128;
  readonly value: bigint;
}

interface Network extends Address {
  readonly prefix: number;
}

const ADDRESSES_MAX = 65_536;
const MAPPED = 0xffffn << 32n;

const ipv4 = (text: string): bigint | undefined => {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)) return undefined;
  return parts.reduce((value, part) => (value << 8n) | BigInt(part), 0n);
};

const ipv6 = (text: string): bigint | undefined => {
  const dotted = /^(.*:)([0-9]+\.[0-9.]+)$/.exec(text);
  const tail = dotted === null ? undefined : ipv4(dotted[2] ?? '');
  if (dotted !== null && tail === undefined) return undefined;
  const body = tail === undefined ? text : `${dotted?.[1] ?? ''}${(tail >> 16n).toString(16)}:${(tail & 0xffffn).toString(16)}`;
  const halves = body.split('::');
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const [head = [], rest = []] = groups;
  const missing = 8 - head.length - rest.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...head, ...Array.from({ length: missing }, () => '0'), ...rest];
  if (!all.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return all.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
};

const addressOf = (text: string): Address | undefined => {
  const short = ipv4(text);
  if (short !== undefined) return { bits: 32, value: short };
  const long = text.includes(':') ? ipv6(text) : undefined;
  return long === undefined ? undefined : { bits: 128, value: long };
};

const hostBits = ({ bits, prefix }: Network): bigint => (1n << BigInt(bits - prefix)) - 1n;

const networkOf = (text: string): Network => {
  const at = text.indexOf('/');
  const address = at === -1 ? undefined : addressOf(text.slice(0, at));
  const digits = text.slice(at + 1);
  if (address === undefined || !/^[0-9]{1,7}$/.test(digits) || Number(digits) > address.bits) return fail('not a CIDR');
  const network = { ...address, prefix: Number(digits) };
  return { ...network, value: address.value & ~hostBits(network) };
};

/** Go takes `::ffff:a.b.c.d` for IPv4 wherever it compares. */
const unmapped = <T extends Address>(address: T): T => {
  if (address.bits === 32 || address.value >> 32n !== 0xffffn) return address;
  const prefix = 'prefix' in address ? { prefix: Math.max(Number(address.prefix) - 96, 0) } : {};
  return { ...address, ...prefix, bits: 32, value: address.value & 0xffffffffn };
};

const holds = (network: Network, address: Address): boolean => {
  const [outer, inner] = [unmapped(network), unmapped(address)];
  return outer.bits === inner.bits && (inner.value & ~hostBits(outer)) === outer.value;
};

const contains = (network: Network, text: string): boolean => {
  const address = addressOf(text);
  if (address !== undefined) return holds(network, address);
  const inner = networkOf(text);
  const isPlain = (each: Network): boolean => unmapped(each).bits === 128;
  if (isPlain(network) && isPlain(inner)) return network.prefix <= inner.prefix && (inner.value & ~hostBits(network)) === network.value;
  return holds(network, inner) && holds(network, { bits: inner.bits, value: inner.value | hostBits(inner) });
};

/** RFC 5952. */
const addressText = (address: Address): string => {
  const { bits, value } = unmapped(address);
  if (bits === 32) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(16 * (7 - index))) & 0xffffn).toString(16));
  let best = { from: 0, length: 1 };
  for (let from = 0; from < 8; from += 1) {
    let length = 0;
    while (groups[from + length] === '0') length += 1;
    if (length > best.length) best = { from, length };
  }
  return best.length < 2 ? groups.join(':') : `${groups.slice(0, best.from).join(':')}::${groups.slice(best.from + best.length).join(':')}`;
};

const expand = (text: string): ReadonlySet<string> => {
  const network = networkOf(text);
  const count = hostBits(network) + 1n;
  if (count > BigInt(ADDRESSES_MAX)) return notServed(`more than ${ADDRESSES_MAX} addresses`);
  return new Set(Array.from({ length: Number(count) }, (_, offset) => addressText({ bits: network.bits, value: network.value + BigInt(offset) })));
};

interface Range {
  readonly bits: 32 | 128;
  readonly first: bigint;
  readonly last: bigint;
  /** As given, while it was not merged. */
  readonly text: string | undefined;
}

/** Networks that cover a range exactly, the fewest. */
const networksOf = ({ bits, first, last }: Range): readonly string[] => {
  const found: string[] = [];
  for (let at = first; at <= last; ) {
    let size = 0n;
    while (size < BigInt(bits) && (at >> size) % 2n === 0n && at + (2n << size) - 1n <= last) size += 1n;
    found.push(`${addressText({ bits, value: at })}/${bits - Number(size)}`);
    at += 1n << size;
  }
  return found;
};

/** A bare IPv4 address stands for the network of its class, as Go's DefaultMask says. */
const rangeOf = (text: string): Range => {
  const address = addressOf(text);
  if (address !== undefined) {
    const short = unmapped(address);
    if (short.bits !== 32) return fail('an IPv6 address needs a prefix');
    const top = short.value >> 24n;
    const prefix = top < 0x80n ? 8 : top < 0xc0n ? 16 : 24;
    const host = hostBits({ ...short, prefix });
    return { bits: 32, first: short.value & ~host, last: short.value | host, text: `${addressText(short)}/${prefix}` };
  }
  const network = networkOf(text);
  if (network.bits === 128 && unmapped(network).bits === 32) return notServed('merging a mapped IPv4 network');
  return { bits: network.bits, first: network.value, last: network.value | hostBits(network), text: `${addressText(network)}/${network.prefix}` };
};

/** In one space of 128 bits, where IPv4 lies in `::ffff:0:0/96`. */
const wide = ({ bits }: Range, value: bigint): bigint => (bits === 32 ? MAPPED | value : value);

const before = (range: Range): bigint => (range.first === 0n ? wide(range, 0n) : wide(range, range.first - 1n));

const order = (a: bigint, b: bigint): number => (a > b ? 1 : a < b ? -1 : 0);

const merge = (texts: readonly string[]): ReadonlySet<string> => {
  const ranges = texts.map(rangeOf).toSorted((a, b) => order(wide(a, a.last), wide(b, b.last)) || order(wide(a, a.first), wide(b, b.first)));
  for (let at = ranges.length - 1; at > 0; at -= 1) {
    const [low, high] = [ranges[at - 1] as Range, ranges[at] as Range];
    if (before(high) > wide(low, low.last)) continue;
    if (low.bits !== high.bits) return notServed('merging networks of both families');
    ranges.splice(at - 1, 2, { bits: high.bits, first: low.first < high.first ? low.first : high.first, last: high.last, text: undefined });
  }
  return new Set(ranges.flatMap((range) => (range.text === undefined ? networksOf(range) : [range.text])));
};

/** Every member of an operand with what stands for it in the answer. */
const indexed = (value: RegoValue): readonly (readonly [string, RegoValue])[] => {
  const text = (item: RegoValue): string => string(isArray(item) ? item[0] : item);
  if (typeof value === 'string') return [[value, value]];
  if (isArray(value)) return value.map((item, index) => [text(item), index]);
  if (isSet(value)) return [...value].map((item) => [text(item), item]);
  return isObject(value) ? [...value].map(([key, item]) => [text(item), key]) : [];
};

const containsMatches = (networks: RegoValue, addresses: RegoValue): RegoValue => {
  const found = new Set<RegoValue>();
  for (const [cidr, outer] of indexed(networks)) {
    for (const [text, inner] of indexed(addresses)) if (contains(networkOf(cidr), text)) found.add([outer, inner]);
  }
  return found;
};

const isCidr = (text: string): boolean => {
  try {
    networkOf(text);
    return true;
  } catch {
    return false;
  }
};

export const netBuiltins: Builtins = {
  'net.cidr_contains_matches': ([networks, addresses]) => containsMatches(networks as RegoValue, addresses as RegoValue),
  'net.cidr_expand': ([text]) => expand(string(text)),
  'net.cidr_is_valid': ([text]) => typeof text === 'string' && isCidr(text),
  'net.cidr_merge': ([texts]) => merge(collection(texts).map(string)),
};
