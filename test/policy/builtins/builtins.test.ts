/**
 * What the builtins answer, held against OPA: stored answers everywhere, OPA itself where Go is. An answer may be missing
 * (not served: the evaluation fails), but none may differ.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Instant } from '../../../src/domain/instant.ts';
import { NotServed } from '../../../src/policy/rego/not-served.ts';
import { builtinNamed, servedBuiltins } from '../../../src/policy/builtins/registry.ts';
import { regoText, sortedUnique } from '../../../src/policy/rego/order.ts';
import { readRegoValue, type RegoObject, type RegoValue } from '../../../src/policy/rego/value.ts';
import { describeWith } from '../../parts.ts';
import { answerLines, askOpa } from './ask-opa.mjs';
import { cases, type Case } from './cases.mjs';

const stored = readFileSync(join(import.meta.dirname, 'answers.jsonl'), 'utf8');

/** As JSON has it: sets are sorted arrays. */
const asJson = (value: RegoValue): RegoValue => {
  if (value instanceof Set) return sortedUnique(value as Iterable<RegoValue>).map(asJson);
  if (value instanceof Map) return new Map([...(value as RegoObject)].map(([key, inner]) => [key, asJson(inner)]));
  return Array.isArray(value) ? (value as readonly RegoValue[]).map(asJson) : value;
};

/** Our answer as text, digits and all; `undefined` where there is none. */
const ours = ({ call, args }: Case): string | undefined => {
  const builtin = builtinNamed(call);
  if (builtin === undefined) throw new Error(`${call} is not served`);
  try {
    const answer = builtin(args.map(readRegoValue), { now: 0 as Instant });
    return answer === undefined ? undefined : regoText(asJson(answer));
  } catch (error) {
    if (error instanceof NotServed || error instanceof RangeError) throw error;
    return undefined;
  }
};

const compare = (asked: readonly Case[], answers: readonly (string | null)[]) => {
  const differences: string[] = [];
  const notServed: string[] = [];
  for (const [index, one] of asked.entries()) {
    const text = answers[index] ?? null;
    const expected = text === null ? undefined : regoText(readRegoValue(text));
    try {
      const answer = ours(one);
      if (answer !== expected) differences.push(`${one.call}(${one.args.join(', ')}): ${answer} and not ${expected}`);
    } catch (error) {
      notServed.push(`${one.call}: ${(error as Error).message}`);
    }
  }
  return { differences, notServed: [...new Set(notServed.map((text) => text.replace(/%\S+/, '%')))].toSorted() };
};

const LEFT_OUT = [
  'net.cidr_merge: not served: merging a mapped IPv4 network',
  'net.cidr_merge: not served: merging networks of both families',
  'sprintf: not served: % of a big integer',
  'sprintf: not served: % of a float with these flags',
  'time.add_date: not served: time zones before 1970 and after 2037',
  'time.format: not served: abbreviations of time zones',
];

test('every stored answer of OPA is ours too, and what is left out is what this list names', () => {
  const rows = stored.trim().split('\n').map((line) => JSON.parse(line) as [string, string[], string | null]);
  const { differences, notServed } = compare(rows.map(([call, args]) => ({ call, args })), rows.map(([, , answer]) => answer));
  expect(rows.length).toBeGreaterThan(2_000);
  expect(differences).toEqual([]);
  expect(notServed).toEqual(LEFT_OUT);
});

test('every builtin that is served has answers stored', () => {
  const asked = new Set(cases().map(({ call }) => call));
  const now = new Set(['time.now_ns']);
  expect(servedBuiltins().filter((name) => !asked.has(name) && !now.has(name))).toEqual([]);
});

test('a planted difference is found', () => {
  const row: Case = { call: 'strings.count', args: ['"aaa"', '"a"'] };
  expect(compare([row], ['4']).differences).toHaveLength(1);
  expect(compare([row], ['3']).differences).toHaveLength(0);
});

describeWith(['go'], 'builtins against OPA itself', () => {
  test('the stored answers are what OPA gives', () => {
    expect(answerLines() === stored, 'run node test/policy/builtins/ask-opa.mjs and look at the difference').toBe(true);
  }, 300_000);

  test('more made-up calls get the same answers', () => {
    const seed = Number(process.env['CURFEW_TEST_SEED'] ?? 42);
    const asked = cases(4, seed);
    expect(compare(asked, askOpa(asked)).differences, `seed ${seed}`).toEqual([]);
  }, 300_000);
});
