/**
 * What the bundle says of the decision log itself, as OPA has it: `data.system.log.drop` leaves a decision out (it is counted in a gap),
 * `data.system.log.mask` removes (`"/input/x"`) or replaces (`{"op": "upsert", "path": ..., "value": ...}`) what stands at places below `/input` and
 * `/result`. Asked after secrets were taken out, never in the way of a decision. What fails, or says something that can't be
 * understood, costs the whole input and result: nothing that was to be masked is written.
 */
import type { Policy } from '../decision/ports.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import type { Instant } from '../domain/instant.ts';

export interface LogPolicy extends Pick<Policy, 'evaluate' | 'revision'> {
  readonly entrypoints: readonly string[];
}

export const MASK = 'system/log/mask';
export const DROP = 'system/log/drop';
const RULES_MAX = 1_000;
const PATH_CHARS_MAX = 1_024;

type Members = Record<string, unknown>;
interface Mask {
  readonly steps: readonly string[];
  readonly path: string;
  readonly value?: JsonValue;
}

/** `undefined`: it can't be understood. */
const readMask = (said: JsonValue): Mask | undefined => {
  const rule: JsonObject = typeof said === 'string' ? { op: 'remove', path: said } : isJsonObject(said) ? said : {};
  const { op = 'remove', path, value } = rule;
  if (typeof path !== 'string' || path.length > PATH_CHARS_MAX || !/^\/(?:input|result)(?:\/|$)/.test(path)) return undefined;
  const steps = path.slice(1).split('/').map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (op === 'remove') return { steps, path };
  // A whole input that is replaced would be one that nobody asked.
  return op === 'upsert' && value !== undefined && steps.length > 1 ? { steps, path, value } : undefined;
};

/** A copy without, or with another value, at a place; the same where there is no such place. */
const masking = (target: JsonValue | undefined, steps: readonly string[], value: JsonValue | undefined): JsonValue | undefined => {
  const [step, ...rest] = steps;
  if (step === undefined) return value;
  if (Array.isArray(target)) {
    const items = target as readonly JsonValue[];
    const index = /^(?:0|[1-9]\d{0,8})$/.test(step) ? Number(step) : -1;
    if (index < 0 || index >= items.length) return items;
    const copy = [...items];
    const next = masking(copy[index], rest, value);
    if (next === undefined) copy.splice(index, 1);
    else copy[index] = next;
    return copy;
  }
  if (!isJsonObject(target)) return target;
  const has = Object.hasOwn(target, step);
  if (!has && (rest.length > 0 || value === undefined)) return target;
  const next = masking(has ? target[step] : undefined, rest, value);
  const entries = Object.entries(target).filter(([name]) => name !== step);
  return Object.fromEntries(next === undefined ? entries : [...entries, [step, next]]);
};

const without = (record: Members, erased: readonly string[], failed?: string): Members => {
  const { input: _input, masked: _masked, ...rest } = record;
  const { result: _result, ...policy } = record['policy'] as JsonObject;
  return { ...rest, policy, erased, ...(failed === undefined ? {} : { maskFailed: failed }) };
};

const masked = (record: Members, masks: readonly Mask[]): Members => {
  let { input } = record as { input?: JsonValue };
  const said = record['policy'] as JsonObject;
  let { result } = said;
  const erased = new Set<string>();
  const masked = new Set<string>((record['masked'] as readonly string[] | undefined) ?? []);
  for (const { steps: [root, ...steps], path, value } of masks) {
    const before = root === 'input' ? input : result;
    const after = masking(before, steps, value);
    if (after === before) continue;
    if (root === 'input') input = after;
    else result = after;
    if (value === undefined) erased.add(path);
    // What a replay must not rely on; relative to the input.
    if (root === 'input') masked.add(path.slice('/input'.length));
  }
  const { input: _input, masked: _masked, ...rest } = record;
  const { result: _result, ...policy } = said;
  return {
    ...rest, ...(input === undefined ? {} : { input }), policy: { ...policy, ...(result === undefined ? {} : { result }) },
    ...(erased.size === 0 ? {} : { erased: [...erased] }), ...(masked.size === 0 ? {} : { masked: [...masked] }),
  };
};

export interface LogRules {
  /** Gives the record as it is to be written, `undefined` when it is to be left out. Never throws. */
  (record: Members): Members | undefined;
  /** Is there a rule at all? Otherwise records are written as they are. */
  asked(): boolean;
}

/** Rules that stopped a process before are not asked again. */
export interface LogGuard {
  enter(realm: string, workload: string | undefined): boolean;
  leave(): void;
}

const UNGUARDED: LogGuard = { enter: () => true, leave: () => undefined };

const hasRules = ({ entrypoints }: LogPolicy): boolean => entrypoints.includes(DROP) || entrypoints.includes(MASK);

const apply = (active: LogPolicy, guard: LogGuard, record: Members): Members | undefined => {
  const [drops, masks] = [active.entrypoints.includes(DROP), active.entrypoints.includes(MASK)];
  const { realm, workload } = record;
  if (!guard.enter(typeof realm === 'string' ? realm : '', typeof workload === 'string' ? workload : undefined)) return without(record, ['/input', '/result'], 'data.system.log took too long before');
  try {
    const { result, revision, ...said } = record['policy'] as JsonObject;
    const event = {
      decision_id: record['id'], path: said['entrypoint'] ?? '', requested_by: record['pep'] ?? '', bundles: { curfew: { revision } },
      ...(record['input'] === undefined ? {} : { input: record['input'] }), ...(result === undefined ? {} : { result }),
      custom: { curfew: { realm: record['realm'], result: record['result'] } },
    } as unknown as JsonObject;
    const now = (record['now'] as { readonly latest: Instant }).latest;
    if (drops) {
      const outcome = active.evaluate(DROP, event, now);
      if (outcome.kind === 'value' && outcome.value === true) return undefined;
    }
    if (!masks) return record;
    const outcome = active.evaluate(MASK, event, now);
    if (outcome.kind === 'undefined') return record;
    if (outcome.kind === 'failed' || !Array.isArray(outcome.value) || outcome.value.length > RULES_MAX) return without(record, ['/input', '/result'], 'data.system.log.mask failed');
    const rules = (outcome.value as readonly JsonValue[]).map(readMask);
    if (!rules.every((rule) => rule !== undefined)) return without(record, ['/input', '/result'], 'data.system.log.mask said what can not be understood');
    return rules.length === 0 ? record : masked(record, rules);
  } catch {
    return without(record, ['/input', '/result'], 'data.system.log failed');
  } finally {
    guard.leave();
  }
};

export const createLogRules = (policy: () => LogPolicy | undefined, guard: LogGuard = UNGUARDED): LogRules => {
  const rules = (record: Members): Members | undefined => {
    const active = policy();
    return active === undefined || !hasRules(active) ? record : apply(active, guard, record);
  };
  return Object.assign(rules, {
    asked: () => {
      const active = policy();
      return active !== undefined && hasRules(active);
    },
  });
};
