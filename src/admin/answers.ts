/** From what the lifecycle did to what the API answers. A replay has the status and body of the first time, and says that it is one. */
import type { JsonObject } from '../domain/json.ts';
import type { Done, Executed } from '../lifecycle/execute.ts';
import type { Answer } from './endpoint.ts';
import { failureProblem } from './problem.ts';

export const REPLAYED = 'idempotency-replayed';

/** `view` builds the body from the reply and the commit's stamp, so that a replay gives the same; which nodes know of an ending is told once. */
export const done = (
  executed: Executed, status: number | ((done: Done) => number),
  view: (reply: JsonObject, done: Done) => JsonObject,
): Answer => {
  if (!executed.ok) return { problem: failureProblem(executed.failure) };
  return {
    status: typeof status === 'number' ? status : status(executed),
    body: view(executed.reply, executed),
    ...(executed.replayed ? { headers: { [REPLAYED]: 'true' } } : {}),
  };
};

export const found = (body: JsonObject | undefined, what: string): Answer =>
  body === undefined ? { problem: { code: 'not-found', detail: `there is no such ${what}` } } : { status: 200, body };
