/** What a schema finds wrong, as faults with JSON pointers; an unknown member is told with the nearest known one. */
import type { z } from 'zod';
import type { Fault } from '../domain/lifecycle/change.ts';

const FAULTS_MAX = 20;

const pointer = (path: readonly PropertyKey[]): string => path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** Edits that turn one word into the other, each letter inserted, removed or changed. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
};

/** The known name that looks most like `name`, if one looks like it at all. */
export const nearestName = (name: string, known: readonly string[]): string | undefined => {
  const word = name.slice(0, 64).toLowerCase();
  const ranked = known.map((candidate) => ({ candidate, edits: distance(word, candidate.toLowerCase()) })).sort((a, b) => a.edits - b.edits);
  const [best] = ranked;
  return best !== undefined && best.edits <= Math.max(2, Math.floor(best.candidate.length / 2)) ? best.candidate : undefined;
};

interface Definition {
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
  readonly element?: z.core.$ZodType;
  readonly innerType?: z.core.$ZodType;
  readonly in?: z.core.$ZodType;
}

/** Names of the members that the schema knows at `path`. */
const knownAt = (schema: z.core.$ZodType, path: readonly PropertyKey[]): readonly string[] => {
  const definition = schema._zod.def as Definition;
  const inner = definition.innerType ?? definition.in;
  if (inner !== undefined) return knownAt(inner, path);
  const [step, ...rest] = path;
  if (definition.shape !== undefined) {
    if (step === undefined) return Object.keys(definition.shape);
    const member = definition.shape[String(step)];
    return member === undefined ? [] : knownAt(member, rest);
  }
  return definition.element === undefined || step === undefined ? [] : knownAt(definition.element, rest);
};

const unknownMember = (schema: z.core.$ZodType, path: readonly PropertyKey[], key: string): Fault => {
  const nearest = nearestName(key, knownAt(schema, path));
  return { path: pointer([...path, key.slice(0, 64)]), message: nearest === undefined ? 'is not known here' : `is not known here; did you mean ${nearest}?` };
};

const sentence = (issue: z.core.$ZodIssue): string => {
  if (issue.code === 'invalid_type') return issue.input === undefined ? 'is missing' : `must be ${issue.expected === 'int' ? 'a whole number' : `of type ${issue.expected}`}`;
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.map(String).join(', ')}`;
  return issue.message.slice(0, 1).toLowerCase() + issue.message.slice(1);
};

export const schemaFaults = (schema: z.core.$ZodType, error: z.core.$ZodError): readonly Fault[] =>
  error.issues
    .flatMap((issue): Fault[] =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => unknownMember(schema, issue.path, key))
        : [{ path: pointer(issue.path), message: sentence(issue) }])
    .slice(0, FAULTS_MAX);
