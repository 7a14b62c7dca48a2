/**
 * When answers leave. HTTP/2 in node does not send at once: what is written while it takes in a read leaves at the end of that read, all else no sooner than
 * the event loop's turn ends. So that no other work lies between a re-check and the moment its answer leaves, a decision for such a transport is made in its
 * read, for as long as that breath lasts; what comes later stands in line for turns of the loop of its own, as many to a turn as fit in a breath, and other
 * decisions wait meanwhile. Without such transports nobody waits. One loop, so one line for the whole process.
 */
/** How long the first of several answers that leave together may wait for the last of them to begin, milliseconds. */
export const BREATH_MS = 1;

/** What a decision was given to be made in. */
export interface Turn {
  /** `read`: what it writes leaves with the read that it came with, if nothing is waited for; `turn`: with the loop's turn. */
  readonly sentWith: 'read' | 'turn';
  /** Its answer is written: the next one in line may follow in the same breath. */
  end(): void;
}

/** For a turn of their own, in order; and those that only wait for the present turn to end. */
const owners: (() => void)[] = [];
let others: (() => void)[] = [];
/** `granted`: to a decision that has not begun its evaluation yet. */
let turn: 'free' | 'granted' | 'taken' = 'free';
let scheduled = false;
/** Which grant is the present one: who ends an older turn ends nothing. */
let grants = 0;
let turnBeganMs: number | undefined;
/** When each connection's first decision in this turn of the loop began. */
const reads = new Map<object, number>();

const schedule = (): void => {
  if (scheduled) return;
  scheduled = true;
  setImmediate(next);
};

const grant = (): void => {
  const owner = owners.shift();
  if (owner === undefined) return;
  turn = 'granted';
  grants += 1;
  schedule();
  owner();
};

const next = (): void => {
  scheduled = false;
  turn = 'free';
  turnBeganMs = undefined;
  reads.clear();
  // Before the owner: nothing comes between its answer and the end of the turn. A long line of owners holds up nobody else.
  const released = others;
  others = [];
  for (const go of released) go();
  grant();
};

const wait = (line: (() => void)[]): Promise<void> =>
  new Promise((go) => {
    line.push(go);
    schedule();
  });

const IN_READ: Turn = { sentWith: 'read', end: () => undefined };

const inRead = (connection: object, nowMs: number): boolean => {
  if (turn !== 'free' || owners.length > 0) return false;
  let beganMs = reads.get(connection);
  if (beganMs === undefined) {
    reads.set(connection, (beganMs = nowMs));
    schedule();
  }
  return nowMs - beganMs < BREATH_MS;
};

/** Before a question of such a transport is taken apart, while its connection is being read. A promise: it resolves in a turn of the loop. */
export const ownTurn = (connection: object, monotonicMs: () => number): Turn | Promise<Turn> => {
  if (inRead(connection, monotonicMs())) return IN_READ;
  return wait(owners).then(() => {
    const mine = grants;
    turnBeganMs ??= monotonicMs();
    return {
      sentWith: 'turn',
      end: () => {
        if (mine === grants && turn !== 'free' && turnBeganMs !== undefined && monotonicMs() - turnBeganMs < BREATH_MS) grant();
      },
    };
  });
};

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
