/** A6: a credential counts only in the way it was presented. */
import { expect, test } from 'vitest';
import type { Presented } from '../../src/decision/evaluation.ts';
import { readPresented } from '../../src/gateways/presented.ts';
import { interval, START } from '../identity/at.ts';
import { authenticatorWith, reasonOf, spiffeIssuer, svid } from '../identity/spiffe-fixture.ts';

const authenticator = authenticatorWith([spiffeIssuer()]);
const token = svid({});
const outcome = async (...lines: readonly string[]): Promise<string> => {
  const presented: Presented = readPresented(new Map([['authorization', lines]]), { method: 'GET', url: 'https://shop.local/orders/1' });
  const answer = await authenticator.authenticate(presented, { realm: 'default', now: interval(START) });
  return answer.ok ? 'ok' : (reasonOf(answer) ?? 'none');
};

test('A6: the scheme DPoP promises a proof; without one it is refused, also for a token that is not bound', async () => {
  expect(await outcome(`Bearer ${token}`)).toBe('ok');
  expect(await outcome(`DPoP ${token}`)).toBe('credential.proof');
  // Also once the token is remembered.
  expect(await outcome(`dpop ${token}`)).toBe('credential.proof');
});

test.each<[string, string]>([
  ['a tab', `Bearer\t${token}`], ['a list', `Bearer ${token},Bearer ${token}`], ['quotes', `Bearer "${token}"`], ['another scheme', `Basic ${token}`], ['no scheme', token],
  ['more words', `Bearer ${token} x`], ['a space before', ` Bearer ${token}`], ['NUL', `Bearer ${token}\u0000`], ['a line break', `Bearer ${token}\n`],
])('B2: %s makes it malformed', async (_name, line) => {
  expect(await outcome(line)).toBe('credential.malformed');
});

test('B2: two lines are malformed, also when they agree', async () => {
  expect(await outcome(`Bearer ${token}`, `Bearer ${token}`)).toBe('credential.malformed');
});
