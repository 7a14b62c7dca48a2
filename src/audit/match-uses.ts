/**
 * Holds what systems say of their use against what was decided: a use without an allow is `bypassed`, one after the end of its allow, and an
 * attempt that was denied because access had ended, is `reused`. A use is matched by the id of its decision; one that names none, or one that
 * nobody knows, was not let in by Curfew. What this can't see: a system that writes no line.
 */
import type { AlertType } from '../domain/alert.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import { REASONS, wireReason, type Reason } from '../domain/reasons.ts';

/** Names of the members of an access log's lines; dots lead into objects. */
export interface UseFields {
  readonly decision: string;
  readonly time: string;
  /** Says that the system was reached, when it is there and neither empty nor `-`. */
  readonly reached: string;
}

export interface Finding {
  readonly type: Extract<AlertType, 'grant.bypassed' | 'grant.reused'>;
  /** One alert each. */
  readonly cause: string;
  readonly realm?: string;
  readonly data: JsonObject;
}

export interface Decided {
  readonly realm: string;
  readonly allow: boolean;
  readonly grant?: string;
  readonly workload?: string;
  readonly validUntil?: number;
  readonly cacheUntil?: number;
}

/** The newest decisions, for every system whose uses are held against them. */
export interface KnownDecisions {
  /** A line of the decision log. */
  decided(line: JsonObject): Finding | undefined;
  get(id: string): Decided | undefined;
}

export interface Matcher {
  /** Does a line of an access log name a decision that is not known (yet)? */
  waits(line: JsonObject): boolean;
  /** Judges a line of an access log, by the decisions that are known. */
  use(system: string, line: JsonObject): Finding | undefined;
}

const text = (value: JsonValue | undefined): string | undefined => (typeof value === 'string' && value !== '' && value !== '-' ? value.slice(0, 512) : undefined);
const count = (value: JsonValue | undefined): number | undefined => (typeof value === 'number' && Number.isFinite(value) ? value : undefined);

const at = (line: JsonObject, path: string): JsonValue | undefined => {
  let value: JsonValue | undefined = line;
  for (const step of path.split('.')) value = isJsonObject(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  return value;
};

/** Milliseconds; numbers below 1e11 are seconds. */
const instantOf = (value: JsonValue | undefined): number | undefined => {
  const given = count(value) ?? (typeof value === 'string' ? Date.parse(value) : Number.NaN);
  if (!Number.isFinite(given)) return undefined;
  return given < 1e11 ? given * 1_000 : given;
};

const isReason = (value: JsonValue | undefined): value is Reason => (REASONS as readonly unknown[]).includes(value);

export const DECISIONS_MAX = 200_000;

export const createKnownDecisions = (decisionsMax = DECISIONS_MAX): KnownDecisions => {
  const known = new Map<string, Decided>();
  const decided = (line: JsonObject): Finding | undefined => {
    const { id, result, realm, workload, facts } = line;
    if (typeof id !== 'string' || !isJsonObject(result)) return undefined;
    const [oldest] = known.keys();
    if (known.size >= decisionsMax && oldest !== undefined) known.delete(oldest);
    const [grant, who, until, cache] = [text(result['grant']), text(workload), count(result['validUntil']), count(result['cacheUntil'])];
    known.set(id, {
      realm: text(realm) ?? 'default', allow: result['allow'] === true, ...(grant === undefined ? {} : { grant }), ...(who === undefined ? {} : { workload: who }),
      ...(until === undefined ? {} : { validUntil: until }), ...(cache === undefined ? {} : { cacheUntil: cache }),
    });
    const { reason } = result;
    if (result['allow'] === true || !isReason(reason) || wireReason(reason) !== 'ended') return undefined;
    // The nearest grant, where it ended for this reason.
    const grants = isJsonObject(facts) && Array.isArray(facts['grants']) ? (facts['grants'] as readonly JsonValue[]) : [];
    const ended = grants.find((one) => isJsonObject(one) && one['fault'] === reason);
    const of = grant ?? (isJsonObject(ended) ? text(ended['id']) : undefined);
    if (of === undefined) return undefined;
    return { type: 'grant.reused', cause: `${of}:denied`, realm: text(realm) ?? 'default', data: { grant: of, decision: id, reason, what: 'asked for after its end, and denied', ...(who === undefined ? {} : { workload: who }) } };
  };
  return { decided, get: (id) => known.get(id) };
};

/** Of one system. */
export const createMatcher = (fields: UseFields, known: Pick<KnownDecisions, 'get'>, usedMax = DECISIONS_MAX): Matcher => {
  /** Decisions that were used here; the oldest is forgotten no earlier than the decision itself. */
  const used = new Set<string>();

  const waits = (line: JsonObject): boolean => {
    const id = text(at(line, fields.decision));
    return id !== undefined && text(at(line, fields.reached)) !== undefined && known.get(id) === undefined;
  };

  const use = (system: string, line: JsonObject): Finding | undefined => {
    if (text(at(line, fields.reached)) === undefined) return undefined;
    const id = text(at(line, fields.decision));
    const time = instantOf(at(line, fields.time));
    const base = { system, ...(time === undefined ? {} : { at: time }) };
    if (id === undefined) return { type: 'grant.bypassed', cause: `${system}:${time ?? 'undated'}`, data: { ...base, what: 'used without any decision' } };
    const decision = known.get(id);
    if (decision === undefined) return { type: 'grant.bypassed', cause: `${system}:${id}`, data: { ...base, decision: id, what: 'used by a decision that nobody made' } };
    const { realm, grant, workload, validUntil, cacheUntil } = decision;
    const data = { ...base, decision: id, ...(grant === undefined ? {} : { grant }), ...(workload === undefined ? {} : { workload }) };
    if (!decision.allow) return { type: 'grant.bypassed', cause: `${system}:${id}`, realm, data: { ...data, what: 'used although it was denied' } };
    // A time that can't be read is not one before the end.
    if (validUntil !== undefined && !(time !== undefined && time < validUntil)) return { type: 'grant.reused', cause: `${system}:${id}`, realm, data: { ...data, validUntil, what: 'used after the end of its allow' } };
    if (used.has(id) && !(cacheUntil !== undefined && time !== undefined && time < cacheUntil)) return { type: 'grant.bypassed', cause: `${system}:${id}:again`, realm, data: { ...data, what: 'used by an allow that was used before' } };
    const [oldest] = used;
    if (used.size >= usedMax && oldest !== undefined) used.delete(oldest);
    used.add(id);
    return undefined;
  };
  return { waits, use };
};
