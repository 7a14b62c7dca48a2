/** `regex.*` that the module does not bring itself, on RE2: time linear in the input, never backtracking. */
import { RE2JS } from 're2js';
import { notServed } from '../rego/not-served.ts';
import { fail, smallInt, string } from './operands.ts';
import type { Builtins } from './builtin.ts';

const CACHE_MAX = 256;
const PATTERN_CHARS_MAX = 10_000;
const cache = new Map<string, RE2JS>();

const compiled = (pattern: string): RE2JS => {
  const known = cache.get(pattern);
  if (known !== undefined) return known;
  if (pattern.length > PATTERN_CHARS_MAX) return notServed('a pattern that long');
  const made = RE2JS.compile(pattern);
  if (cache.size >= CACHE_MAX) cache.clear();
  cache.set(pattern, made);
  return made;
};

/** One match: start and end of each group in UTF-16 units, -1 where a group took no part. */
type Match = readonly (readonly [number, number])[];

/** Go's order of matches: an empty one directly after another doesn't count. At most `limit` when that is not negative. */
const matches = (regex: RE2JS, text: string, limit: number): readonly Match[] => {
  const matcher = regex.matcher(text);
  const found: Match[] = [];
  let previousEnd = -1;
  for (let at = 0; at <= text.length && (limit < 0 || found.length < limit); ) {
    if (!matcher.find(at)) break;
    const [start, end] = [matcher.start(), matcher.end()];
    const counts = end !== at || start !== previousEnd;
    if (end > at) at = end;
    else at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
    previousEnd = end;
    if (counts) found.push(Array.from({ length: matcher.groupCount() + 1 }, (_, group) => [matcher.start(group), matcher.end(group)]));
  }
  return found;
};

const groupText = (text: string, match: Match, group: number): string => {
  const [start, end] = match[group] ?? [-1, -1];
  return start < 0 ? '' : text.slice(start, end);
};

/** Go's `Regexp.Split` without a limit. */
const split = (regex: RE2JS, pattern: string, text: string): readonly string[] => {
  if (pattern.length > 0 && text === '') return [''];
  const parts: string[] = [];
  let begin = 0;
  let end = 0;
  for (const match of matches(regex, text, -1)) {
    const [start, stop] = match[0] ?? [0, 0];
    end = start;
    if (stop !== 0) parts.push(text.slice(begin, end));
    begin = stop;
  }
  if (end !== text.length) parts.push(text.slice(begin));
  return parts;
};

/** `$1`, `${name}`, `$name` (as long as can be) and `$$`. */
const REFERENCE = /\$(?:(\$)|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu;

const replace = (regex: RE2JS, text: string, template: string): string => {
  const names = regex.namedGroups();
  const expand = (match: Match): string =>
    template.replace(REFERENCE, (_all, dollar: string | undefined, braced: string | undefined, bare: string | undefined) => {
      if (dollar !== undefined) return '$';
      const name = braced ?? bare ?? '';
      const group = /^(?:0|[1-9][0-9]{0,7})$/.test(name) ? Number(name) : Object.hasOwn(names, name) ? names[name] : undefined;
      return group === undefined ? '' : groupText(text, match, group);
    });
  let out = '';
  let last = 0;
  for (const match of matches(regex, text, -1)) {
    const [start, end] = match[0] ?? [0, 0];
    out += text.slice(last, start) + expand(match);
    last = end;
  }
  return out + text.slice(last);
};

const quoteMeta = (text: string): string => text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');

/** A text with patterns between delimiters, as one pattern: `urn:<.+>` matches `urn:x`. */
const templatePattern = (template: string, open: string, close: string): string => {
  let pattern = '^';
  let depth = 0;
  let begin = 0;
  let end = 0;
  for (let at = 0; at < template.length; at += 1) {
    if (template[at] === open) {
      depth += 1;
      if (depth === 1) begin = at;
    } else if (template[at] === close) {
      depth -= 1;
      if (depth < 0) return fail('unbalanced delimiters');
      if (depth > 0) continue;
      const inner = template.slice(begin + 1, at);
      compiled(`^${inner}$`);
      pattern += `${quoteMeta(template.slice(end, begin))}(${inner})`;
      end = at + 1;
    }
  }
  return depth === 0 ? `${pattern}${quoteMeta(template.slice(end))}$` : fail('unbalanced delimiters');
};

const delimiter = (text: string): string => (/^[\0-\x7f]$/.test(text) ? text : fail('a delimiter is one ASCII character'));

export const regexBuiltins: Builtins = {
  'regex.find_n': ([pattern, text, limit]) => {
    const subject = string(text);
    return matches(compiled(string(pattern)), subject, smallInt(limit)).map((match) => groupText(subject, match, 0));
  },
  'regex.split': ([pattern, text]) => split(compiled(string(pattern)), string(pattern), string(text)),
  'regex.replace': ([text, pattern, value]) => replace(compiled(string(pattern)), string(text), string(value)),
  'regex.template_match': ([template, text, open, close]) => {
    const subject = string(text);
    return compiled(templatePattern(string(template), delimiter(string(open)), delimiter(string(close)))).matcher(subject).find();
  },
};
