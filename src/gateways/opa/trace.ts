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
  /** Absent: no rule was asked. */
  readonly input: JsonObject | undefined;
  readonly nowMs: number;
  readonly explain: TraceMode;
  readonly pretty: boolean;
}

/** Why an operator who may have a trace gets none. */
export type NoTrace = 'no_rego' | 'busy' | 'too_much' | 'failed' | 'no_input';

export type Traced = { readonly trace: JsonValue } | { readonly none: NoTrace };

export interface TraceDeps {
  readonly explain: Decider['explain'];
  /** Looks whose token it is; `undefined`: nobody's who may have one. Never rejects. */
  readonly trace: (ask: TraceAsk) => Promise<Traced | undefined>;
}

/** Who may have none learns nothing but how one is had. */
const HOW = 'no trace: that takes an operator who may explain (x-curfew-operator-token), POST or GET of /v1/data and a document by its name; `curfew policy explain` with the decision_id traces too';
const WHY: Readonly<Record<NoTrace, string>> = {
  no_rego: 'no trace: the active bundle came compiled, without the Rego that OPA\'s evaluator goes over; `curfew policy explain` takes the folder it was made of and the decision_id',
  busy: 'no trace: another one is being made; ask again',
  too_much: 'no trace: it has more than 20,000 events or 4 MiB',
  failed: 'no trace: the evaluation failed, took too long, or needs a builtin that is not served for traces',
  no_input: 'no trace: the question was refused before any rule was asked',
};

/** Beside an empty explanation. */
export const noTraceMessage = (traced: Traced | undefined): string => (traced !== undefined && 'none' in traced ? WHY[traced.none] : HOW);

/** Each costs an evaluation before anybody knows whose token it is. */
const UNDER_WAY_MAX = 2;

/** For one listener. The function never rejects; `undefined`: nobody who may have one asked for it. */
export const createTracing = ({ explain, trace }: TraceDeps) => {
  let underWay = 0;
  return async (request: HttpRequest, evaluation: Evaluation, asked: string | null, pretty: boolean): Promise<Traced | undefined> => {
    const mode = MODES.find((name) => name === asked);
    const token = once(request.headers, OPERATOR_HEADER);
    const { realm, rule } = evaluation;
    if (mode === undefined || token === undefined || rule === undefined || rule === '' || underWay >= UNDER_WAY_MAX) return undefined;
    underWay += 1;
    try {
      // Also of a question that is refused: only an operator hears that it was.
      const input = evaluation.refused === undefined ? (await explain(evaluation)).record : undefined;
      return await trace({ token, realm, rule, input: input?.input, nowMs: input?.now.latest ?? 0, explain: mode, pretty });
    } catch {
      return undefined;
    } finally {
      underWay -= 1;
    }
  };
};
