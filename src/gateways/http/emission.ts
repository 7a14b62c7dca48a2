/**
 * Whether an answer left: one that could not be sent, because its caller was gone, is said to have not been, so that the decision log doesn't tell
 * of access that nobody had. What the kernel had taken when a caller went, nobody knows to have arrived: that counts as sent.
 */
import type { ServerResponse } from 'node:http';

/** Call it in the breath in which the answer was written. */
export type Emission = (response: ServerResponse, decision: string) => void;

export const createEmission = (notEmitted: (decision: string) => void): Emission => (response, decision) => {
  if (response.destroyed) notEmitted(decision);
};
