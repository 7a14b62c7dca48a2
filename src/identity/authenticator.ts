/**
 * Credential to workload. Every failure is a denial with a reason; nothing is thrown. What is remembered of a token is only
 * what neither time nor request can change; times, the age of the keys and proofs of possession are judged at every call.
 */
import type { Authenticated, Authenticator, Clock } from '../decision/ports.ts';
import type { Identity, Presented, ProofOfPossession } from '../decision/evaluation.ts';
import type { TimeInterval } from '../domain/instant.ts';
import type { Reason } from '../domain/reasons.ts';
import type { IdentityConfig } from './config.ts';
import type { OnIdentityEvent } from './events.ts';
import { issuerOf, issuersOf } from './issuer.ts';
import { keySourceOf } from './key-source-of.ts';
import { TOKEN_CHARS_MAX } from './limits.ts';
import { createRemembered, tokenKey } from './remembered.ts';
import { timeFault } from './token-time.ts';
import { verifyToken } from './verify-token.ts';
import type { VerifiedToken } from './verify-token.ts';

export interface IdentityDeps {
  readonly clock: Clock;
  readonly onEvent?: OnIdentityEvent;
}

export interface IdentityAuthenticator extends Authenticator {
  /** Reads key files again and fetches remote keys, now. */
  reload(): Promise<void>;
  /** Resolves when every source of keys was tried once. */
  ready(): Promise<void>;
  close(): void;
}

const denied = (reason: Reason): Authenticated => ({ ok: false, reason });

type Bearer = Extract<Presented, { kind: 'bearer' }>;

export const createAuthenticator = (config: IdentityConfig, deps: IdentityDeps): IdentityAuthenticator => {
  const sources = config.issuers.map((one) => ({ one, keys: keySourceOf(one, config, deps) }));
  const issuers = issuersOf(sources.map(({ one, keys }) => issuerOf(one, keys)));
  const remembered = createRemembered<VerifiedToken>(config.rememberedTokensMax);

  const stillKnown = (token: VerifiedToken, realm: string, now: TimeInterval): boolean =>
    token.issuer.servesRealm(realm) && token.issuer.keys.current(now.latest)?.digest === token.keysDigest;

  const judge = (token: VerifiedToken, proof: ProofOfPossession | undefined, now: TimeInterval): Authenticated => {
    const fault = timeFault(token.times, now);
    if (fault !== undefined) return denied(fault);
    const { confirmation, identity } = token;
    if (confirmation?.jkt !== undefined) return denied('credential.proof');
    if (confirmation?.x5t !== undefined && confirmation.x5t !== proof?.x5t) return denied('credential.proof');
    if (proof?.x5t === undefined) return { ok: true, identity };
    return { ok: true, identity: { ...identity, confirmed: { x5t: proof.x5t } } satisfies Identity };
  };

  const verify = async (key: string, { token, proof }: Bearer, realm: string, now: TimeInterval): Promise<Authenticated> => {
    try {
      const verified = await verifyToken(token, issuers, realm, now.latest);
      if (typeof verified === 'string') return denied(verified);
      const result = judge(verified, proof, now);
      if (timeFault(verified.times, now) === undefined) remembered.set(key, token.length, verified);
      return result;
    } catch {
      return denied('decision.failed');
    }
  };

  const authenticateBearer = (bearer: Bearer, realm: string, now: TimeInterval): Authenticated | Promise<Authenticated> => {
    if (bearer.token.length > TOKEN_CHARS_MAX) return denied('credential.malformed');
    const key = tokenKey(bearer.token);
    const known = remembered.get(key);
    if (known !== undefined && stillKnown(known, realm, now)) return judge(known, bearer.proof, now);
    return verify(key, bearer, realm, now);
  };

  return {
    authenticate: (presented, { realm, now }) => {
      switch (presented.kind) {
        case 'none': return denied('credential.missing');
        case 'malformed': return denied('credential.malformed');
        case 'peer': return denied('credential.issuer');
        case 'bearer': return authenticateBearer(presented, realm, now);
      }
    },
    reload: async () => void (await Promise.all(sources.map(({ keys }) => keys.reload()))),
    ready: async () => void (await Promise.all(sources.map(({ keys }) => keys.refresh('none')))),
    close: () => sources.forEach(({ keys }) => keys.close()),
  };
};
