/**
 * Runs the pipeline a few times before the first question, so that the first answer does not pay for loading and compiling its
 * code: on a busy machine a gateway's patience would not last. It has an issuer, a key and a token of its own, which are nobody
 * else's. Nothing is claimed or recorded, and the bundle is not evaluated (nobody watches yet).
 */
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { composeDecider, defaultRealm, type Core } from '../compose.ts';
import type { Evaluation } from '../decision/evaluation.ts';
import type { Policy } from '../decision/ports.ts';
import type { Instant } from '../domain/instant.ts';
import { createAuthenticator } from '../identity/authenticator.ts';
import { identityConfig } from '../identity/config.ts';

const TIMES = 10;
const TRUST_DOMAIN = 'rehearsal.invalid';
const AUDIENCE = 'rehearsal';

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

const tokensOf = (now: Instant) => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuedAt = Math.floor(now / 1_000);
  return {
    jwk: { ...publicKey.export({ format: 'jwk' }), kid: 'rehearsal', use: 'jwt-svid' },
    next: (): string => {
      const claims = { sub: `spiffe://${TRUST_DOMAIN}/nobody`, aud: AUDIENCE, iat: issuedAt, exp: issuedAt + 60, jti: randomUUID() };
      const input = `${base64url({ alg: 'ES256', kid: 'rehearsal', typ: 'JWT' })}.${base64url(claims)}`;
      return `${input}.${sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
    },
  };
};

export const rehearse = async (core: Core, policy: Policy): Promise<void> => {
  const { clock, config } = core;
  const tokens = tokensOf(clock.now().latest);
  const { issuers } = identityConfig.parse({ issuers: [{ kind: 'spiffe', trustDomain: TRUST_DOMAIN, audiences: [AUDIENCE], bundle: { jwks: { keys: [tokens.jwk] } } }] });
  const authenticator = createAuthenticator({ ...config.identity, issuers }, { clock });
  await authenticator.ready();
  const silent: Policy = { ...policy, evaluate: () => ({ kind: 'value', value: { allow: false } }) };
  const decider = composeDecider({ ...core, authenticator }, {
    policy: () => silent, sink: { write: () => undefined }, quarantine: { enter: () => true, leave: () => undefined },
  });
  for (let time = 0; time < TIMES; time += 1) {
    const evaluation: Evaluation = {
      id: randomUUID(), realm: defaultRealm(config), protocol: 'explain', pep: { id: undefined, obligations: [] }, input: {},
      presented: { kind: 'bearer', token: tokens.next() },
      question: { action: 'GET', resource: { type: 'http', id: `${TRUST_DOMAIN}/nothing` } },
    };
    await decider.explain(evaluation);
  }
  authenticator.close();
};
