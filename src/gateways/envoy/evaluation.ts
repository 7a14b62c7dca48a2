/** CheckRequest to evaluation. Total: whatever can't be read or understood becomes an evaluation that is refused, with its reason. */
import type { Evaluation, Peer, Presented } from '../../decision/evaluation.ts';
import type { Turn } from '../../decision/loop-turns.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Reason } from '../../domain/reasons.ts';
import type { PepConfig } from '../config.ts';
import { buildHttpQuestion, type HttpQuestionOutcome, type HttpQuestionRules } from '../http-question.ts';
import { parseTraceparent } from '../../telemetry/trace-context.ts';
import type { PepOutcome } from '../pep.ts';
import { readPresented } from '../presented.ts';
import type { CheckRequest, HttpAttributes } from './check-request.ts';
import type { GrpcBodies } from './grpc-body.ts';
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
  /** Describes messages of gRPC, where it is configured. */
  readonly grpcBodies?: GrpcBodies | undefined;
  readonly sentWith: Turn;
}

const NOBODY = { id: undefined, obligations: [] } as const;

/** What the route says, in Envoy's own configuration (`context_extensions`): never the client's word. */
export const POLICY_EXTENSION = 'curfew.policy';
export const REALM_EXTENSION = 'curfew.realm';

type Extensions = Readonly<Record<string, string>>;

const NO_EXTENSIONS: Extensions = {};

const extension = (extensions: Extensions, name: string): string | undefined => (Object.hasOwn(extensions, name) ? extensions[name] : undefined);

/** A realm of the listener is not overruled; one that is asked for must be among those of an enforcement point that proved itself. */
const realmOf = ({ config, pep }: AskContext, extensions: Extensions = NO_EXTENSIONS): string =>
  config.realm ?? extension(extensions, REALM_EXTENSION) ?? (pep.ok ? pep.config?.realms[0] : undefined) ?? 'default';

const extensionFault = ({ config, pep }: AskContext, extensions: Extensions): Reason | undefined => {
  const policy = extension(extensions, POLICY_EXTENSION);
  const realm = extension(extensions, REALM_EXTENSION);
  if (policy !== undefined && !config.policies.includes(policy)) return 'pep.not_permitted';
  if (realm === undefined || realm === config.realm) return undefined;
  return config.realm === undefined && pep.ok && pep.config?.realms.includes(realm) === true ? undefined : 'pep.not_permitted';
};

const callerFault = (context: AskContext, subject: 'token' | 'peer', extensions: Extensions = NO_EXTENSIONS): Reason | undefined => {
  const { pep } = context;
  if (pep.ok) {
    const fault = extensionFault(context, extensions);
    if (fault !== undefined) return fault;
  }
  if (!pep.ok) return pep.reason;
  if (pep.config !== undefined && !pep.config.realms.includes(realmOf(context, extensions))) return 'pep.not_permitted';
  // Whoever has not proved itself asserts nothing, least of all a peer.
  if (subject === 'peer' && pep.pep.id === undefined) return 'pep.unauthenticated';
  return undefined;
};

const base = (context: AskContext, extensions: Extensions = NO_EXTENSIONS): Pick<Evaluation, 'id' | 'realm' | 'protocol' | 'pep' | 'sentWith'> => ({
  id: context.id,
  realm: realmOf(context, extensions),
  protocol: 'ext-authz-grpc',
  pep: context.pep.ok ? context.pep.pep : NOBODY,
  sentWith: context.sentWith,
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
  const extensions = request.attributes?.contextExtensions ?? NO_EXTENSIONS;
  const rule = extension(extensions, POLICY_EXTENSION);
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
  const input = policyInput(request, http, headers, config.bodies, context.grpcBodies);
  const refused = callerFault(context, subject, extensions)
    ?? (repeatsSingle(headers) || targetMayDiffer(http) || !pseudoHeadersAgree(headers, http) ? 'request.ambiguous' : undefined)
    ?? (asked.ok ? undefined : asked.reason)
    ?? input.refused;
  const trace = headers.byName.get('traceparent');
  const evaluation: Evaluation = {
    ...base(context, extensions),
    ...(rule === undefined ? {} : { rule }),
    presented,
    input: input.document as JsonObject,
    ...(subject === 'token' && peer !== undefined ? { otherPeer: peer } : {}),
    ...(asked.ok ? { question: asked.question } : {}),
    ...(refused === undefined ? {} : { refused }),
    ...(trace?.length === 1 && parseTraceparent(trace[0]) !== undefined ? { traceparent: trace[0] as string } : {}),
  };
  return { evaluation, ownHeaders: headers.own };
};
