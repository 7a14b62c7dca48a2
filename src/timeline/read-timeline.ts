/** A timeline's text, read whole before anything happens: every fault at once, each with its line. */
import type { ConfigFault } from '../config/fault.ts';
import { nearest } from '../config/nearest.ts';
import { schemaFaults, type SchemaFault } from '../config/schema-faults.ts';
import { schemaTree } from '../config/schema-tree.ts';
import { readYaml } from '../config/yaml-file.ts';
import { fromRfc3339, plus, toRfc3339, type Instant } from '../domain/instant.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import { nameFaults, questionFault } from './check-names.ts';
import { ACTS, schemaOf, timelineSchema, type Step, type TimelineHead } from './schema.ts';
import { subjectsOf } from './subjects.ts';
import { offset } from './terms.ts';
import { originOf } from './test-issuer.ts';

export interface PlacedStep {
  readonly step: Step;
  /** Milliseconds after the start. */
  readonly atMs: number;
  readonly line: number;
  /** Where what is expected begins. */
  readonly expectLine: number;
}

export interface Timeline {
  readonly head: Omit<TimelineHead, 'steps'>;
  readonly steps: readonly PlacedStep[];
  /** Where it says what it is told to. */
  readonly policyLine: number;
}

export type ReadTimeline = { readonly ok: true; readonly timeline: Timeline } | { readonly ok: false; readonly faults: readonly ConfigFault[] };

const DEFAULT_START = fromRfc3339('2026-01-05T08:00:00Z') as Instant;

/** The end of a standing entry may be an offset, as all times here. */
const withInstants = (value: JsonObject): JsonObject => {
  const start = typeof value['start'] === 'string' ? (fromRfc3339(value['start']) ?? DEFAULT_START) : DEFAULT_START;
  const { config } = value;
  if (!isJsonObject(config) || !Array.isArray(config['standing'])) return value;
  const standing = (config['standing'] as readonly JsonValue[]).map((entry): JsonValue => {
    const end = isJsonObject(entry) ? offset.safeParse(entry['end']) : undefined;
    return isJsonObject(entry) && end?.success === true ? { ...entry, end: toRfc3339(plus(start, end.data)) } : entry;
  });
  return { ...value, config: { ...config, standing } };
};

type ReadStep = { readonly step: Step } | { readonly faults: readonly SchemaFault[] };

const readStep = (given: Readonly<Record<string, JsonValue>>): ReadStep => {
  const named = ACTS.filter((act) => Object.hasOwn(given, act));
  const [act] = named;
  if (act === undefined || named.length > 1) {
    const [unknown] = Object.keys(given).filter((key) => !['at', 'by', 'note', 'expect', ...ACTS].includes(key));
    const meant = unknown === undefined ? undefined : nearest(unknown, ACTS);
    if (unknown !== undefined && named.length === 0) return { faults: [{ path: [unknown], message: `unknown setting${meant === undefined ? `; a step is one of ${ACTS.join(', ')}` : `; did you mean \`${meant}\`?`}` }] };
    return { faults: [{ path: [], message: named.length > 1 ? `a step does one thing, not ${named.join(' and ')}` : `a step does one of ${ACTS.join(', ')}` }] };
  }
  const schema = schemaOf(act, given);
  const parsed = schema.safeParse(given);
  return parsed.success ? { step: parsed.data } : { faults: schemaFaults(parsed.error, schemaTree(schema)) };
};

/** `name` is what faults are told with. */
export const readTimeline = (name: string, text: string): ReadTimeline => {
  const { value, faults, lineOf } = readYaml({ name, text });
  if (faults.length > 0) return { ok: false, faults };
  const fault = ({ path, message }: SchemaFault): ConfigFault => ({ where: `${name}:${lineOf(path) ?? 1}`, path: path.map(String).join('.'), message });
  const head = timelineSchema.safeParse(withInstants(value));
  if (!head.success) return { ok: false, faults: schemaFaults(head.error, schemaTree(timelineSchema)).map(fault) };

  const steps: PlacedStep[] = [];
  const found: SchemaFault[] = [];
  let atMs = 0;
  for (const [index, given] of head.data.steps.entries()) {
    const path = ['steps', index] as const;
    const read = readStep(given);
    if ('faults' in read) {
      found.push(...read.faults.map((one) => ({ ...one, path: [...path, ...one.path] })));
      continue;
    }
    const { step } = read;
    const line = lineOf(path) ?? 1;
    const at = step.at ?? atMs;
    if (at < atMs) found.push({ path: [...path, 'at'], message: 'lies before the step above it' });
    atMs = Math.max(at, atMs);
    steps.push({ step, atMs, line, expectLine: Object.hasOwn(given, 'expect') ? (lineOf([...path, 'expect']) ?? line) : line });
  }
  if (found.length === 0) {
    const plain = steps.map(({ step }) => step);
    const tooMany = questionFault(plain);
    found.push(...nameFaults(head.data, plain), ...(tooMany === undefined ? [] : [tooMany]));
    for (const { subject, path } of subjectsOf(head.data, plain)) {
      if (originOf(subject) === undefined) found.push({ path, message: `${JSON.stringify(subject.id)} can not present a credential: it is neither a SPIFFE ID with a path nor an oidc: id that its issuer could have made` });
    }
  }
  if (found.length > 0) return { ok: false, faults: found.map(fault) };
  const { steps: _given, ...rest } = head.data;
  return { ok: true, timeline: { head: rest, steps, policyLine: lineOf(['policy']) ?? 1 } };
};
