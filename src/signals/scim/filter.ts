/** The filters that identity providers send: comparisons of names and ids for equality, one or several joined by `and` (RFC 7644, 3.4.2.2). */
import { attributeName, fault, type ScimFault } from './text.ts';

export interface Comparison {
  readonly name: string;
  readonly value: string;
}

const FILTER_CHARS_MAX = 2_000;
const COMPARISONS_MAX = 4;
const ONE = /^\s*([A-Za-z][A-Za-z0-9:._$-]*)\s+eq\s+("(?:[^"\\]|\\.)*")\s*(?:$|and\s)/i;

export const readFilter = (filter: string, known: readonly string[]): readonly Comparison[] | { readonly fault: ScimFault } => {
  const wrong = fault('invalidFilter', `a filter compares ${known.map((name) => `\`${name}\``).join(', ')} by \`eq\` with a text in quotes`);
  if (filter.length > FILTER_CHARS_MAX) return wrong;
  const found: Comparison[] = [];
  for (let rest = filter; rest !== ''; ) {
    const match = ONE.exec(rest);
    const name = match === null ? undefined : known.find((one) => one.toLowerCase() === attributeName(match[1] as string));
    if (match === null || name === undefined || found.length >= COMPARISONS_MAX) return wrong;
    try {
      found.push({ name, value: JSON.parse(match[2] as string) as string });
    } catch {
      return wrong;
    }
    rest = rest.slice(match[0].length);
    if (rest.trim() === '' && /and\s$/i.test(match[0])) return wrong;
  }
  return found.length === 0 ? wrong : found;
};
