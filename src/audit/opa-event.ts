/**
 * A line of the decision log as an event of OPA's decision log API. `result` is what was answered: what the policy said, with its yes taken back
 * where Curfew denied. What OPA has no member for is at `custom.curfew`, the line's link included, so that a receiver sees what is missing.
 */
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { isJsonObject } from '../domain/json.ts';

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/;

const objectAt = (value: JsonObject, name: string): JsonObject => {
  const member = value[name];
  return isJsonObject(member) ? member : {};
};

/** Nanoseconds stand in the format; Curfew knows milliseconds. */
const timestampOf = (ms: JsonValue | undefined): string =>
  typeof ms === 'number' && Number.isSafeInteger(ms) && Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString().replace('Z', '000000Z') : '1970-01-01T00:00:00.000000000Z';

const answered = (said: JsonValue | undefined, allow: boolean): JsonValue => {
  if (!isJsonObject(said)) return allow;
  return { ...said, allow, ...(Object.hasOwn(said, 'allowed') ? { allowed: allow } : {}) };
};

/** Without the large parts, for a place that finds it too large. */
export const shortened = ({ input: _input, result: _result, masked: _masked, ...event }: JsonObject): JsonObject => ({ ...event, erased: ['/input', '/result'] });

/** A decision as OPA writes it to its console, among other lines of a log. */
export const opaConsoleEvent = (record: JsonObject, labels: JsonObject): JsonObject => {
  const event = opaEvent(record, labels) ?? {};
  return { ...event, level: 'info', msg: 'Decision Log', time: event['timestamp'] ?? '', type: 'openpolicyagent.org/decision_logs' };
};

/** `undefined` for what is no decision and no gap, such as a segment. */
export const opaEvent = (line: JsonObject, labels: JsonObject): JsonObject | undefined => {
  const { id, input, policy: _policy, masked, erased, traceparent, protocol, ...rest } = line;
  if (line['gap'] !== undefined || line['not_emitted'] !== undefined) {
    return { labels, decision_id: `${typeof line['link'] === 'string' ? line['link'] : 'gap'}`, timestamp: timestampOf(objectAt(line, 'gap')['to']), custom: { curfew: rest } };
  }
  if (typeof id !== 'string') return undefined;
  const policy = objectAt(line, 'policy');
  const trace = typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent) : null;
  const under = (places: JsonValue | undefined): readonly string[] => (Array.isArray(places) ? places.flatMap((place) => (typeof place === 'string' ? [`/input${place}`] : [])) : []);
  const gone = new Set(Array.isArray(erased) ? erased.filter((place) => typeof place === 'string') : []);
  const replaced = under(masked).filter((place) => !gone.has(place));
  const { result: said, revision, entrypoint, ...more } = policy;
  const duration = line['durationUs'];
  return {
    labels,
    decision_id: id,
    ...(trace === null ? {} : { trace_id: trace[1] as string, span_id: trace[2] as string }),
    bundles: { curfew: { revision: typeof revision === 'string' ? revision : '' } },
    path: typeof entrypoint === 'string' ? entrypoint : '',
    ...(input === undefined ? {} : { input }),
    ...(gone.has('/result') ? {} : { result: answered(said, objectAt(line, 'result')['allow'] === true) }),
    requested_by: typeof line['pep'] === 'string' ? line['pep'] : '',
    timestamp: timestampOf(objectAt(line, 'now')['latest']),
    metrics: typeof duration === 'number' ? { timer_server_handler_ns: Math.round(duration * 1_000) } : {},
    ...(gone.size === 0 ? {} : { erased: [...gone] }),
    ...(replaced.length === 0 ? {} : { masked: replaced }),
    custom: { curfew: { ...rest, ...(protocol === undefined ? {} : { protocol }), policy: { ...more, ...(revision === undefined ? {} : { revision }) } } },
  };
};
