/**
 * A decision in AuthZEN's words. `context` says until when a yes holds, and what to do with it (Obligations profile); of a no it says
 * as much of the reason as may be told, and where access can be asked for (Access Request profile).
 */
import type { Decision, Evaluation } from '../../decision/evaluation.ts';
import { remainingMs, toRfc3339 } from '../../domain/instant.ts';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { toldReason } from '../denial.ts';

/** Where the caller of a denied evaluation may ask for access: `context.access_request`. `undefined`: it may not. `base`: where this listener is reached. */
export type OfferRequest = (evaluation: Evaluation, decision: Decision, base: string) => JsonObject | undefined;

export interface AnswerOptions {
  /** Development: the fine reason and the grant are on the wire. */
  readonly fineReasons: boolean;
  readonly offer?: OfferRequest | undefined;
  /** Scheme and host, and path if there is one; absent: nothing is offered. */
  readonly base?: string | undefined;
}

/** Each with an id of its own; on a denial only those that the enforcement point can carry out. */
const obligationsOf = ({ id, allow, shaping: { obligations } }: Decision, able: readonly string[]): readonly JsonObject[] =>
  obligations
    .filter(({ type }) => allow || able.includes(type as string))
    .map((obligation, index) => ({ id: `${id}/${index}`, ...obligation }));

/** Members are assigned, in the order of reading: an object of many spreads costs more than what is in it. */
export const evaluationAnswer = (evaluation: Evaluation, decision: Decision, { fineReasons, offer, base }: AnswerOptions): JsonObject => {
  const context: Record<string, JsonValue> = { decision_id: decision.id };
  if (decision.grant !== undefined && fineReasons) context['grant'] = decision.grant;
  const { metadata, obligations } = decision.shaping;
  if (obligations.length > 0) {
    const told = obligationsOf(decision, evaluation.pep.obligations);
    if (told.length > 0) context['obligations'] = told;
  }
  if (metadata !== undefined) context['metadata'] = metadata;
  if (decision.allow === true) {
    const { decidedAt, validUntil, cacheUntil, standing, wouldDeny } = decision;
    context['valid_until'] = toRfc3339(validUntil);
    context['valid_ms'] = remainingMs(decidedAt, validUntil);
    context['cache_ms'] = remainingMs(decidedAt, cacheUntil);
    if (standing !== undefined) context['standing'] = standing;
    if (wouldDeny !== undefined && fineReasons) context['would_deny'] = wouldDeny;
    return { decision: true, context };
  }
  context['reason'] = toldReason(decision, fineReasons);
  const requestable = base === undefined ? undefined : offer?.(evaluation, decision, base);
  if (requestable !== undefined) context['access_request'] = requestable;
  return { decision: false, context };
};

/** The answer to an item that could not be read: a no, and what was wrong with it. */
export const faultyItem = (evaluation: Evaluation, decision: Decision, message: string, options: AnswerOptions): JsonObject => {
  const { context } = evaluationAnswer(evaluation, decision, options);
  return { decision: false, context: { ...(context as JsonObject), error: { status: 400, message } } };
};
