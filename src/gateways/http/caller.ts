/**
 * Who asks over a JSON protocol. The bearer token of such a request is the enforcement point's own, not the subject's: it proves the
 * same as `x-curfew-pep-token`, and one that fits nobody denies. Whoever proved nothing asserts nothing.
 */
import type { Evaluation, Pep } from '../../decision/evaluation.ts';
import type { Reason } from '../../domain/reasons.ts';
import { parseTraceparent } from '../../telemetry/trace-context.ts';
import type { PepConfig } from '../config.ts';
import { PEP_TOKEN_HEADER, type PepAuthenticator } from '../pep.ts';
import { once, type HttpRequest } from './request.ts';

export interface Caller {
  readonly pep: Pep;
  /** Absent for an anonymous one. */
  readonly config: PepConfig | undefined;
  readonly realm: string;
  /** Why nothing it asks is answered with yes. */
  readonly fault?: Reason;
}

export type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** The evaluation itself, with what is known of its request. */
export const withBase = (evaluation: Writable<Evaluation>, { traceparent, arrivedMs }: Pick<Evaluation, 'traceparent' | 'arrivedMs'>): Evaluation => {
  if (arrivedMs !== undefined) evaluation.arrivedMs = arrivedMs;
  if (traceparent !== undefined) evaluation.traceparent = traceparent;
  return evaluation;
};

const BEARER = /^bearer +([\x21-\x7e]+)$/i;
const NOBODY: Pep = { id: undefined, obligations: [] };

const NONE: readonly string[] = [];

/** Fits nobody: an `Authorization` line that is no bearer token. */
const OTHER = 'not a bearer token';

const tokensOf = ({ headers }: HttpRequest): readonly string[] => {
  const own = headers.get(PEP_TOKEN_HEADER) ?? NONE;
  const lines = headers.get('authorization');
  return lines === undefined ? own : [...own, ...lines.map((line) => BEARER.exec(line)?.[1] ?? OTHER)];
};

export const identifyCaller = (request: HttpRequest, authenticatePep: PepAuthenticator, listenerRealm: string | undefined): Caller => {
  const outcome = authenticatePep({ ...request.evidence, tokens: tokensOf(request) });
  const config = outcome.ok ? outcome.config : undefined;
  const realm = listenerRealm ?? config?.realms[0] ?? 'default';
  if (!outcome.ok) return { pep: NOBODY, config, realm, fault: outcome.reason };
  return config?.realms.includes(realm) === false ? { pep: outcome.pep, config, realm, fault: 'pep.not_permitted' } : { pep: outcome.pep, config, realm };
};

export const traceOf = ({ headers }: HttpRequest): Pick<Evaluation, 'traceparent'> => {
  const traceparent = once(headers, 'traceparent');
  return traceparent !== undefined && parseTraceparent(traceparent) !== undefined ? { traceparent } : {};
};
