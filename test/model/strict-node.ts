/** Node A of the model: how it holds a lease, and how it answers in strict mode: from facts that it read after it was asked. */
import type { Step } from './explore.ts';
import { FACTS_AGE, GRANTS, LEASE, NEW, union, type Age, type Asked, type AskingNode, type Grant, type Guarded, type State, type Steps } from './state.ts';
import { confirmed } from './servers.ts';

export const changing = (state: State, steps: Step<State>[]) =>
  (what: string, change: Partial<AskingNode>, more: Partial<State> = {}): void => void steps.push({ what, to: { ...state, ...more, asking: { ...state.asking, ...change } } });

export const lasts = ({ lease }: AskingNode, has: Guarded): boolean =>
  lease !== undefined && (lease.age.monotonic < LEASE || !has('a lease counts on the monotonic clock')) && (lease.age.wall < LEASE || !has('a lease counts on the wall clock'));

const young = ({ monotonic, wall }: Age, has: Guarded): boolean =>
  !has('an allow is written only while its facts are young') ||
  ((monotonic < FACTS_AGE || !has('facts count on the monotonic clock')) && (wall < FACTS_AGE || !has('facts count on the wall clock')));

/** May `log` come after what is known? */
export const follows = (known: string, log: string, has: Guarded): boolean =>
  !has('a server that knows less is refused') || (has('endings are compared by hash') ? log.startsWith(known) : log.length >= known.length);

export const leaseFrom = ({ server, age }: Asked, has: Guarded): NonNullable<AskingNode['lease']> => ({ server, age: has('a lease counts from before it was asked for') ? age : NEW });

/** Facts may be asked for under a lease, and only from the server that has its number: S0 never hears of a lease of S1. */
export const mayAsk = ({ asking }: State, has: Guarded): boolean =>
  !has('facts need a lease') || (lasts(asking, has) && (!(asking.reads === 0 && asking.lease?.server === 1) || !has('facts come from the server of the lease')));

/** What both modes do: connections, a restart. */
export const commonSteps = (state: State): Step<State>[] => {
  const steps: Step<State>[] = [];
  const to = changing(state, steps);
  const { asking } = state;
  if (state.promoted && asking.reads === 0) to('A reads from S1 now', { reads: 1 });
  if (state.promoted && asking.writes === 0) to('A writes to S1 now', { writes: 1 });
  if (asking.renewal !== undefined) to("A's renewal is lost", { renewal: undefined });
  if (asking.facts !== undefined) to('A gives its question up', { facts: undefined });
  if (!state.restarted) to('A restarts', { known: '', ever: '', lease: undefined, renewal: undefined, facts: undefined, memory: 'nothing', thinking: false }, { restarted: true });
  return steps;
};

/** An allow for `grant` that nothing in `log` ends, and what it breaks. */
export const allows = (state: State, grant: Grant, change: Partial<AskingNode>): Step<State> => {
  const broken = state.returned.includes(grant)
    ? `I2: this allow is written after revoke ${grant} returned`
    : state.asking.ever.includes(grant) ? `I6: A had heard of revocation ${grant} and allows again` : undefined;
  return { what: `A allows grant ${grant}`, to: { ...state, asking: { ...state.asking, ...change } }, ...(broken === undefined ? {} : { breaks: broken }) };
};

/**
 * Questions are answered at once where their answers count from before they were asked for: one that comes later allows nothing more.
 */
export const strictSteps: Steps = (state, has) => {
  const { asking, logs } = state;
  const steps = commonSteps(state);
  const to = changing(state, steps);
  const { renewal, facts, known, reads, writes } = asking;
  if (renewal !== undefined) to('the confirmation arrives: A holds the lease', { lease: leaseFrom(renewal, has), renewal: undefined });
  else if (confirmed(state, writes, '', has('every replica confirms a lease'))) {
    const asked = { server: writes, log: '', age: NEW, arrived: false };
    if (has('a lease counts from before it was asked for')) to(`A holds a lease of S${writes}, which its replicas confirmed`, { lease: leaseFrom(asked, has) });
    else to(`the replicas of S${writes} confirm A's lease`, { renewal: asked });
  }
  const heard = (asked: Asked): Partial<AskingNode> => ({ known: asked.log, ever: union(asking.ever, asked.log), facts: { ...asked, arrived: true, age: NEW } });
  if (facts === undefined) {
    const asked = { server: reads, log: logs[reads], age: NEW, arrived: false };
    if (!mayAsk(state, has) || !follows(known, asked.log, has)) return steps;
    if (has('facts count from before they were asked for')) to(`A reads facts from S${reads}`, heard(asked));
    else to(`A asks S${reads} for facts`, { facts: asked });
  } else if (!facts.arrived) to(`facts of S${facts.server} arrive`, heard(facts));
  else for (const grant of GRANTS) if (!facts.log.includes(grant) && young(facts.age, has)) steps.push(allows(state, grant, { facts: undefined }));
  return steps;
};
