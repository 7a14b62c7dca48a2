/**
 * Asks the API server of a Kubernetes cluster whether a token of its still counts (TokenReview): one that is bound to a pod does not once the pod is
 * deleted, which its signature does not tell. What was answered is remembered for `keepMs`, counted from before it was asked, on the monotonic
 * clock; half-way it is asked again beside the decisions. A token of which nothing is known in time is refused, and so is one of whom the answer
 * speaks as of somebody else.
 */
import { hash } from 'node:crypto';
import { readBounded } from '../bounded/file.ts';
import { getBytes } from '../bounded/get.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import type { Reason } from '../domain/reasons.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import type { OidcConfig } from './config.ts';
import type { OnIdentityEvent } from './events.ts';
import { createRemembered } from './remembered.ts';

export type TokenReviewConfig = NonNullable<OidcConfig['tokenReview']>;

const PATH = '/apis/authentication.k8s.io/v1/tokenreviews';
const ANSWER_BYTES_MAX = 65_536;
const SECRET_BYTES_MAX = 65_536;
const REMEMBERED_MAX = 100_000;
/** Beyond that many questions at once, further tokens are not asked about: they are refused, and come again. */
const AT_ONCE_MAX = 64;

type Verdict = 'live' | 'gone';
interface Known {
  readonly verdict: Verdict;
  readonly askedAtMs: number;
}

export interface TokenReview {
  /** `undefined`: it counts. */
  fault(token: string, claims: JsonObject): Reason | undefined | Promise<Reason | undefined>;
  close(): void;
}

const FAULT: Readonly<Record<Verdict, Reason | undefined>> = { live: undefined, gone: 'credential.gone' };

/** What the API server said, if that can be understood at all. */
const verdictOf = (answer: JsonValue | undefined, claims: JsonObject, audiences: readonly string[]): Verdict | undefined => {
  const status = isJsonObject(answer) && answer['kind'] === 'TokenReview' ? answer['status'] : undefined;
  if (!isJsonObject(status)) return undefined;
  if (status['authenticated'] !== true) return status['authenticated'] === undefined || status['authenticated'] === false ? 'gone' : undefined;
  const { user, audiences: confirmed } = status;
  const sameUser = isJsonObject(user) && typeof claims['sub'] === 'string' && user['username'] === claims['sub'];
  // A server that knows of audiences says which of those asked for it confirms (`spec.audiences`); one that does not has not looked.
  const forUs = Array.isArray(confirmed) && confirmed.some((audience) => typeof audience === 'string' && audiences.includes(audience));
  return sameUser && forUs ? 'live' : 'gone';
};

export const createTokenReview = ({ config, audiences, issuer, monotonicMs, onEvent }: {
  readonly config: TokenReviewConfig;
  /** Of the issuer: what a token must be for. */
  readonly audiences: readonly string[];
  readonly issuer: string;
  readonly monotonicMs: () => number;
  readonly onEvent: OnIdentityEvent;
}): TokenReview => {
  const known = createRemembered<Known>(REMEMBERED_MAX);
  const underWay = new Map<string, Promise<Known | undefined>>();
  const stop = new AbortController();
  let reported: string | undefined;
  const report = (detail: string | undefined): void => {
    if (detail !== undefined && detail !== reported) onEvent({ kind: 'review.failed', issuer, detail });
    reported = detail;
  };

  const post = async (token: string, claims: JsonObject): Promise<Verdict | string> => {
    const bearer = readBounded(config.bearerTokenFile, SECRET_BYTES_MAX);
    const ca = config.ca === undefined ? undefined : readBounded(config.ca, SECRET_BYTES_MAX);
    if ('fault' in bearer) return `${config.bearerTokenFile} ${bearer.fault}`;
    if (ca !== undefined && 'fault' in ca) return `${config.ca} ${ca.fault}`;
    const got = await getBytes({
      url: new URL(PATH, config.url), timeoutMs: config.timeoutMs, bytesMax: ANSWER_BYTES_MAX, signal: stop.signal, bearerToken: bearer.text.trim(), ...(ca === undefined ? {} : { ca: ca.text }),
      headers: { accept: 'application/json' },
      send: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences } }),
    });
    if ('fault' in got) return got.fault;
    return verdictOf(parseStrictJson(got.bytes?.toString('utf8') ?? ''), claims, audiences) ?? 'gave an answer that is no TokenReview';
  };

  const ask = (key: string, token: string, claims: JsonObject): Promise<Known | undefined> => {
    const asking = underWay.get(key);
    if (asking !== undefined) return asking;
    if (underWay.size >= AT_ONCE_MAX) return Promise.resolve(undefined);
    const work = (async (): Promise<Known | undefined> => {
      const askedAtMs = monotonicMs();
      const answer = await post(token, claims).catch(() => 'could not be asked');
      if (answer !== 'live' && answer !== 'gone') {
        report(answer);
        return undefined;
      }
      report(undefined);
      const entry: Known = { verdict: answer, askedAtMs };
      known.set(key, key.length, entry);
      return entry;
    })().finally(() => underWay.delete(key));
    underWay.set(key, work);
    return work;
  };

  const isYoung = (entry: Known | undefined, withinMs: number): entry is Known => entry !== undefined && monotonicMs() - entry.askedAtMs < withinMs;

  return {
    fault: (token, claims) => {
      const key = hash('sha256', token, 'base64');
      const entry = known.get(key);
      if (isYoung(entry, config.keepMs)) {
        if (entry.verdict === 'live' && !isYoung(entry, config.keepMs / 2)) void ask(key, token, claims);
        return FAULT[entry.verdict];
      }
      return ask(key, token, claims).then((answer) => (isYoung(answer, config.keepMs) ? FAULT[answer.verdict] : 'credential.review_unavailable'));
    },
    close: () => stop.abort(),
  };
};
