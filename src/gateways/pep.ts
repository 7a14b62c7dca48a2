/**
 * Which enforcement point asks? Guarantee: a credential that was presented and doesn't fit denies, whatever else would fit;
 * secrets are compared by hash, in constant time. Not covered: TLS itself, the listener verifies certificates against its CA.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Pep } from '../decision/evaluation.ts';
import { isLoopback } from '../domain/loopback.ts';
import type { Reason } from '../domain/reasons.ts';
import type { PepConfig } from './config.ts';

export { pepConfig } from './config.ts';
export type { PepConfig } from './config.ts';

export interface ListenerBinding {
  /** Id of the listener, which `unixListener` of a PEP names. */
  readonly id: string;
  /** `loopback`: only processes of this machine reach it. */
  readonly reach: 'unix' | 'loopback' | 'network';
  /** Written out in the configuration: callers without any PEP credential are served as nobody. */
  readonly pep?: 'anonymous' | undefined;
}

/** Of a TCP listener at this address. */
export const reachOf = (host: string): ListenerBinding['reach'] => (isLoopback(host) ? 'loopback' : 'network');

export interface PepEvidence {
  readonly listener: ListenerBinding;
  /** Every value of `x-curfew-pep-token`; empty when there was none. */
  readonly tokens: readonly string[];
  /** The client certificate, verified against the listener's CA. */
  readonly certificate?: PepCertificate | undefined;
}

export interface PepCertificate {
  /** URI and DNS subject alternative names, without their type. */
  readonly sans: readonly string[];
  /** Of the DER certificate, hex, lower case. */
  readonly sha256: string;
}

/** `config` is absent for an anonymous enforcement point. */
export type PepOutcome =
  | { readonly ok: true; readonly pep: Pep; readonly config: PepConfig | undefined }
  | { readonly ok: false; readonly reason: Extract<Reason, 'pep.unauthenticated'> };

export type PepAuthenticator = (evidence: PepEvidence) => PepOutcome;

/** Where tokens come from. `undefined` or a throw: there is none. */
export interface SecretSources {
  readonly readFile: (path: string) => string;
  readonly env: (name: string) => string | undefined;
}

export const PEP_TOKEN_HEADER = 'x-curfew-pep-token';
/** Shorter tokens are refused when they are loaded. */
export const PEP_TOKEN_CHARS_MIN = 16;
const PEP_TOKEN_CHARS_MAX = 1_024;

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

const tokenHash = (config: PepConfig, secrets: SecretSources): Buffer | undefined => {
  const { token } = config;
  if (token === undefined) return undefined;
  if ('sha256' in token) return Buffer.from(token.sha256, 'hex');
  const secret = ('file' in token ? secrets.readFile(token.file) : (secrets.env(token.env) ?? '')).trim();
  if (secret.length >= PEP_TOKEN_CHARS_MIN && secret.length <= PEP_TOKEN_CHARS_MAX) return sha256(secret);
  throw new Error(`the token of PEP ${config.id} must have ${PEP_TOKEN_CHARS_MIN} to ${PEP_TOKEN_CHARS_MAX} characters`);
};

const certificateFits = (config: PepConfig, certificate: PepCertificate): boolean => {
  const wanted = config.certificate;
  if (wanted === undefined) return false;
  if (wanted.san !== undefined && !certificate.sans.includes(wanted.san)) return false;
  return wanted.sha256 === undefined || wanted.sha256 === certificate.sha256;
};

const refused = { ok: false, reason: 'pep.unauthenticated' } as const;
const anonymous: PepOutcome = { ok: true, pep: { id: undefined, obligations: [] }, config: undefined };

/** Throws, naming the PEP but no secret, when a token can't be had or two PEPs share an id, a token or a listener. */
export const createPepAuthenticator = (peps: readonly PepConfig[], secrets: SecretSources): PepAuthenticator => {
  const entries = peps.map((config) => {
    const outcome: PepOutcome = { ok: true, pep: { id: config.id, obligations: config.obligations }, config };
    return { config, hash: tokenHash(config, secrets), outcome };
  });
  const distinct = (what: string, values: readonly (string | undefined)[]): void => {
    const given = values.filter((value) => value !== undefined);
    if (new Set(given).size !== given.length) throw new Error(`two PEPs share ${what}`);
  };
  distinct('an id', entries.map(({ config }) => config.id));
  distinct('a token', entries.map(({ hash }) => hash?.toString('hex')));
  distinct('a unixListener', entries.map(({ config }) => config.unixListener));

  type Entry = (typeof entries)[number];
  const byToken = (token: string): Entry | undefined => {
    if (token.length > PEP_TOKEN_CHARS_MAX) return undefined;
    const given = sha256(token);
    let found: Entry | undefined;
    for (const entry of entries) if (entry.hash !== undefined && timingSafeEqual(entry.hash, given)) found = entry;
    return found;
  };
  const byCertificate = (certificate: PepCertificate): Entry | undefined => {
    const fitting = entries.filter(({ config }) => certificateFits(config, certificate));
    return fitting.length === 1 ? fitting[0] : undefined;
  };

  return ({ listener, tokens, certificate }) => {
    const bound = listener.reach === 'unix' ? entries.find(({ config }) => config.unixListener === listener.id) : undefined;
    const claims: (Entry | undefined)[] = bound === undefined ? [] : [bound];
    if (tokens.length > 0) claims.push(tokens.length === 1 ? byToken(tokens[0] as string) : undefined);
    if (certificate !== undefined) claims.push(byCertificate(certificate));
    const [first] = claims;
    if (claims.length > 0) return first !== undefined && claims.every((claim) => claim === first) ? first.outcome : refused;
    if (listener.pep === 'anonymous') return anonymous;
    return listener.reach !== 'network' && entries.length === 0 ? anonymous : refused;
  };
};
