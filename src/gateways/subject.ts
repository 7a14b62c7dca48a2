/**
 * The subject of a question that names it itself. A credential at the configured place counts before any name, and a bad one denies;
 * a name counts only from an enforcement point that proved itself, and only within what its configuration lets it assert.
 */
import type { Presented } from '../decision/evaluation.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import type { Reason } from '../domain/reasons.ts';
import type { PepConfig } from './config.ts';

export type Subject = { readonly ok: true; readonly presented: Presented } | { readonly ok: false; readonly reason: Reason };

const TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;

/** JSON Pointer (RFC 6901) to its steps. */
export const pointerSteps = (pointer: string): readonly string[] =>
  pointer.split('/').slice(1).map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));

/** Own members of objects only. */
export const valueAt = (document: JsonValue | undefined, steps: readonly string[]): JsonValue | undefined => {
  let value = document;
  for (const step of steps) {
    if (!isJsonObject(value) || !Object.hasOwn(value, step)) return undefined;
    value = value[step];
  }
  return value;
};

/** The document without what stands there: credentials are no input for policies. */
export const without = (document: JsonObject, steps: readonly string[]): JsonObject => {
  const [step, ...rest] = steps;
  if (step === undefined || !Object.hasOwn(document, step)) return document;
  const { [step]: value, ...others } = document;
  if (rest.length === 0) return others;
  return isJsonObject(value) ? { ...document, [step]: without(value, rest) } : document;
};

export const mayAssert = (config: PepConfig | undefined, workload: string): boolean =>
  config?.asserts.some((pattern) => pattern === '*' || pattern === workload || (pattern.endsWith('/**') && workload.startsWith(pattern.slice(0, -2)))) === true;

/** `credential`: what stands at the configured place; `workload`: the name given, if there is one. */
export const subjectOf = (credential: JsonValue | undefined, workload: string | undefined, config: PepConfig | undefined): Subject => {
  if (credential !== undefined) {
    return { ok: true, presented: typeof credential === 'string' && TOKEN.test(credential) ? { kind: 'bearer', token: credential } : { kind: 'malformed' } };
  }
  if (workload === undefined) return { ok: true, presented: { kind: 'none' } };
  if (config === undefined) return { ok: false, reason: 'pep.unauthenticated' };
  return mayAssert(config, workload) ? { ok: true, presented: { kind: 'asserted', workload } } : { ok: false, reason: 'pep.not_permitted' };
};
