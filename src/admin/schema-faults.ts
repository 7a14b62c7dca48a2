/** What a schema finds wrong, as faults with JSON pointers; an unknown member is told with the nearest known one. */
import type { z } from 'zod';
import type { Fault } from '../domain/lifecycle/change.ts';
import { nearestName } from '../domain/nearest-name.ts';

const FAULTS_MAX = 20;

const pointer = (path: readonly PropertyKey[]): string => path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

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
  if (issue.code === 'invalid_union') return 'has none of the forms that it may have';
  if (issue.code === 'invalid_value') return `${issue.input === undefined ? 'is missing; it ' : ''}must be one of ${issue.values.map(String).join(', ')}`;
  return issue.message.slice(0, 1).toLowerCase() + issue.message.slice(1);
};

export const schemaFaults = (schema: z.core.$ZodType, error: z.core.$ZodError): readonly Fault[] =>
  error.issues
    .flatMap((issue): Fault[] =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => unknownMember(schema, issue.path, key))
        : [{ path: pointer(issue.path), message: sentence(issue) }])
    .slice(0, FAULTS_MAX);
