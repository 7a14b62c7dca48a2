/**
 * The protocol of the Redis store, small enough to look at every state of it: what a node may rely on, and when `revoke` may return.
 *
 * Three servers (S0 is primary; S1 and S2 follow it) and a spare; node A asks and answers; node B revokes. Two grants, each ended by one
 * revocation. At any moment, each at most once: S1 is promoted while S0, cut off, goes on with S2 and with whoever still talks to it;
 * node A restarts; a machine has slept or has its clock set. Messages take any time, and whoever may act may also stand still.
 * Time goes in ticks: facts count for 1, leases for 2.
 *
 * A revocation is the digit of its grant; the log of a server is the text of its digits. Left out: clock rates that differ, the
 * seconds of `min-replicas-max-lag` (S0 never notices by itself that it was cut off), more than one failover.
 */
import type { Model } from './explore.ts';
import { leasedSteps } from './leased-node.ts';
import { revokerSteps } from './revoker.ts';
import { serverSteps } from './servers.ts';
import { strictSteps } from './strict-node.ts';
import { LEASE, type Age, type Asked, type Guard, type Guarded, type Mode, type State, type Steps } from './state.ts';

const INITIAL: State = {
  logs: ['', ''], promoted: false, second: 0, rows: [false, false],
  asking: { reads: 0, writes: 0, known: '', ever: '', lease: undefined, renewal: undefined, facts: undefined, memory: 'nothing', thinking: false },
  revoking: { server: 0, held: LEASE, command: undefined, begun: '' },
  clocksRight: true, restarted: false, returned: '',
};

/** Two ages that no check can tell apart are one: the model has fewer states, and no less happens in it. */
const ageKey = ({ monotonic, wall }: Age, has: Guarded, what: 'facts count' | 'a lease counts'): number => {
  const [byMonotonic, byWall] = [has(`${what} on the monotonic clock`), has(`${what} on the wall clock`)];
  return byMonotonic && byWall ? Math.max(monotonic, wall) : byMonotonic ? monotonic : wall;
};

const CLOCK_GUARDS: readonly Guard[] = [
  'facts count on the monotonic clock', 'facts count on the wall clock', 'a lease counts on the monotonic clock', 'a lease counts on the wall clock', 'revoke waits on the monotonic clock', 'rows of holders have no end of their own',
];

const keyOf = (has: Guarded): Model<State>['key'] => {
  // A wrong clock changes nothing that a check sees.
  const clocksMatter = !CLOCK_GUARDS.every(has);
  const asked = (one: Asked | undefined, what: 'facts count' | 'a lease counts'): string => (one === undefined ? '' : `${one.server}${one.log}/${ageKey(one.age, has, what)}${one.arrived ? 'a' : ''}`);
  return ({ logs, promoted, second, rows, asking, revoking, clocksRight, restarted, returned }) => {
    const { lease, renewal, facts, reads, writes, known, ever, memory, thinking } = asking;
    const { server, held, command, begun } = revoking;
    const flags = (promoted ? 1 : 0) + (second << 1) + (rows[0] ? 4 : 0) + (rows[1] ? 8 : 0) + (reads << 4) + (writes << 5) + (thinking ? 64 : 0) + (restarted ? 128 : 0) + (clocksMatter && clocksRight ? 256 : 0) + (server << 9);
    return `${flags},${logs[0]},${logs[1]},${known},${ever},${memory},${lease === undefined ? '' : `${lease.server}${ageKey(lease.age, has, 'a lease counts')}`},${asked(renewal, 'a lease counts')},${asked(facts, 'facts count')},${held},${begun},${returned},${
      command === undefined ? '' : `${command.at}${command.phase}${command.left}${command.lapse}`}`;
  };
};

/** A model of the protocol without one of its guards, or with all. */
export const protocol = (mode: Mode, without?: Guard): Model<State> => {
  const has: Guarded = (guard) => guard !== without;
  const parts: readonly Steps[] = [serverSteps, revokerSteps(mode), mode === 'strict' ? strictSteps : leasedSteps];
  return { initial: INITIAL, key: keyOf(has), next: (state) => parts.flatMap((steps) => steps(state, has)) };
};
