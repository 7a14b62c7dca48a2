/** Executes a rule for a caller: where, under which name of the command, and with the caller's idempotency key. */
import type { JsonObject } from '../domain/json.ts';
import type { Rule } from '../domain/lifecycle/change.ts';
import { createExecute, type ExecuteDeps, type Executed, type Execution } from './execute.ts';
import type { Call } from './lifecycle.ts';

/** Commands with the same `turn` follow one another. */
export type Run = (call: Call, command: string, turn: string, rule: Rule, remember?: JsonObject) => Promise<Executed>;

export const createRun = (deps: ExecuteDeps): Run => {
  const execute = createExecute(deps);
  return ({ realm, idempotency, traceparent }, command, turn, rule, remember) => {
    const execution: Execution = { realm, turn, rule, remember, traceparent, ...(idempotency === undefined ? {} : { idempotency: { ...idempotency, command } }) };
    return execute(execution);
  };
};
