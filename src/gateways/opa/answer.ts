/**
 * A decision as OPA writes results. Guarantee: on a denial no value leaves that an OPA client would take for a yes: `true` is `false`,
 * `allow` and `allowed` are false, and what says neither is left out, as if undefined. What a rule had said beside a yes that the guard
 * did not let stand stays here.
 */
import type { Decision } from '../../decision/evaluation.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { remainingMs, toRfc3339 } from '../../domain/instant.ts';
import { toldReason } from '../denial.ts';

const ANSWERS = ['allow', 'allowed'] as const;

const turned = (value: JsonValue, to: boolean): JsonValue | undefined => {
  if (typeof value === 'boolean') return to;
  if (!isJsonObject(value)) return undefined;
  const given = ANSWERS.filter((name) => Object.hasOwn(value, name));
  if (given.length === 0) return undefined;
  // What it says of its own no may leave, not what was meant to go with a yes.
  const ownNo = !to && given.some((name) => value[name] === false);
  return { ...(ownNo ? value : {}), ...Object.fromEntries(given.map((name) => [name, to])) };
};

/** `undefined`: the answer has no `result`. */
export const resultOf = (decision: Decision): JsonValue | undefined => {
  const { result } = decision;
  if (result === undefined) return undefined;
  if (decision.allow !== true) return turned(result, false);
  // Observed: the rule said no, and is overruled.
  return decision.wouldDeny === undefined ? result : (turned(result, true) ?? result);
};

/** What OPA's body has no words for. `x-curfew-governed`: by a grant, or by a standing entry and which. */
export const decisionHeaders = (decision: Decision, fineReasons: boolean): readonly string[] => {
  const headers = ['x-curfew-decision-id', decision.id];
  if (decision.allow !== true) return [...headers, 'x-curfew-reason', toldReason(decision, fineReasons)];
  headers.push(
    'x-curfew-governed', decision.standing === undefined ? 'grant' : `standing; entry=${decision.standing}`,
    'x-curfew-valid-until', toRfc3339(decision.validUntil), 'x-curfew-valid-ms', String(remainingMs(decision.decidedAt, decision.validUntil)),
  );
  if (fineReasons && decision.grant !== undefined) headers.push('x-curfew-grant', decision.grant);
  return headers;
};

export type OpaErrorCode = 'internal_error' | 'unauthorized' | 'invalid_parameter' | 'invalid_operation' | 'resource_not_found' | 'undefined_document';

export const opaError = (code: OpaErrorCode, message: string): JsonObject => ({ code, message });

export const warningOf = (message: string): JsonObject => ({ code: 'api_usage_warning', message });

/** As OPA says it of a question without `input`. */
export const INPUT_MISSING: JsonObject = warningOf("'input' key missing from the request");
