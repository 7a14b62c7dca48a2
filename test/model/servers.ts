/** Servers of the model, and time. */
import type { Step } from './explore.ts';
import { FACTS_AGE, LEASE, type Age, type AskingNode, type Guarded, type ServerNumber, type State, type Steps } from './state.ts';

/** Do the replicas that must confirm follow `server`, and has S1 got its `log`? The spare follows S1 from its promotion on. */
export const confirmed = (state: State, server: ServerNumber, log: string, everyReplica: boolean): boolean => {
  const first = server === 0 ? !state.promoted && state.logs[1].startsWith(log) : state.promoted;
  const second = state.second === server;
  return everyReplica ? first && second : first || second;
};

/** What node A measures has its ages changed by `change`. */
const aged = (node: AskingNode, change: (age: Age, most: number) => Age): AskingNode => {
  const changed = <T extends { readonly age: Age }>(one: T | undefined, most: number): T | undefined => (one === undefined ? undefined : { ...one, age: change(one.age, most) });
  return { ...node, lease: changed(node.lease, LEASE), renewal: changed(node.renewal, LEASE), facts: changed(node.facts, FACTS_AGE) };
};

const later = ({ monotonic, wall }: Age, most: number): Age => ({ monotonic: Math.min(most, monotonic + 1), wall: Math.min(most, wall + 1) });

const tick = (state: State): State => {
  const { revoking } = state;
  const { command, held } = revoking;
  const down = (left: number): number => Math.max(0, left - 1);
  return {
    ...state,
    asking: aged(state.asking, later),
    revoking: {
      ...revoking, held: held < 0 ? held : Math.min(LEASE, held + 1),
      command: command?.phase === 'waiting' ? { ...command, left: down(command.left), lapse: down(command.lapse) } : command,
    },
  };
};

const clockSteps = (state: State, has: Guarded): Step<State>[] => {
  const steps: Step<State>[] = [{ what: 'a tick goes by', to: tick(state) }];
  if (!state.clocksRight) return steps;
  const { command } = state.revoking;
  const disturb = (what: string, change: Partial<State>): void => void steps.push({ what, to: { ...state, ...change, clocksRight: false } });
  disturb("A's machine was asleep: its monotonic clock stood still", { asking: aged(state.asking, ({ wall }) => ({ monotonic: 0, wall })) });
  disturb("A's wall clock is set back", { asking: aged(state.asking, ({ monotonic }) => ({ monotonic, wall: 0 })) });
  if (command?.phase === 'waiting' && !has('revoke waits on the monotonic clock')) disturb("B's wall clock is set forward", { revoking: { ...state.revoking, command: { ...command, left: 0, lapse: 0 } } });
  if (!has('rows of holders have no end of their own')) disturb("the servers' clock is set forward: rows of holders end", { rows: [false, false] });
  return steps;
};

export const serverSteps: Steps = (state, has) => {
  const steps = clockSteps(state, has);
  const { logs, promoted } = state;
  if (!promoted && logs[1].length < logs[0].length) steps.push({ what: 'S1 gets the next ending from S0', to: { ...state, logs: [logs[0], logs[0].slice(0, logs[1].length + 1)] } });
  if (!promoted) steps.push({ what: 'S0 is cut off; S1 is promoted', to: { ...state, promoted: true } });
  if (promoted && state.second === 0) steps.push({ what: 'S2 follows S1', to: { ...state, second: 1 } });
  return steps;
};
