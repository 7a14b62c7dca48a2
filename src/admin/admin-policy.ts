/**
 * The bundle's say in who may do what: it narrows the role floor and never widens it. Only a clear yes counts; without an active
 * bundle, or when it fails, the commands that it is asked about are refused.
 */
import type { PolicyOutcome } from '../decision/ports.ts';
import { readVerdict } from '../decision/verdict.ts';
import { toRfc3339, type Instant } from '../domain/instant.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import type { Command } from '../domain/lifecycle/roles.ts';
import type { Principal } from './principal.ts';
import type { Problem } from './problem.ts';

/** Evaluation may happen in another process, so that an endless policy does not stop the one that revokes. */
export interface AdminPolicy {
  evaluate(entrypoint: string, input: JsonObject, now: Instant): PolicyOutcome | Promise<PolicyOutcome>;
}

export const ADMIN_ENTRYPOINT = 'curfew/admin/decision';

export interface AdminQuestion {
  readonly now: Instant;
  readonly realm: string;
  readonly operator: Principal;
  readonly command: Command;
  /** The command's parameters and body as sent. */
  readonly target: JsonObject;
}

const REASONS_MAX = 5;

const reasonsOf = (value: unknown): string => {
  const reasons = isJsonObject(value) && Array.isArray(value['reasons']) ? value['reasons'].filter((reason) => typeof reason === 'string') : [];
  return reasons.length === 0 ? 'the policy refuses it' : `the policy refuses it: ${reasons.slice(0, REASONS_MAX).join('; ')}`;
};

/** `undefined` lets the command through. */
export const askPolicy = async (policy: AdminPolicy | undefined, question: AdminQuestion): Promise<Problem | undefined> => {
  if (policy === undefined) return { code: 'unavailable', detail: 'no policy bundle is active; only reading, revoking and suspending work without one' };
  const { operator, command, now, realm, target } = question;
  const input: JsonObject = {
    curfew: { now: toRfc3339(now), now_ms: now, realm, command, target, operator: { id: operator.id, roles: operator.roles, groups: operator.groups } },
  };
  const outcome = await policy.evaluate(ADMIN_ENTRYPOINT, input, now);
  if (outcome.kind === 'failed') return { code: 'unavailable', detail: `the policy could not judge it (${outcome.reason})` };
  const read = outcome.kind === 'value' ? readVerdict(outcome.value) : undefined;
  if (read?.ok === true && read.verdict.yes) return undefined;
  return { code: 'forbidden', detail: outcome.kind === 'value' ? reasonsOf(outcome.value) : 'the policy gave no answer' };
};
