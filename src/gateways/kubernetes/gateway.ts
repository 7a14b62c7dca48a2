/**
 * Webhook authorizer of Kubernetes. Where the configuration gives Curfew an opinion the answer is final: allowed, or `denied: true`. An
 * error would leave the request to the other authorizers, so what can't be read is denied as well. Outside of its opinions it has none, and
 * counts that. 401 only says that the API server did not prove who it is.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Decider } from '../../decision/decide.ts';
import type { Decision, Evaluation, Presented } from '../../decision/evaluation.ts';
import type { JsonObject } from '../../domain/json.ts';
import { wireReason, type Reason } from '../../domain/reasons.ts';
import type { PepConfig } from '../config.ts';
import { toldReason } from '../denial.ts';
import { readJsonBody, writeJson, type HttpApi } from '../http/api.ts';
import type { Emission } from '../http/emission.ts';
import { identifyCaller, traceOf, withBase, type Caller, type Writable } from '../http/caller.ts';
import { pathOf, type HttpRequest } from '../http/request.ts';
import type { HttpQuestionRules } from '../http-question.ts';
import type { PepAuthenticator } from '../pep.ts';
import { accessFault } from '../resource.ts';
import { subjectOf } from '../subject.ts';
import type { KubernetesConfig } from './config.ts';
import { hasOpinion, readReview, workloadOf, type Review } from './review.ts';

export const AUTHORIZE_PATH = '/kubernetes/v1/authorize';

export interface KubernetesDeps {
  readonly decide: Decider['decide'];
  /** Told of every answer; absent: nobody wants to know. */
  readonly emitted?: Emission | undefined;
  readonly config: KubernetesConfig;
  readonly peps: PepAuthenticator;
  readonly rulesFor: (pep: PepConfig | undefined) => HttpQuestionRules;
  /** Of the listener; `undefined` leaves it to the enforcement point. */
  readonly realm: string | undefined;
  readonly fineReasons: boolean;
  readonly monotonicMs: () => number;
  /** A review was left to the other authorizers. */
  readonly onNoOpinion: () => void;
}

const review = (status: JsonObject): string => JSON.stringify({ apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', status });

const NO_OPINION = review({ allowed: false, reason: 'curfew has no opinion about this' });
const BROKEN = review({ allowed: false, denied: true, reason: 'unavailable', evaluationError: 'nothing was decided' });

const answerOf = (decision: Decision, fineReasons: boolean): string => {
  if (decision.allow === true) return review({ allowed: true, reason: `curfew decision ${decision.id}` });
  const unavailable = wireReason(decision.reason) === 'unavailable';
  const reason = toldReason(decision, fineReasons);
  return review({ allowed: false, denied: true, reason: `${reason} (curfew decision ${decision.id})`, ...(unavailable ? { evaluationError: reason } : {}) });
};

const UNABLE = { removeHeaders: true, query: true, headers: 'any' } as const;
const NONE: Presented = { kind: 'none' };

const evaluationOf = (id: string, asked: Review | undefined, caller: Caller, rules: HttpQuestionRules, config: KubernetesConfig, refusal: Reason): Writable<Evaluation> => {
  const base = { id, realm: caller.realm, protocol: 'kubernetes' as const, pep: caller.pep, unable: UNABLE };
  if (asked === undefined) return { ...base, presented: NONE, input: {}, refused: caller.fault ?? refusal };
  const { action, resource, user, spec } = asked;
  const workload = workloadOf(user, config);
  const subject = workload === undefined ? undefined : subjectOf(undefined, workload, caller.config);
  const refused = caller.fault ?? (subject === undefined ? 'subject.malformed' : subject.ok ? undefined : subject.reason) ?? accessFault(action, resource, rules);
  // Members are assigned: V8 makes a class of its own for every object that begins with a spread and then grows.
  const evaluation: Writable<Evaluation> = {
    id, realm: caller.realm, protocol: 'kubernetes', pep: caller.pep, unable: UNABLE, presented: subject?.ok === true ? subject.presented : NONE, input: { spec }, question: { action, resource },
  };
  if (refused !== undefined) evaluation.refused = refused;
  return evaluation;
};

export const createKubernetes = (deps: KubernetesDeps): HttpApi => {
  const { config, decide, fineReasons } = deps;

  const answer = async (request: HttpRequest, incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const arrivedMs = deps.monotonicMs();
    const caller = identifyCaller(request, deps.peps, deps.realm);
    const send = async (asked: Review | undefined, refusal: Reason): Promise<void> => {
      const evaluation = withBase(evaluationOf(randomUUID(), asked, caller, deps.rulesFor(caller.config), config, refusal), { ...traceOf(request), arrivedMs });
      const write = (decision: Decision): void => {
        const unproved = !decision.allow && decision.reason === 'pep.unauthenticated';
        writeJson(response, unproved ? 401 : 200, answerOf(decision, fineReasons), ['x-curfew-decision-id', decision.id, ...(unproved ? ['www-authenticate', 'Bearer realm="curfew"'] : [])]);
      };
      await decide(evaluation, write).then(write);
      deps.emitted?.(response, evaluation.id);
    };
    if (request.tooLarge || caller.pep.id === undefined) {
      response.shouldKeepAlive = false;
      return send(undefined, caller.pep.id === undefined ? 'pep.unauthenticated' : 'request.too_large');
    }
    if (request.method !== 'POST') return send(undefined, 'request.malformed');
    const body = await readJsonBody(incoming, { bytesMax: config.bodyBytesMax });
    if (body.kind === 'too_large') response.shouldKeepAlive = false;
    const asked = body.kind === 'value' ? readReview(body.value) : undefined;
    if (asked === undefined || hasOpinion(asked, config)) return send(asked, body.kind === 'too_large' ? 'request.too_large' : 'request.malformed');
    deps.onNoOpinion();
    writeJson(response, 200, NO_OPINION);
  };

  return {
    serves: (target) => pathOf(target) === AUTHORIZE_PATH,
    shed: (_request, response) => {
      // A status of failure leaves the decision to the next authorizer.
      writeJson(response, 200, BROKEN);
      return true;
    },
    handle: async (request, incoming, response) => {
      try {
        await answer(request, incoming, response);
      } catch {
        if (response.headersSent) response.destroy();
        else writeJson(response, 200, BROKEN);
      }
    },
  };
};
