/** A6, I1: whatever happens to keys and time, one who remembers tokens says what one says who remembers none. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { IdentityAuthenticator } from '../../src/identity/authenticator.ts';
import { START } from './at.ts';
import { bundleOf, newKey } from './forge.ts';
import { ask, authenticatorWith, key, NOW_S, reasonOf, spiffeIssuer, svid } from './spiffe-fixture.ts';

const second = newKey('ES256', 'k2');
/** Another key under the name of the first. */
const impostor = newKey('ES256', key.kid);
const BUNDLES = [bundleOf(key), bundleOf(key, second), bundleOf(second), bundleOf(impostor), bundleOf(impostor, second), bundleOf()];
const TOKENS = [
  ...[key, second, impostor].flatMap((by) => [svid({ jti: 'long' }, {}, by), svid({ exp: NOW_S + 20, jti: 'short' }, {}, by), svid({ nbf: NOW_S + 10, jti: 'later' }, {}, by)]),
  svid({ iat: undefined, exp: NOW_S + 4_000, jti: 'too old' }),
];

type Step =
  | { readonly do: 'rotate'; readonly bundle: number }
  | { readonly do: 'time'; readonly seconds: number }
  | { readonly do: 'ask'; readonly token: number }
  /** The keys change while its signature is being verified. */
  | { readonly do: 'ask and rotate'; readonly token: number; readonly bundle: number };

const [bundle, token] = [fc.nat({ max: BUNDLES.length - 1 }), fc.nat({ max: TOKENS.length - 1 })];
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('rotate' as const), bundle }),
  fc.record({ do: fc.constant('time' as const), seconds: fc.integer({ min: -5, max: 15 }) }),
  { arbitrary: fc.record({ do: fc.constant('ask' as const), token }), weight: 4 },
  fc.record({ do: fc.constant('ask and rotate' as const), token, bundle }),
);

type Asked = (token: string, now: number) => Promise<string>;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'curfew-remembered-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Every answer of one who remembers beside that of one who does not; `around`: what stands before the former. */
const compare = async (steps: readonly Step[], around: (asked: Asked) => Asked): Promise<readonly (readonly [remembering: string, forgetful: string])[]> => {
  const file = join(dir, 'bundle.json');
  const put = (index: number): void => {
    writeFileSync(`${file}.next`, JSON.stringify(BUNDLES[index]));
    renameSync(`${file}.next`, file);
  };
  put(0);
  // Nobody looks at the file by itself: both are told.
  const started = (rememberedTokensMax: number): IdentityAuthenticator => authenticatorWith([spiffeIssuer({ bundle: { file } })], { rememberedTokensMax, filePollMs: 60_000 });
  const [remembering, forgetful] = [started(4), started(0)];
  const askedOf = (one: IdentityAuthenticator): Asked => async (text, now) => reasonOf(await ask(one, text, now));
  const [first, then] = [around(askedOf(remembering)), askedOf(forgetful)];
  const answers: (readonly [string, string])[] = [];
  let now: number = START;
  try {
    for (const one of steps) {
      if (one.do === 'time') now += one.seconds * 1_000;
      else if (one.do === 'rotate') {
        put(one.bundle);
        await Promise.all([remembering.reload(), forgetful.reload()]);
      } else if (one.do === 'ask') answers.push([await first(TOKENS[one.token] as string, now), await then(TOKENS[one.token] as string, now)]);
      else {
        // What this answer is depends on who was faster; those that come later do not.
        const underWay = first(TOKENS[one.token] as string, now);
        put(one.bundle);
        await Promise.all([remembering.reload(), forgetful.reload()]);
        await underWay;
      }
    }
  } finally {
    remembering.close();
    forgetful.close();
  }
  return answers;
};

test('A6: keys that are exchanged, taken away or come under another key\'s name, and time in both directions: the answers are the same', { timeout: 120_000 }, async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
    for (const [remembering, forgetful] of await compare(steps, (asked) => asked)) expect(remembering).toBe(forgetful);
  }), { numRuns: 60 });
});

test('A6, planted: one who keeps an answer is found', async () => {
  const keeping = (asked: Asked): Asked => {
    const kept = new Map<string, string>();
    return async (text, now) => {
      const answer = kept.get(text) ?? (await asked(text, now));
      if (answer === 'allowed') kept.set(text, answer);
      return answer;
    };
  };
  const found = (...steps: readonly Step[]) => compare([{ do: 'ask', token: 1 }, ...steps, { do: 'ask', token: 1 }], keeping);
  const allowed = ['allowed', 'allowed'];
  expect(await found({ do: 'time', seconds: 19 })).toEqual([allowed, allowed]);
  expect(await found({ do: 'time', seconds: 20 })).toEqual([allowed, ['allowed', 'credential.expired']]);
  expect(await found({ do: 'rotate', bundle: 2 })).toEqual([allowed, ['allowed', 'credential.key_unknown']]);
  expect(await found({ do: 'rotate', bundle: 3 })).toEqual([allowed, ['allowed', 'credential.signature']]);
});
