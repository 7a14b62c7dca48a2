/**
 * Explores every state of a model, breadth first: the first violation it meets is one of the shortest ways there. Ends by itself
 * when nothing new is reachable; a model with more states than `statesMax` throws, so that "holds" always means "everywhere".
 */
export interface Step<State> {
  /** What happens, for people. */
  readonly what: string;
  readonly to: State;
  /** Names the invariant that this step breaks. */
  readonly breaks?: string;
}

export interface Model<State> {
  readonly initial: State;
  /** Every step that is possible. */
  next(state: State): readonly Step<State>[];
  /** Equal for equal states and no others. */
  key(state: State): string;
}

export interface Explored {
  readonly states: number;
  /** What was possible somewhere, by its words: shows that the model reaches what it is about. */
  readonly seen: ReadonlySet<string>;
  /** The way to a violation, one line a step, the last one names what it breaks; absent: there is none. */
  readonly counterexample?: readonly string[];
}

interface Visit {
  readonly from: number;
  readonly what: string;
}

export const explore = <State>({ initial, next, key }: Model<State>, statesMax = 2_000_000): Explored => {
  const known = new Set<string>([key(initial)]);
  const states: (State | undefined)[] = [initial];
  const visits: Visit[] = [{ from: -1, what: '' }];
  const seen = new Set<string>();
  const wayTo = (index: number): string[] => {
    const way: string[] = [];
    for (let at = index; at > 0; at = (visits[at] as Visit).from) way.unshift((visits[at] as Visit).what);
    return way;
  };
  for (let index = 0; index < states.length; index += 1) {
    const state = states[index] as State;
    // The queue keeps ways, not states.
    states[index] = undefined;
    for (const { what, to, breaks } of next(state)) {
      seen.add(what);
      if (breaks !== undefined) {
        return { states: known.size, seen, counterexample: [...wayTo(index), what, breaks].map((line, at, { length }) => (at === length - 1 ? `   ${line}` : `${String(at + 1).padStart(2)}. ${line}`)) };
      }
      const name = key(to);
      if (known.has(name)) continue;
      if (known.size >= statesMax) throw new Error(`the model has more than ${statesMax} states`);
      known.add(name);
      states.push(to);
      visits.push({ from: index, what });
    }
  }
  return { states: known.size, seen };
};
