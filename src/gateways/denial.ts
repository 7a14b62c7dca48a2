/** How a denial leaves over HTTP, whichever gateway carries it: one status, one challenge, one body. */
import type { Deny } from '../decision/evaluation.ts';
import { reasonText, wireReason } from '../domain/reasons.ts';

/** 401 where proof of identity would help, else 403, unless the policy chose another 4xx. Never anything else. */
export const denialStatus = ({ reason, shaping: { httpStatus } }: Deny): number => {
  if (httpStatus !== undefined && httpStatus >= 400 && httpStatus <= 499) return httpStatus;
  return wireReason(reason) === 'unauthenticated' ? 401 : 403;
};

/** RFC 6750: an error is named only when there was something to be wrong. */
export const challenge = ({ reason }: Deny): string =>
  reason === 'credential.missing' || reason === 'pep.unauthenticated' ? 'Bearer realm="curfew"' : 'Bearer realm="curfew", error="invalid_token"';

/** What may be told: the fine reason in development, its class otherwise. */
export const toldReason = ({ reason }: Deny, fineReasons: boolean): string => (fineReasons ? reason : wireReason(reason));

/** `application/problem+json`. */
export const denialBody = (decision: Deny, status: number, fineReasons: boolean): string =>
  JSON.stringify({
    title: fineReasons ? reasonText(decision.reason) : 'access denied', status, decision_id: decision.id, reason: toldReason(decision, fineReasons),
  });
