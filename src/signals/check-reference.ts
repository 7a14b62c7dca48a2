/** Is a reference what it says: a ticket that is there and open? Asked at its source, when access is issued or asked for. */
import { askSource, type AskDeps, type SourceState } from './ask.ts';
import type { SignalsConfig } from './config.ts';

/** `undefined`: no source is configured for such references. */
export type CheckReference = (reference: string) => Promise<SourceState | undefined>;

/** `strict`: one that no source is configured for is unknown. */
export const createCheckReference = (pollers: SignalsConfig['pollers'], deps: AskDeps, strict = false): CheckReference => async (reference) => {
  const source = pollers.find((poller) => poller.kind === 'ticket' && poller.references !== undefined && reference.startsWith(poller.references));
  return source === undefined ? (strict ? 'unknown' : undefined) : askSource(source, reference, deps);
};
