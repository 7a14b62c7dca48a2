/** `semver.*` as OPA's own parser has it: an optional leading `v`, numbers of 64 bits. */
import { notServed } from '../rego/not-served.ts';
import { fail, isInt64, string } from './operands.ts';
import type { Builtins } from './builtin.ts';

interface Version {
  readonly numbers: readonly bigint[];
  readonly preRelease: string;
}

const IDENTIFIERS = /^[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*$/;
const NUMBER = /^(?:0|[1-9][0-9]*)$/;
const INT64_MAX = 2n ** 63n - 1n;

const cut = (text: string, mark: string): readonly [string, string | undefined] => {
  const at = text.indexOf(mark);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
};

const parse = (text: string): Version => {
  const [rest, metadata] = cut(text.replace(/^v/, ''), '+');
  if (metadata !== undefined && !IDENTIFIERS.test(metadata)) return fail('bad metadata');
  const [core, preRelease] = cut(rest, '-');
  if (preRelease !== undefined && (!IDENTIFIERS.test(preRelease) || preRelease.split('.').some((id) => /^0[0-9]+$/.test(id)))) return fail('bad pre-release');
  const parts = core.split('.');
  if (parts.length !== 3 || !parts.every((part) => NUMBER.test(part) && isInt64(BigInt(part)))) return fail('bad version');
  return { numbers: parts.map(BigInt), preRelease: preRelease ?? '' };
};

const order = <T>(a: T, b: T): number => (a > b ? 1 : a < b ? -1 : 0);

/** A number too large for Go's int counts as the largest. */
const clamp = (digits: string): bigint => (isInt64(BigInt(digits)) ? BigInt(digits) : INT64_MAX);

const compareIdentifiers = (a: string, b: string): number => {
  const [left, right] = [/^[0-9]+$/.test(a), /^[0-9]+$/.test(b)];
  if (left !== right) return left ? -1 : 1;
  return left ? order(clamp(a), clamp(b)) : order(a, b);
};

const comparePreReleases = (a: string, b: string): number => {
  if (a === b) return 0;
  if (a === '' || b === '') return a === '' ? 1 : -1;
  const [left, right] = [a.split('.'), b.split('.')];
  for (let at = 0; at < Math.min(left.length, right.length); at += 1) {
    const found = compareIdentifiers(left[at] as string, right[at] as string);
    if (found !== 0) return found;
  }
  // Two that differ only beyond 64 bits would be equal here; Go would not end.
  return order(left.length, right.length) || notServed('versions that differ beyond 64 bits');
};

const compare = (a: Version, b: Version): number => {
  for (const [at, number] of a.numbers.entries()) {
    const found = order(number, b.numbers[at] as bigint);
    if (found !== 0) return found;
  }
  return comparePreReleases(a.preRelease, b.preRelease);
};

const isValid = (text: string): boolean => {
  try {
    parse(text);
    return true;
  } catch {
    return false;
  }
};

export const semverBuiltins: Builtins = {
  'semver.compare': ([a, b]) => compare(parse(string(a)), parse(string(b))),
  'semver.is_valid': ([text]) => typeof text === 'string' && isValid(text),
};
