/** What a workload may send when it asks for access or hands it on. Strict: a member that is not listed is refused, by name. */
import { z } from 'zod';
import { fromRfc3339 } from '../../domain/instant.ts';
import type { JsonValue } from '../../domain/json.ts';

const word = z.string().min(1).max(4_096);
const words = z.array(word).max(256);
const instant = z.string().max(64).transform((text, context) => {
  const value = fromRfc3339(text);
  if (value !== undefined) return value;
  context.addIssue({ code: 'custom', message: 'must be an RFC 3339 date-time' });
  return z.NEVER;
});
const scope = z.strictObject({ actions: words, resource: z.strictObject({ type: word, id: word }) });
const scopes = z.array(scope).max(256).optional();

export const requestBody = z.strictObject({
  entitlement: word, parameters: z.record(z.string().max(64), z.string().max(256)).optional(), scopes, ttlMs: z.number().optional(), notBefore: instant.optional(), expiresAt: instant.optional(),
  owner: word.optional(), justification: word, reference: word.optional(), task: word.optional(),
  conditions: z.strictObject({ audience: words.optional(), pep: words.optional(), source: words.optional() }).optional(),
  binding: z.strictObject({ x5t: word.optional(), jkt: word.optional() }).optional(), uses: z.number().optional(),
});
export const delegationBody = z.strictObject({ workload: word, scopes, ttlMs: z.number(), justification: word });
export const extensionBody = z.strictObject({ ttlMs: z.number(), justification: word });

export type RequestBody = z.output<typeof requestBody>;
export type DelegationBody = z.output<typeof delegationBody>;
export type ExtensionBody = z.output<typeof extensionBody>;

const FAULTS_MAX = 10;

/** The body, or what is wrong with it: fields and rules. */
export const readBodyBy = <T>(schema: z.ZodType<T>, value: JsonValue): { readonly ok: true; readonly body: T } | { readonly ok: false; readonly detail: string } => {
  const read = schema.safeParse(value);
  if (read.success) return { ok: true, body: read.data };
  const faults = read.error.issues.slice(0, FAULTS_MAX).map((issue) =>
    issue.code === 'unrecognized_keys' ? `/${[...issue.path, issue.keys[0] ?? ''].join('/').slice(0, 200)} is not known here` : `/${issue.path.join('/').slice(0, 200)}: ${issue.message}`);
  return { ok: false, detail: faults.join('; ') };
};
