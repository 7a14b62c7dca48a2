/** CheckRequest to evaluation. Total: whatever can't be read or understood becomes an evaluation that is refused, with its reason. */
import type { Evaluation, Peer, Presented } from '../../decision/evaluation.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Reason } from '../../domain/reasons.ts';
import type { PepConfig } from '../config.ts';
import { buildHttpQuestion, type HttpQuestionOutcome, type HttpQuestionRules } from '../http-question.ts';
import { parseTraceparent } from '../../telemetry/trace-context.ts';
import type { PepOutcome } from '../pep.ts';
import { readPresented } from '../presented.ts';
import type { CheckRequest, HttpAttributes } from './check-request.ts';
import type { EnvoyGatewayConfig } from './config.ts';
import { pseudoHeadersAgree, repeatsSingle, requestHeaders, targetMayDiffer, type RequestHeaders } from './headers.ts';
import { peerOf, thumbprintOf } from './peer.ts';
import { policyInput } from './policy-input.ts';

export interface Asked {
  readonly evaluation: Evaluation;
  /** Client headers of Curfew's own family, to be removed before the upstream. */
  readonly ownHeaders: readonly string[];
}

export interface AskContext {
  readonly id: string;
  readonly pep: PepOutcome;
  readonly config: EnvoyGatewayConfig;
  /** `undefined`: an anonymous enforcement point. */
  readonly rulesFor: (pep: PepConfig | undefined) => HttpQuestionRules;
}

const NOBODY = { id: undefined, obligations: [] } as const;

const realmOf = ({ config, pep }: AskContext): string => config.realm ?? (pep.ok ? pep.config?.realms[0] : undefined) ?? 'default';

const callerFault = (context: AskContext, subject: 'token' | 'peer'): Reason | undefined => {
  const { pep } = context;
  if (!pep.ok) return pep.reason;
  if (pep.config !== undefined && !pep.config.realms.includes(realmOf(context))) return 'pep.not_permitted';
  // Whoever has not proved itself asserts nothing, least of all a peer.
  if (subject === 'peer' && pep.pep.id === undefined) return 'pep.unauthenticated';
  return undefined;
};

const base = (context: AskContext): Pick<Evaluation, 'id' | 'realm' | 'protocol' | 'pep' | 'sentWithTurn'> => ({
  id: context.id,
  realm: realmOf(context),
  protocol: 'ext-authz-grpc',
  pep: context.pep.ok ? context.pep.pep : NOBODY,
  // node:http2 hands frames to the socket when the loop's turn ends.
  sentWithTurn: true,
});

const tokenOf = (headers: RequestHeaders, http: HttpAttributes, asked: HttpQuestionOutcome, peer: Peer | undefined): Presented =>
  readPresented(headers.byName, {
    method: http.method ?? '',
    url: asked.ok ? `${asked.scheme}://${asked.host}${asked.rawPath}` : undefined,
    x5t: thumbprintOf(peer),
  });

/** The evaluation for a request that can't be read. */
export const refusedEvaluation = (context: AskContext, refused: Reason): Evaluation => ({
  ...base(context), presented: { kind: 'none' }, input: {}, refused: callerFault(context, 'token') ?? refused,
});

export const evaluationOf = (request: CheckRequest, context: AskContext): Asked => {
  const http = request.attributes?.request?.http;
  if (http === undefined) return { evaluation: refusedEvaluation(context, 'request.malformed'), ownHeaders: [] };
  const { pep, config } = context;
  const headers = requestHeaders(http);
  const subject = config.subject ?? (pep.ok ? pep.config?.subject : undefined) ?? 'token';
  const believed = pep.ok && pep.pep.id !== undefined;
  const source = request.attributes?.source;
  const peer = believed ? peerOf(source) : undefined;
  const asked = buildHttpQuestion(
    {
      method: http.method ?? '', scheme: http.scheme ?? '', authority: http.host ?? '', target: http.path ?? '', headers: headers.byName,
      source: source?.address?.socketAddress?.address,
    },
    context.rulesFor(pep.ok ? pep.config : undefined),
  );
  const presented: Presented = subject === 'token' ? tokenOf(headers, http, asked, peer) : peer === undefined ? { kind: 'none' } : { kind: 'peer', peer };
  const input = policyInput(request, http, headers, config.bodies);
  const refused = callerFault(context, subject)
    ?? (repeatsSingle(headers) || targetMayDiffer(http) || !pseudoHeadersAgree(headers, http) ? 'request.ambiguous' : undefined)
    ?? (asked.ok ? undefined : asked.reason)
    ?? input.refused;
  const trace = headers.byName.get('traceparent');
  const evaluation: Evaluation = {
    ...base(context),
    presented,
    input: input.document as JsonObject,
    ...(subject === 'token' && peer !== undefined ? { otherPeer: peer } : {}),
    ...(asked.ok ? { question: asked.question } : {}),
    ...(refused === undefined ? {} : { refused }),
    ...(trace?.length === 1 && parseTraceparent(trace[0]) !== undefined ? { traceparent: trace[0] as string } : {}),
  };
  return { evaluation, ownHeaders: headers.own };
};
