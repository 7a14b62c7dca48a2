/** Node B of the model: it revokes, and returns when nobody can still allow. */
import type { Step } from './explore.ts';
import { FACTS_AGE, GRANTS, LEASE, union, type RevokingNode, type State, type Steps } from './state.ts';
import { confirmed } from './servers.ts';

export const revokerSteps = (mode: 'strict' | 'leased'): Steps => (state, has) => {
  const steps: Step<State>[] = [];
  const { revoking, logs } = state;
  const { server, command, held, begun } = revoking;
  const to = (what: string, change: Partial<RevokingNode>, more: Partial<State> = {}): void => void steps.push({ what, to: { ...state, ...more, revoking: { ...revoking, ...change } } });

  if (state.promoted && server === 0) to('B connects to S1', { server: 1, held: mode === 'strict' ? -1 : held, command: command?.phase === 'confirming' ? undefined : command });
  if (held < 0 && confirmed(state, server, logs[server], has('every replica confirms a lease'))) to("B's own lease is confirmed", { held: 0 });

  if (command === undefined) {
    for (const grant of GRANTS) {
      // In strict mode the grants are the same but for their names.
      if (begun.includes(grant) || (mode === 'strict' && grant === '1' && begun === '')) continue;
      const log = logs[server] + grant;
      to(`B commits revocation ${grant} on S${server}`, {
        begun: union(begun, grant),
        command: { grant, at: log, phase: 'confirming', left: 0, lapse: mode === 'leased' && state.rows[server] && has('revoke waits for every holder') ? LEASE : 0 },
      }, { logs: server === 0 ? [log, logs[1]] : [logs[0], log] });
    }
    return steps;
  }
  const { grant, at, phase, left, lapse } = command;
  if (phase === 'confirming') {
    to(`revocation ${grant} is not confirmed in time: its outcome is unknown`, { command: undefined });
    const facts = has('revoke waits for facts in use') ? FACTS_AGE : 0;
    const earlier = has('revoke waits for leases of an earlier primary') ? LEASE - Math.max(0, held) : 0;
    if (confirmed(state, server, at, has('every replica confirms a commit'))) {
      // From memory nothing is answered without a row; what leased nodes read is not older than their lease.
      to(`revocation ${grant} is confirmed; B waits`, { command: { ...command, phase: 'waiting', left: mode === 'strict' ? facts + earlier : 0 } });
    }
  } else if (left === 0 && lapse === 0) to(`revoke ${grant} returns`, { command: undefined }, { returned: union(state.returned, grant) });
  return steps;
};
