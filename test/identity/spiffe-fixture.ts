/** A trust domain with one key, and questions to an authenticator that knows it. */
import type { ProofOfPossession } from '../../src/decision/evaluation.ts';
import type { Authenticated } from '../../src/decision/ports.ts';
import { createAuthenticator } from '../../src/identity/authenticator.ts';
import type { IdentityAuthenticator, IdentityDeps } from '../../src/identity/authenticator.ts';
import { identityConfig } from '../../src/identity/config.ts';
import { START, handClock, interval } from './at.ts';
import { bundleOf, newKey, signed } from './forge.ts';
import type { TestKey } from './forge.ts';

export const NOW_S = START / 1000;
export const key = newKey();

export const svidClaims = (changes: Record<string, unknown> = {}): Record<string, unknown> =>
  ({ sub: 'spiffe://example.org/ci', aud: 'curfew', iat: NOW_S, exp: NOW_S + 300, jti: 'j1', ...changes });

export const svid = (changes: Record<string, unknown> = {}, header: Record<string, unknown> = {}, by: TestKey = key): string =>
  signed({ alg: by.alg, kid: by.kid, typ: 'JWT', ...header }, svidClaims(changes), by);

export const spiffeIssuer = (changes: Record<string, unknown> = {}) =>
  ({ kind: 'spiffe', trustDomain: 'example.org', audiences: ['curfew'], bundle: { jwks: bundleOf(key) }, ...changes });

export const authenticatorWith = (issuers: unknown[], settings: Record<string, unknown> = {}, deps: Partial<IdentityDeps> = {}): IdentityAuthenticator =>
  createAuthenticator(identityConfig.parse({ issuers, ...settings }), { clock: handClock(), ...deps });

export const ask = (authenticator: IdentityAuthenticator, token: string, now: number = START, proof?: ProofOfPossession, realm = 'default') =>
  Promise.resolve(authenticator.authenticate(
    { kind: 'bearer', token, ...(proof === undefined ? {} : { proof }) },
    { realm, now: interval(now) },
  ));

export const reasonOf = (answer: Authenticated): string => (answer.ok ? 'allowed' : answer.reason);
export const identityOf = (answer: Authenticated) => {
  if (!answer.ok) throw new Error(answer.reason);
  return answer.identity;
};
