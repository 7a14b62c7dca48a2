/**
 * `envoy.service.auth.v3.Authorization`. Every CheckRequest gets a CheckResponse that allows or denies; bytes that are none,
 * messages too long or cut short get a denial as well, so that no setting of Envoy's decides in our place. The response is
 * written in the breath of the re-check; HTTP/2 sends it with the read that brought the question or when the loop's turn ends, which `sentWith` tells `decide`.
 */
import { randomUUID } from 'node:crypto';
import type { Decision, Evaluation } from '../../decision/evaluation.ts';
import { ownTurn, type Turn } from '../../decision/loop-turns.ts';
import type { Reason } from '../../domain/reasons.ts';
import type { GrpcCall, GrpcMethod, GrpcPeer, Send } from '../../grpc/method.ts';
import { GRPC_STATUS, GrpcFault } from '../../grpc/status.ts';
import type { PepConfig } from '../config.ts';
import type { HttpQuestionRules } from '../http-question.ts';
import { pepCertificateOf } from '../pep-certificate.ts';
import { PEP_TOKEN_HEADER, reachOf, type ListenerBinding, type PepAuthenticator, type PepCertificate, type PepOutcome } from '../pep.ts';
import { ADMITS_ALL, type Admission } from '../admission.ts';
import { bareDenial, checkResponse, shedDenial, type AnswerOptions } from './answer.ts';
import { readCheckRequest } from './check-request.ts';
import type { EnvoyGatewayConfig } from './config.ts';
import type { GrpcBodies } from './grpc-body.ts';
import { evaluationOf, refusedEvaluation, type AskContext, type Asked } from './evaluation.ts';

export interface EnvoyGatewayDeps {
  /** Total: never rejects. Calls `write` in the breath of its re-check, and resolves to the same decision. */
  readonly decide: (evaluation: Evaluation, write: (decision: Decision) => void) => Promise<Decision>;
  /** The answer to this decision could not be sent. */
  readonly notEmitted?: ((decision: string) => void) | undefined;
  readonly config: EnvoyGatewayConfig;
  readonly pep: PepAuthenticator;
  /** Routes, and the authorities that this enforcement point may ask about; `undefined` for an anonymous one. */
  readonly rulesFor: (pep: PepConfig | undefined) => HttpQuestionRules;
  /** Development: the fine reason and the grant are on the wire. */
  readonly fineReasons: boolean;
  /** The deadline of decisions, and the clock it is told by: time in line counts. */
  readonly patience?: { readonly monotonicMs: () => number; readonly deadlineMs: number } | undefined;
  /** Describes messages of gRPC, where it is configured. */
  readonly grpcBodies?: GrpcBodies | undefined;
  /** Is there room for one more question? Absent: always. */
  readonly admission?: Admission | undefined;
  /** For tests: how a question gets its turn of the loop. */
  readonly turn?: () => Turn | Promise<Turn>;
}

export interface EnvoyGateway {
  readonly services: readonly string[];
  readonly methods: readonly (readonly [path: string, method: GrpcMethod])[];
}

export const AUTHORIZATION_SERVICE = 'envoy.service.auth.v3.Authorization';

const PROTOCOL = 'ext-authz-grpc';

/** Without a limit, or a clock to tell how long it was, nothing has passed. */
const hasPassed = (limitMs: number | undefined, waitedMs: number | undefined): boolean => limitMs !== undefined && waitedMs !== undefined && !(waitedMs < limitMs);

export const createEnvoyGateway = ({ decide, notEmitted, config, pep, rulesFor, fineReasons, patience, grpcBodies, admission = ADMITS_ALL, turn = ownTurn }: EnvoyGatewayDeps): EnvoyGateway => {
  const certificates = new WeakMap<GrpcPeer, PepCertificate>();
  const certificateFor = (peer: GrpcPeer): PepCertificate | undefined => {
    if (peer.certificate === undefined) return undefined;
    let certificate = certificates.get(peer);
    if (certificate === undefined) certificates.set(peer, (certificate = pepCertificateOf(peer.certificate)));
    return certificate;
  };

  const overNetwork: ListenerBinding = { id: config.id, reach: reachOf(config.host), pep: config.pep };
  const overUnix: ListenerBinding = { id: config.id, reach: 'unix', pep: config.pep };
  const identify = ({ peer, metadata }: GrpcCall): PepOutcome => {
    const token = metadata[PEP_TOKEN_HEADER];
    return pep({
      listener: peer.transport === 'unix' ? overUnix : overNetwork,
      tokens: token === undefined ? [] : Array.isArray(token) ? token : [token],
      certificate: certificateFor(peer),
    });
  };

  const refusing = (reason: Reason) => (context: AskContext): Asked => ({ evaluation: refusedEvaluation(context, reason), ownHeaders: [] });

  /** Rejects only for a question that nobody waits for: what breaks here is a denial, since Envoy might be told to let errors pass. */
  const answer = async (call: GrpcCall, send: Send, ask: (context: AskContext) => Asked): Promise<Uint8Array> => {
    const id = randomUUID();
    if (!admission.enter(PROTOCOL)) return shedDenial(id);
    try {
      const arrivedMs = patience?.monotonicMs();
      const given = turn();
      const sentWith = given instanceof Promise ? await given : given;
      const waitedMs = patience === undefined || arrivedMs === undefined ? undefined : patience.monotonicMs() - arrivedMs;
      // Its own timer may be late, on a loop with much to do.
      if (hasPassed(call.timeoutMs, waitedMs) || call.over()) {
        admission.expired(PROTOCOL);
        throw new GrpcFault(GRPC_STATUS.DEADLINE_EXCEEDED, 'the deadline has passed');
      }
      const { evaluation: asked, ownHeaders } = (hasPassed(patience?.deadlineMs, waitedMs) ? refusing('decision.deadline') : ask)({ id, pep: identify(call), config, rulesFor, grpcBodies, sentWith });
      const evaluation = arrivedMs === undefined ? asked : { ...asked, arrivedMs };
      const options: AnswerOptions = { fineReasons, ownHeaders, stream: evaluation.question?.stream !== undefined };
      let sent: Uint8Array | undefined;
      let left = false;
      const decision = await decide(evaluation, (made) => {
        left = send((sent = checkResponse(made, options)));
      });
      if (sent !== undefined && !left) notEmitted?.(id);
      return sent ?? checkResponse(decision, options);
    } catch (error) {
      if (error instanceof GrpcFault) throw error;
      return bareDenial(id);
    } finally {
      admission.leave();
    }
  };

  const check: GrpcMethod = {
    kind: 'unary',
    handle: (message, call, send) => answer(call, send, (context) => {
      const request = readCheckRequest(message);
      return request === undefined ? refusing('request.malformed')(context) : evaluationOf(request, context);
    }),
    refuse: (fault, call, send) => answer(call, send, refusing(fault.status === GRPC_STATUS.RESOURCE_EXHAUSTED ? 'request.too_large' : 'request.malformed')),
  };

  return { services: [AUTHORIZATION_SERVICE], methods: [[`/${AUTHORIZATION_SERVICE}/Check`, check]] };
};
