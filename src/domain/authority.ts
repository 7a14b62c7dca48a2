/** Canonical form of an HTTP authority, so that one host has one name in resource ids. */
export const SCHEMES = ['http', 'https', 'ws', 'wss'] as const;
export type Scheme = (typeof SCHEMES)[number];

export const parseScheme = (text: string): Scheme | undefined => SCHEMES.find((scheme) => scheme === text.toLowerCase());

const HOST_CHARS_MAX = 253;
const LABELS = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;
const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);
/** Readers of the URL standard take such a host for an IPv4 address in some notation. */
const ENDS_IN_NUMBER = /(?:^|\.)(?:0x[0-9a-f]*|[0-9]+)$/;
const AUTHORITY = /^(\[[0-9A-Fa-f:]{2,39}\]|[^[\]:@/?#\\%\s]+)(?::([1-9][0-9]{0,4}))?$/;

/** Groups of an IPv6 address without dotted part or zone; `undefined` when it is none. */
const ipv6Groups = (text: string): readonly number[] | undefined => {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':'))) as [string[], string[] | undefined];
  const given = [...head, ...(tail ?? [])];
  if (!given.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  if (tail === undefined ? given.length !== 8 : given.length > 7) return undefined;
  const zeros = Array.from({ length: 8 - given.length }, () => '0');
  return [...head, ...zeros, ...(tail ?? [])].map((group) => Number.parseInt(group, 16));
};

/** RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as `::`. */
const formatIpv6 = (groups: readonly number[]): string => {
  let start = -1;
  let length = 1;
  for (let from = 0; from < 8; from += 1) {
    let until = from;
    while (groups[until] === 0) until += 1;
    if (until - from > length) [start, length] = [from, until - from];
  }
  const hex = groups.map((group) => group.toString(16));
  return start === -1 ? hex.join(':') : `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
};

/**
 * Lower case, without the scheme's default port and without a trailing dot: `Shop.Local.:443` under `https` is `shop.local`.
 * `undefined` for anything but a DNS name, a plain IPv4 address or a bracketed IPv6 address, with an optional port; user
 * information, percent escapes, non-ASCII and numeric notations such as `127.1` included.
 */
export const canonicalAuthority = (authority: string, scheme: Scheme): string | undefined => {
  const match = AUTHORITY.exec(authority);
  if (match === null) return undefined;
  const port = match[2] === undefined ? undefined : Number(match[2]);
  if (port !== undefined && port > 65_535) return undefined;
  let host = (match[1] as string).toLowerCase();
  if (host.startsWith('[')) {
    const groups = ipv6Groups(host.slice(1, -1));
    if (groups === undefined) return undefined;
    host = `[${formatIpv6(groups)}]`;
  } else {
    if (host.endsWith('.')) host = host.slice(0, -1);
    if (host.length > HOST_CHARS_MAX || !LABELS.test(host)) return undefined;
    if (ENDS_IN_NUMBER.test(host) && !IPV4.test(host)) return undefined;
  }
  const usual = scheme === 'http' || scheme === 'ws' ? 80 : 443;
  return port === undefined || port === usual ? host : `${host}:${port}`;
};
