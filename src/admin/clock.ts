/** The clock of this node over HTTP: an operator accepts the wall clock after a step that Curfew did not believe. */
import type { Call } from '../lifecycle/lifecycle.ts';
import type { Executed } from '../lifecycle/execute.ts';
import { toRfc3339 } from '../domain/instant.ts';
import { formatPosition } from '../domain/position.ts';
import { done } from './answers.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { clockAnswer, clockBody } from './schemas.ts';

/** Records the act, and makes every process of this node accept the wall clock. */
export type ResetClock = (call: Call, reason: string) => Promise<Executed>;

export const clockEndpoints = (resetClock: ResetClock): readonly Endpoint[] => [
  endpoint({
    method: 'post', path: '/clock/reset', command: 'clock.reset', summary: 'Accept the wall clock of this node as it is', tag: 'clock', body: clockBody,
    answers: { 200: { description: 'Accepted; where the wall is behind, it counts once it has caught up by `behindMs`', schema: clockAnswer } },
    handle: async ({ call, body }) =>
      done(await resetClock(call, body.reason), 200, (reply, { at, position }) => ({ ...reply, at: toRfc3339(at), position: formatPosition(position) })),
  }),
];
