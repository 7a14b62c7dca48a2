/**
 * Puts back what the store lost and this node knows to have ended. Any node may, as often as it likes. Where that closes the gap, and
 * the store's set-up explains the loss, everybody goes on from what the store has now; otherwise they deny until an operator decides.
 */
import type { Clock } from '../decision/ports.ts';
import { reassert } from '../domain/lifecycle/reassert.ts';
import type { NodeStore } from '../store/port.ts';
import { createExecute } from './execute.ts';
import { createRounds, type Rounds } from './rounds.ts';

export interface MenderDeps {
  readonly store: Pick<NodeStore, 'epoch' | 'regress'>;
  readonly clock: Clock;
  readonly realms: readonly string[];
  readonly intervalMs: number;
  /** An ending was put back; or what was lost is accepted, or can't be. */
  readonly onMended: (realm: string, told: { readonly putBack: number; readonly accepted: boolean }) => void;
  readonly onError: (error: unknown) => void;
}

export interface Mender extends Rounds {
  /** One round; resolves to how many endings it put back. */
  mend(): Promise<number>;
}

const KEEP_MS = 60_000;

export const createMender = ({ store, clock, realms, intervalMs, onMended, onError }: MenderDeps): Mender => {
  const { regress } = store;
  const mendRealm = async (realm: string): Promise<number> => {
    const lost = await regress?.lost(realm);
    if (regress === undefined || lost === undefined) return 0;
    const execute = createExecute({ store: { ...regress.asItIs, epoch: store.epoch }, clock, idempotencyKeepMs: KEEP_MS });
    let whole = lost.whole;
    let putBack = 0;
    for (const event of lost.endings) {
      const rule = reassert(event);
      const done = rule === undefined ? undefined : await execute({ realm, turn: 'mend', rule });
      if (done?.ok !== true) whole = false;
      else if (done.position.sequence > 0) putBack += 1;
    }
    const accepted = whole && (await regress.accept(realm));
    if (putBack > 0 || accepted) onMended(realm, { putBack, accepted });
    return putBack;
  };
  const mend = async (): Promise<number> => {
    let putBack = 0;
    for (const realm of realms) putBack += await mendRealm(realm);
    return putBack;
  };
  return { mend, ...createRounds({ round: mend, pauseMs: () => intervalMs, monotonicMs: clock.monotonicMs, onError }) };
};
