/**
 * From a gateway's HTTP request to one evaluation. Total: whatever can't be read or isn't permitted becomes an evaluation that
 * is refused with its reason, so that it is decided and recorded like every other.
 */
import type { Evaluation, Peer, Presented, Protocol, Unable } from '../../decision/evaluation.ts';
import type { Reason } from '../../domain/reasons.ts';
import type { PepConfig } from '../config.ts';
import type { Original } from '../forward-auth/original.ts';
import type { HttpQuestionOutcome, HttpQuestionRules, RawHttpRequest } from '../http-question.ts';
import { buildHttpQuestion } from '../http-question.ts';
import type { PepAuthenticator, PepOutcome } from '../pep.ts';
import { PEP_TOKEN_HEADER } from '../pep.ts';
import { readPresented } from '../presented.ts';
import { readClientCertificate } from './client-certificate.ts';
import { httpPolicyInput } from './policy-input.ts';
import { parseTraceparent } from '../../telemetry/trace-context.ts';
import { once } from './request.ts';
import type { HttpRequest } from './request.ts';

export interface HttpProtocol {
  readonly name: Extract<Protocol, 'forward-auth' | 'ext-authz-http'>;
  readonly readOriginal: (request: HttpRequest, pep: Pick<PepConfig, 'headers' | 'scheme'>) => Original;
  readonly unable: Unable;
}

export interface HttpContext {
  readonly authenticatePep: PepAuthenticator;
  readonly rulesFor: (pep: PepConfig | undefined) => HttpQuestionRules;
  /** Of the listener; `undefined` leaves it to the enforcement point. */
  readonly realm: string | undefined;
  readonly subject: PepConfig['subject'] | undefined;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const NO_TOKENS: readonly string[] = [];
const NOBODY = { id: undefined, obligations: [] } as const;
const ANONYMOUS = { headers: 'x-forwarded', scheme: 'http' } as const;

const pepFault = (outcome: PepOutcome, realm: string, subject: PepConfig['subject']): Reason | undefined => {
  if (!outcome.ok) return outcome.reason;
  if (outcome.config?.realms.includes(realm) === false) return 'pep.not_permitted';
  // Whoever has not proved itself asserts nothing, least of all a peer.
  return subject === 'peer' && outcome.pep.id === undefined ? 'pep.unauthenticated' : undefined;
};

const presentedBy = (subject: PepConfig['subject'], raw: RawHttpRequest, asked: HttpQuestionOutcome, peer: Peer | undefined, x5t: string | undefined): Presented => {
  if (subject === 'peer') return peer === undefined ? { kind: 'none' } : { kind: 'peer', peer };
  const url = asked.ok ? `${asked.scheme}://${asked.host}${asked.rawPath}` : undefined;
  return readPresented(raw.headers, { method: raw.method, url, x5t });
};

export const httpEvaluation = (id: string, request: HttpRequest, protocol: HttpProtocol, context: HttpContext): Evaluation => {
  const { headers } = request;
  const outcome = context.authenticatePep({ listener: request.evidence.listener, certificate: request.evidence.certificate, tokens: headers.get(PEP_TOKEN_HEADER) ?? NO_TOKENS });
  const config = outcome.ok ? outcome.config : undefined;
  const realm = context.realm ?? config?.realms[0] ?? 'default';
  const subject = context.subject ?? config?.subject ?? 'token';
  const pep = outcome.ok ? outcome.pep : NOBODY;
  const refuse = (refused: Reason): Evaluation => ({ id, realm, protocol: protocol.name, pep, unable: protocol.unable, presented: { kind: 'none' }, input: {}, refused });

  const fault = request.tooLarge ? 'request.too_large' : pepFault(outcome, realm, subject);
  if (fault !== undefined) return refuse(fault);
  const original = protocol.readOriginal(request, config ?? ANONYMOUS);
  if (!original.ok) return refuse(original.reason);
  const { raw } = original;
  const asked = buildHttpQuestion(raw, context.rulesFor(config));
  const certificate = readClientCertificate(headers, config?.xfcc);
  const refused = asked.ok ? (certificate.ok ? undefined : certificate.reason) : asked.reason;
  const peer = certificate.ok ? certificate.peer : undefined;
  const traceparent = once(headers, 'traceparent');
  // Members are assigned: V8 makes a class of its own for every object that begins with a spread and then grows.
  const evaluation: Writable<Evaluation> = {
    id, realm, protocol: protocol.name, pep, unable: protocol.unable,
    presented: presentedBy(subject, raw, asked, peer, certificate.ok ? certificate.x5t : undefined),
    input: httpPolicyInput(id, raw, asked),
  };
  if (subject === 'token' && peer !== undefined) evaluation.otherPeer = peer;
  if (asked.ok) evaluation.question = asked.question;
  if (refused !== undefined) evaluation.refused = refused;
  if (traceparent !== undefined && parseTraceparent(traceparent) !== undefined) evaluation.traceparent = traceparent;
  return evaluation;
};
