/**
 * `explain` of OPA's API: OPA's trace of the rule on the input that it decides on, for an operator. It is made before the decision and beside it:
 * whatever comes of it, the question is then decided as if nobody had asked for a trace.
 */
import type { Decider } from '../../decision/decide.ts';
import type { Evaluation } from '../../decision/evaluation.ts';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { once, type HttpRequest } from '../http/request.ts';

const MODES = ['notes', 'fails', 'full', 'debug'] as const;
export type TraceMode = (typeof MODES)[number];

/** The operator's credential; `Authorization` is the enforcement point's. */
export const OPERATOR_HEADER = 'x-curfew-operator-token';

export interface TraceAsk {
  /** Of the operator. */
  readonly token: string;
  readonly realm: string;
  readonly rule: string;
  readonly input: JsonObject;
  readonly nowMs: number;
  readonly explain: TraceMode;
  readonly pretty: boolean;
}

export interface TraceDeps {
  readonly explain: Decider['explain'];
  /** Looks whose token it is; `undefined`: there is none to be had. Never rejects. */
  readonly trace: (ask: TraceAsk) => Promise<JsonValue | undefined>;
}

/** Never rejects. `undefined`: nobody who may have one asked for it, or there is none. */
export const traceFor = async ({ explain, trace }: TraceDeps, request: HttpRequest, evaluation: Evaluation, asked: string | null, pretty: boolean): Promise<JsonValue | undefined> => {
  const mode = MODES.find((name) => name === asked);
  const token = once(request.headers, OPERATOR_HEADER);
  const { realm, rule } = evaluation;
  if (mode === undefined || token === undefined || rule === undefined || rule === '' || evaluation.refused !== undefined) return undefined;
  try {
    const { record } = await explain(evaluation);
    if (record.input === undefined) return undefined;
    return await trace({ token, realm, rule, input: record.input, nowMs: record.now.latest, explain: mode, pretty });
  } catch {
    return undefined;
  }
};
