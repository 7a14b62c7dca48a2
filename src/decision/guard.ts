/**
 * The `guard` step: owns the envelope of the answer. Whatever a policy says, it can't name a protected header, rewrite the
 * query, ask for what the PEP can't do, or dress a denial as a success. What breaks these rules denies.
 */
import type { Instant } from '../domain/instant.ts';
import type { Reason } from '../domain/reasons.ts';
import { Denied } from './denied.ts';
import type { Evaluation, Question, Shaping, Unable } from './evaluation.ts';
import type { DecisionLimits } from './ports.ts';
import type { Conclusion, Progress } from './progress.ts';
import type { Verdict } from './verdict.ts';

/** RFC 9110 token. */
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/;
/** Visible ASCII, space and tab, obs-text excluded: nothing that splits a header. */
const HEADER_VALUE = /^[\t\x20-\x7e]{0,8192}$/;

/** Framing and connection control: never a policy's to set. */
const HOP_BY_HOP = new Set([
  'connection', 'content-length', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'expect',
]);
/** Say who someone is, to the upstream. */
const IDENTITY = new Set(['authorization', 'cookie', 'dpop', 'forwarded', 'proxy-authorization', 'x-real-ip', 'x-original-url', 'x-rewrite-url']);
const PROTECTED_PREFIXES = ['x-forwarded-', 'x-envoy-', 'x-curfew-', 'x-original-'];

const isProtected = (name: string): boolean =>
  name === 'host' || HOP_BY_HOP.has(name) || IDENTITY.has(name) || PROTECTED_PREFIXES.some((prefix) => name.startsWith(prefix));

const isOwn = (name: string): boolean => name.startsWith('x-curfew-') || HOP_BY_HOP.has(name) || name === 'host';

const headersAre = (pairs: Shaping['headers'], acceptable: (name: string) => boolean): boolean =>
  pairs.every(([name, value]) => HEADER_NAME.test(name) && HEADER_VALUE.test(value) && acceptable(name.toLowerCase()));

/** `undefined` when an allow may leave with this shaping. `maySet` lists header names, and `query:<name>` for the query. */
export const allowFault = (shaping: Shaping, obligations: readonly string[], maySet: readonly string[]): Reason | undefined => {
  const mayQuery = (name: string): boolean => maySet.includes(`query:${name}`);
  const wellFormed =
    headersAre(shaping.headers, (name) => !isProtected(name) || maySet.includes(name)) &&
    headersAre(shaping.responseHeaders, (name) => !isOwn(name)) &&
    shaping.removeHeaders.every((name) => HEADER_NAME.test(name) && (!isOwn(name.toLowerCase()) || maySet.includes(name.toLowerCase()))) &&
    shaping.setQuery.every(([name]) => mayQuery(name)) &&
    shaping.removeQuery.every(mayQuery);
  if (!wellFormed) return 'policy.malformed';
  const able = shaping.obligations.every(({ type }) => typeof type === 'string' && obligations.includes(type));
  return able ? undefined : 'obligation.unsupported';
};

/** Does the allow ask for something that the protocol has no words for? */
const exceeds = (shaping: Shaping, unable: Unable | undefined): boolean =>
  unable !== undefined &&
  ((unable.removeHeaders && shaping.removeHeaders.length > 0) ||
    (unable.query && shaping.setQuery.length + shaping.removeQuery.length > 0) ||
    [...shaping.headers, ...shaping.responseHeaders].some(([name]) => unable.headers === 'any' || unable.headers.has(name.toLowerCase())));

/** May a denial leave with this shaping? If not, it leaves bare. */
export const denialIsWellFormed = (shaping: Shaping): boolean =>
  headersAre(shaping.headers, (name) => !isOwn(name)) &&
  (shaping.httpStatus === undefined || (shaping.httpStatus >= 400 && shaping.httpStatus <= 499));

/** What of an allow's rests has ended. A credential that has says so, whatever ended with it: with a new one the access may still be there. */
export const endedReason = ({ identity, now }: Pick<Progress, 'identity' | 'now'>, relied: Conclusion['relied']): Reason => {
  const expiresAt = identity?.credential.expiresAt;
  if (expiresAt !== undefined && !(now.latest < expiresAt)) return 'credential.expired';
  return relied === undefined ? 'standing.ended' : 'grant.expired';
};

/** Condition 4 and the envelope: gives what the allow rests on, or throws `Denied`. */
export const guard = (evaluation: Evaluation, question: Question, progress: Progress, limits: DecisionLimits, verdict: Verdict): Conclusion => {
  const { live, standing, identity, now } = progress;
  if (!verdict.yes) throw new Denied('policy.denied');
  const relied = verdict.grant === undefined ? live[0] : live.find(({ fact }) => fact.grant.id === verdict.grant);
  if (verdict.grant !== undefined && relied === undefined) throw new Denied('policy.malformed', 'the policy named a grant that was not among those given');
  const fault = allowFault(verdict.shaping, evaluation.pep.obligations, limits.policyMaySet);
  if (fault !== undefined) throw new Denied(fault);
  if (exceeds(verdict.shaping, evaluation.unable)) throw new Denied('obligation.unsupported');
  if (question.stream !== undefined && question.stream.maxMs === undefined) throw new Denied('request.stream');
  const ends = [relied?.until, relied === undefined ? standing?.end : undefined, identity?.credential.expiresAt].filter((end) => end !== undefined);
  const validUntil = Math.min(...ends) as Instant;
  if (!(now.latest < validUntil)) throw new Denied(endedReason(progress, relied));
  return {
    validUntil,
    verdict,
    ...(relied === undefined ? {} : { relied }),
    ...(relied === undefined && standing !== undefined ? { standing } : {}),
  };
};
