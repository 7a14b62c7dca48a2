/**
 * Credential to workload. Every failure is a denial with a reason; nothing is thrown. What is remembered of a token is only
 * what neither time nor request can change; times, the age of the keys and proofs of possession are judged at every call.
 * Not judged here: endings, one-time use and replayed proofs, which the decision looks up in the store.
 */
import { hash } from 'node:crypto';
import type { Authenticated, Authenticator, Clock } from '../decision/ports.ts';
import type { Peer, Presented, ProofOfPossession } from '../decision/evaluation.ts';
import type { TimeInterval } from '../domain/instant.ts';
import { isJsonObject, type JsonValue } from '../domain/json.ts';
import type { Reason } from '../domain/reasons.ts';
import { identifyAsserted } from './asserted.ts';
import { readCertificate } from './certificate.ts';
import type { CertificateFacts } from './certificate.ts';
import type { IdentityConfig, IssuerConfig } from './config.ts';
import { verifyProof } from './dpop.ts';
import type { OnIdentityEvent } from './events.ts';
import { issuerOf, issuersOf } from './issuer.ts';
import { keySourceOf } from './key-source-of.ts';
import { REMEMBERED_CERTIFICATES_MAX, TOKEN_CHARS_MAX } from './limits.ts';
import { identifyPeer } from './peer.ts';
import { createRemembered } from './remembered.ts';
import { keptTimes, timeFault } from './token-time.ts';
import { createTokenReview, type TokenReview } from './token-review.ts';
import { verifyToken } from './verify-token.ts';
import type { VerifiedToken } from './verify-token.ts';
import { createWorkloadSources, type WorkloadSources } from './workload-api/sources.ts';

export interface IdentityDeps {
  readonly clock: Clock;
  readonly onEvent?: OnIdentityEvent;
}

/** Can tokens of this issuer be verified at present? */
export interface IssuerStatus {
  readonly issuer: string;
  /** Keys to verify with; 0 is what a bundle says that revokes all. `undefined`: none could be had in time. */
  readonly keys: number | undefined;
}

export interface IdentityAuthenticator extends Authenticator {
  /** Reads key files again and fetches remote keys, now. */
  reload(): Promise<void>;
  /** Resolves when every source of keys was tried once. */
  ready(): Promise<void>;
  status(): readonly IssuerStatus[];
  close(): void;
}

type Bearer = Extract<Presented, { kind: 'bearer' }>;

const denied = (reason: Reason): Authenticated => ({ ok: false, reason });

/** Of the trust domains that ask it, if any does. */
const workloadSourcesOf = ({ workloadApi, issuers }: IdentityConfig, deps: { readonly clock: Clock; readonly onEvent: OnIdentityEvent }): WorkloadSources | undefined => {
  const trustDomains = issuers.flatMap((one) => (one.kind === 'spiffe' && 'workloadApi' in one.bundle ? [one.trustDomain] : []));
  return workloadApi === undefined || trustDomains.length === 0 ? undefined : createWorkloadSources(workloadApi, [...new Set(trustDomains)], deps);
};

export const createAuthenticator = (config: IdentityConfig, { clock, onEvent = () => undefined }: IdentityDeps): IdentityAuthenticator => {
  const { filePollMs } = config;
  const reviewOf = (one: IssuerConfig): TokenReview | undefined =>
    one.kind === 'spiffe' || one.tokenReview === undefined ? undefined : createTokenReview({ config: one.tokenReview, audiences: one.audiences, issuer: one.issuer, monotonicMs: clock.monotonicMs, onEvent });
  const workload = workloadSourcesOf(config, { clock, onEvent });
  const issuers = issuersOf(config.issuers.map((one) => issuerOf(one, keySourceOf(one, { clock, onEvent, filePollMs, workload }), reviewOf(one))));
  const sources = issuers.all.map(({ keys }) => keys);
  const tokens = createRemembered<VerifiedToken>(config.rememberedTokensMax);
  const certificates = createRemembered<CertificateFacts>(REMEMBERED_CERTIFICATES_MAX);

  const stillKnown = (token: VerifiedToken, realm: string, now: TimeInterval): boolean =>
    token.issuer.servesRealm(realm) && token.actorIssuers.every((one) => one.servesRealm(realm)) && token.issuer.keys.current(now.latest)?.digest === token.keysDigest;

  const timeFaultOf = ({ issuer: { config: { maxCredentialAgeMs, leewayMs } }, identity: { credential } }: VerifiedToken, now: TimeInterval): Reason | undefined =>
    timeFault(keptTimes(credential, maxCredentialAgeMs, leewayMs), now);

  const judgeDpop = async (verified: VerifiedToken, raw: string, proof: ProofOfPossession, now: TimeInterval): Promise<Authenticated> => {
    const proved = proof.dpop === undefined ? undefined : await verifyProof(proof.dpop, raw, now, config.dpop);
    const wanted = verified.confirmation?.jkt;
    if (proved === undefined || (wanted !== undefined && proved.jkt !== wanted)) return denied('credential.proof');
    const confirmed = { jkt: proved.jkt, ...(proof.x5t === undefined ? {} : { x5t: proof.x5t }) };
    return { ok: true, identity: { ...verified.identity, confirmed, proofOnce: proved.once } };
  };

  /** Asked last, of a token that is good in every other way: so nothing else reaches the issuer. */
  const reviewed = ({ issuer, identity: { claims } }: VerifiedToken, token: string, answer: Authenticated | Promise<Authenticated>): Authenticated | Promise<Authenticated> => {
    const { review } = issuer;
    if (review === undefined) return answer;
    if (answer instanceof Promise) return answer.then((settled) => reviewedNow(review, claims, token, settled));
    return reviewedNow(review, claims, token, answer);
  };
  const reviewedNow = (review: TokenReview, claims: JsonValue, token: string, answer: Authenticated): Authenticated | Promise<Authenticated> => {
    if (!answer.ok) return answer;
    const fault = review.fault(token, isJsonObject(claims) ? claims : {});
    const judged = (reason: Reason | undefined): Authenticated => (reason === undefined ? answer : denied(reason));
    return fault instanceof Promise ? fault.then(judged) : judged(fault);
  };

  /** What depends on the moment and on the request. A proof that came along must hold even where the token does not ask for one. */
  const judge = (verified: VerifiedToken, { token, proof }: Bearer, now: TimeInterval): Authenticated | Promise<Authenticated> => {
    const fault = timeFaultOf(verified, now);
    if (fault !== undefined) return denied(fault);
    const { confirmation, identity } = verified;
    if (confirmation?.x5t !== undefined && confirmation.x5t !== proof?.x5t) return denied('credential.proof');
    if (confirmation?.jkt !== undefined || proof?.dpop !== undefined) return judgeDpop(verified, token, proof ?? {}, now);
    return { ok: true, identity: proof?.x5t === undefined ? identity : { ...identity, confirmed: { x5t: proof.x5t } } };
  };

  const verify = async (key: string, bearer: Bearer, realm: string, now: TimeInterval): Promise<Authenticated> => {
    const verified = await verifyToken(bearer.token, issuers, realm, now.latest);
    if (typeof verified === 'string') return denied(verified);
    if (timeFaultOf(verified, now) === undefined) tokens.set(key, bearer.token.length, verified);
    return reviewed(verified, bearer.token, judge(verified, bearer, now));
  };

  const authenticateBearer = (bearer: Bearer, realm: string, now: TimeInterval): Authenticated | Promise<Authenticated> => {
    if (bearer.token.length > TOKEN_CHARS_MAX) return denied('credential.malformed');
    const key = hash('sha256', bearer.token, 'base64');
    const known = tokens.get(key);
    return known !== undefined && stillKnown(known, realm, now) ? reviewed(known, bearer.token, judge(known, bearer, now)) : verify(key, bearer, realm, now);
  };

  const certificateOf = (pem: string): CertificateFacts | undefined => {
    const key = hash('sha256', pem, 'base64');
    const known = certificates.get(key) ?? readCertificate(pem);
    if (known !== undefined) certificates.set(key, pem.length, known);
    return known;
  };

  const authenticatePeer = (peer: Peer, realm: string, now: TimeInterval): Authenticated => {
    const certificate = peer.certificatePem === undefined ? undefined : certificateOf(peer.certificatePem);
    const identity = identifyPeer(peer, certificate, issuers, realm, now);
    return typeof identity === 'string' ? denied(identity) : { ok: true, identity };
  };

  const authenticate = (presented: Presented, realm: string, now: TimeInterval): Authenticated | Promise<Authenticated> => {
    switch (presented.kind) {
      case 'none': return denied('credential.missing');
      case 'malformed': return denied('credential.malformed');
      case 'peer': return authenticatePeer(presented.peer, realm, now);
      case 'asserted': {
        const identity = identifyAsserted(presented.workload, issuers, realm);
        return typeof identity === 'string' ? denied(identity) : { ok: true, identity };
      }
      case 'bearer': return authenticateBearer(presented, realm, now);
    }
  };

  return {
    authenticate: (presented, { realm, now }) => {
      try {
        const result = authenticate(presented, realm, now);
        return result instanceof Promise ? result.catch(() => denied('decision.failed')) : result;
      } catch {
        return denied('decision.failed');
      }
    },
    reload: async () => void (await Promise.all(sources.map((one) => one.reload()))),
    ready: async () => void (await Promise.all(sources.map((one) => one.refresh('none')))),
    status: () => {
      const { latest } = clock.now();
      return issuers.all.map(({ name, keys }) => ({ issuer: name, keys: keys.current(latest)?.size }));
    },
    close: () => {
      for (const one of sources) one.close();
      workload?.close();
      for (const { review } of issuers.all) review?.close();
    },
  };
};
