/**
 * For applications that enforce Curfew's decisions themselves. Guarantees: a yes is one that Curfew gave, and only while it holds: counted
 * from before the question left, on the wall clock and on elapsed time, whichever is later; anything else, a failure included, is a no.
 * `evaluate` never rejects. Not promised: that nothing was revoked since; ask at each use, `holds` is for the while of one use.
 */
import { createClock } from '../time/clock.ts';

type Text = string | (() => string | Promise<string>);

export interface CurfewOptions {
  /** Of the HTTP listener, such as `http://127.0.0.1:8181`. */
  readonly url: string;
  /** Proves which enforcement point asks; a function where it changes. */
  readonly token?: Text;
  /** How long an answer may take; default 1,000 ms. */
  readonly timeoutMs?: number;
  /** Administration, where access is requested. */
  readonly requests?: { readonly url: string; readonly token: Text };
  /** For tests and other runtimes. */
  readonly fetch?: typeof globalThis.fetch;
  readonly clock?: ClientClock;
}

export interface ClientClock {
  /** Epoch milliseconds that never run backwards; `trusted` false is a no. */
  now(): { readonly latest: number; readonly trusted: boolean };
}

export interface Question {
  /** Id of the workload, which the enforcement point must be allowed to assert, or the credential that it presented. */
  readonly subject: string | { readonly credential: string };
  readonly action: string;
  readonly resource: { readonly type: string; readonly id: string };
  readonly context?: Readonly<Record<string, unknown>>;
}

export interface Obligation {
  readonly id: string;
  readonly type: string;
  readonly properties?: Readonly<Record<string, unknown>>;
}

export interface Allowed {
  readonly allowed: true;
  readonly decisionId: string;
  /** By the clock of Curfew. */
  readonly validUntil: Date;
  /** What the enforcement point said it can carry out, and now must. */
  readonly obligations: readonly Obligation[];
  /** Is it still a yes? */
  holds(): boolean;
}

export interface Refused {
  readonly allowed: false;
  /** As the answer said it; `unavailable` without one. */
  readonly reason: string;
  readonly decisionId?: string;
  /** Where access can be asked for. */
  readonly accessRequest?: Readonly<Record<string, unknown>>;
}

export type Answer = Allowed | Refused;

export interface CurfewClient {
  evaluate(question: Question): Promise<Answer>;
  /**
   * Asks for access; gives the request. Rejects with what is wrong. With the workload's own `credential` it asks for itself at Curfew (the body of
   * `POST /self/v1/requests`), else a person asks at administration (`POST /v1/requests`). Never at an address that an answer named.
   */
  requestAccess(body: Readonly<Record<string, unknown>>, as?: { readonly credential: string }): Promise<Readonly<Record<string, unknown>>>;
}

const ANSWER_CHARS_MAX = 1_048_576;
const MAX_VALID_MS = 366 * 86_400_000;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

const textOf = async (text: Text): Promise<string> => (typeof text === 'function' ? text() : text);

const bodyOf = ({ subject, action, resource, context }: Question) => ({
  subject: typeof subject === 'string' ? { type: 'workload', id: subject } : { type: 'workload', id: 'credential', properties: { credential: subject.credential } },
  action: { name: action }, resource: { type: resource.type, id: resource.id }, ...(context === undefined ? {} : { context }),
});

const refused = (reason: string, context: Record<string, unknown> = {}): Refused => ({
  allowed: false, reason,
  ...(typeof context['decision_id'] === 'string' ? { decisionId: context['decision_id'] } : {}),
  ...(isObject(context['access_request']) ? { accessRequest: context['access_request'] } : {}),
});

const UNAVAILABLE = refused('unavailable');

export const createCurfewClient = (options: CurfewOptions): CurfewClient => {
  const { timeoutMs = 1_000, fetch = globalThis.fetch, clock = createClock({ maxClockStepMs: 60_000 }) } = options;
  const base = options.url.replace(/\/+$/, '');

  const post = async (url: string, token: Text | undefined, body: unknown): Promise<Response> =>
    fetch(url, {
      method: 'POST', redirect: 'error', signal: AbortSignal.timeout(timeoutMs), body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${await textOf(token)}` }) },
    });

  const understand = (answer: unknown, askedAt: number): Answer => {
    if (!isObject(answer)) return UNAVAILABLE;
    const context = isObject(answer['context']) ? answer['context'] : {};
    if (answer['decision'] !== true) return refused(typeof context['reason'] === 'string' ? context['reason'] : 'denied', context);
    const { decision_id: decisionId, valid_until: until, valid_ms: validMs, obligations = [] } = context;
    const validUntil = new Date(typeof until === 'string' ? until : Number.NaN);
    if (typeof decisionId !== 'string' || !Number.isFinite(validUntil.getTime()) || typeof validMs !== 'number' || !Array.isArray(obligations)) return UNAVAILABLE;
    const holds = (): boolean => {
      const { latest, trusted } = clock.now();
      return trusted && validMs <= MAX_VALID_MS && latest < askedAt + validMs;
    };
    return holds() ? { allowed: true, decisionId, validUntil, obligations: obligations as readonly Obligation[], holds } : refused('ended', context);
  };

  return {
    evaluate: async (question) => {
      try {
        const { latest: askedAt } = clock.now();
        const response = await post(`${base}/access/v1/evaluation`, options.token, bodyOf(question));
        const text = await response.text();
        if (response.status !== 200 || text.length > ANSWER_CHARS_MAX) return response.status === 401 ? refused('unauthenticated') : UNAVAILABLE;
        return understand(JSON.parse(text), askedAt);
      } catch {
        return UNAVAILABLE;
      }
    },
    requestAccess: async (body, as) => {
      const { requests } = options;
      if (as === undefined && requests === undefined) throw new Error('the client was not told where to request access (`requests`)');
      const at = requests?.url.replace(/\/+$/, '') ?? '';
      const response = await (as === undefined ? post(`${at}/v1/requests`, requests?.token, body) : post(`${base}/self/v1/requests`, as.credential, body));
      const answer: unknown = await response.json().catch(() => undefined);
      if ((response.status === 201 || (as !== undefined && response.status === 200)) && isObject(answer)) return answer;
      const detail = isObject(answer) && typeof answer['detail'] === 'string' ? answer['detail'] : 'no answer that says why';
      throw new Error(`access was not requested (${response.status}): ${detail}`);
    },
  };
};
