/**
 * Some transports (HTTP/2) send what is written no sooner than the event loop's turn ends. So that no other work lies between a
 * re-check and the moment its answer leaves, decisions for them are made one to a turn, in order, after what the turn has read;
 * other decisions wait meanwhile. Without such transports nobody waits. One loop, so one line for the whole process.
 */
interface Waiting {
  readonly own: boolean;
  readonly go: () => void;
}

const waiting: Waiting[] = [];
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
  while (turn === 'free') {
    const first = waiting.shift();
    if (first === undefined) return;
    if (first.own) {
      turn = 'granted';
      schedule();
    }
    first.go();
  }
};

const inLine = (own: boolean): Promise<void> =>
  new Promise((go) => {
    waiting.push({ own, go });
    schedule();
  });

/** Before a question of such a transport is taken apart: resolves in a turn of its own. */
export const ownTurn = (): Promise<void> => inLine(true);

/** Before facts are gathered. `undefined`: at once. `sentWithTurn`: the answer leaves when the turn ends. */
export const takeTurn = (sentWithTurn: boolean): Promise<void> | undefined => {
  if (turn === 'free' && !sentWithTurn) return undefined;
  if (turn === 'granted' && sentWithTurn) {
    turn = 'taken';
    return undefined;
  }
  if (turn === 'free' && waiting.length === 0) {
    turn = 'taken';
    schedule();
    return undefined;
  }
  return inLine(sentWithTurn);
};
