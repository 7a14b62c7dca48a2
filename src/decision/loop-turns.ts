/**
 * Some transports (HTTP/2) send what is written no sooner than the event loop's turn ends. So that no other work lies between a
 * re-check and the moment its answer leaves, decisions for them are made one to a turn, in order, after what the turn has read;
 * other decisions wait meanwhile. Without such transports nobody waits. One loop, so one line for the whole process.
 */
/** For a turn of their own, in order; and those that only wait for the present turn to end. */
const owners: (() => void)[] = [];
let others: (() => void)[] = [];
/** `granted`: to a decision that has not begun its evaluation yet. */
let turn: 'free' | 'granted' | 'taken' = 'free';
let scheduled = false;

const schedule = (): void => {
  if (scheduled) return;
  scheduled = true;
  setImmediate(next);
};

const next = (): void => {
  scheduled = false;
  turn = 'free';
  // Before the owner: nothing comes between its answer and the end of the turn. A long line of owners holds up nobody else.
  const released = others;
  others = [];
  for (const go of released) go();
  const owner = owners.shift();
  if (owner === undefined) return;
  turn = 'granted';
  schedule();
  owner();
};

const wait = (line: (() => void)[]): Promise<void> =>
  new Promise((go) => {
    line.push(go);
    schedule();
  });

/** Before a question of such a transport is taken apart: resolves in a turn of its own. */
export const ownTurn = (): Promise<void> => wait(owners);

/** Before facts are gathered. `undefined`: at once. `sentWithTurn`: the answer leaves when the turn ends. */
export const takeTurn = (sentWithTurn: boolean): Promise<void> | undefined => {
  if (turn === 'free' && !sentWithTurn) return undefined;
  if (turn === 'granted' && sentWithTurn) {
    turn = 'taken';
    return undefined;
  }
  if (turn === 'free' && owners.length === 0) {
    turn = 'taken';
    schedule();
    return undefined;
  }
  return wait(sentWithTurn ? owners : others);
};
