/** IP addresses and CIDR blocks, strictly: dotted quads without leading zeros, RFC 4291 text for IPv6, no zones. */

interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

const parseV4 = (text: string): bigint | undefined => {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
};

const parseV6 = (text: string): bigint | undefined => {
  let source = text;
  const lastColon = source.lastIndexOf(':');
  if (source.includes('.')) {
    const tail = parseV4(source.slice(lastColon + 1));
    if (tail === undefined || lastColon < 0) return undefined;
    source = `${source.slice(0, lastColon + 1)}${(tail >> 16n).toString(16)}:${(tail & 0xffffn).toString(16)}`;
  }
  const halves = source.split('::');
  if (halves.length > 2) return undefined;
  const [left, right] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const head = left ?? [];
  const tail = right ?? [];
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  let value = 0n;
  for (const group of [...head, ...Array.from({ length: missing }, () => '0'), ...tail]) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
    value = (value << 16n) | BigInt(`0x${group}`);
  }
  return value;
};

const parseAddress = (text: string): Address | undefined => {
  if (text.length > 45) return undefined;
  if (!text.includes(':')) {
    const value = parseV4(text);
    return value === undefined ? undefined : { bits: 32, value };
  }
  const value = parseV6(text);
  if (value === undefined) return undefined;
  // An IPv4-mapped IPv6 address is the IPv4 address: dual-stack listeners report it so.
  return value >> 32n === 0xffffn ? { bits: 32, value: value & 0xffff_ffffn } : { bits: 128, value };
};

interface Block extends Address {
  readonly prefix: number;
}

const parseBlock = (text: string): Block | undefined => {
  const [address, length, ...more] = text.split('/');
  const parsed = parseAddress(address ?? '');
  if (parsed === undefined || length === undefined || more.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(length)) return undefined;
  const prefix = Number(length);
  if (prefix > parsed.bits) return undefined;
  const host = BigInt(parsed.bits - prefix);
  return (parsed.value >> host) << host === parsed.value ? { ...parsed, prefix } : undefined;
};

/** Is `text` a CIDR block whose host bits are zero, such as `10.0.0.0/8` or `2001:db8::/32`? */
export const isCidr = (text: string): boolean => parseBlock(text) !== undefined;

/** Does the block contain the address? False when either can't be read or their families differ. */
export const cidrContains = (cidr: string, address: string): boolean => {
  const block = parseBlock(cidr);
  const given = parseAddress(address);
  if (block === undefined || given === undefined || block.bits !== given.bits) return false;
  const host = BigInt(block.bits - block.prefix);
  return block.value >> host === given.value >> host;
};
