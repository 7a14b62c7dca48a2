/** From what the lifecycle did to what the API answers. A replay has the status and body of the first time, and says that it is one. */
import type { Instant } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Position } from '../domain/position.ts';
import type { Done, Executed } from '../lifecycle/execute.ts';
import type { Answer } from './endpoint.ts';
import { failureProblem } from './problem.ts';

export const REPLAYED = 'idempotency-replayed';

/** `view` builds the body only from the reply and the commit's stamp, so that a replay gives the same. */
export const done = (
  executed: Executed, status: number | ((done: Done) => number),
  view: (reply: JsonObject, commit: { readonly at: Instant; readonly position: Position }) => JsonObject,
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
