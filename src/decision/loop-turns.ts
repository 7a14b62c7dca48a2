/**
 * In which turn of the event loop a decision is made, and with what others.
 *
 * Together: decisions that come in one turn are made at its end, stage by stage: all their credentials, then all their facts, and so on. One by one each would find
 * the processor's caches full of what lies between two decisions, and take up to twice as long (`docs/reference/performance.md`).
 *
 * When answers leave: over HTTP/1.1 when they are written. HTTP/2 in node does not send at once: what is written while it takes in a read leaves at the end of
 * that read, all else with the next turn, before the callbacks of `setImmediate`. So that little work lies between a re-check and the moment its answer leaves, decisions for
 * such a transport stand in line for turns of the loop, a few to a turn, after whatever else was waiting, and none of them begins to judge once the first answer has waited for a breath.
 * While questions come one by one, each is decided in its read. One loop, so one line for the whole process.
 */
/** How long the first of several answers that leave together may wait for the last of them to begin, milliseconds. */
export const BREATH_MS = 1;
/** Of those whose answers leave when they are written, and of those whose answers leave with the turn: more at once share little more. */
export const TOGETHER_MAX = 16;
export const IN_A_TURN_MAX = 8;

/** What a decision was given to be made in. `read`: what it writes leaves with the read that it came with, if nothing is waited for; `turn`: with the loop's turn. */
export type Turn = 'read' | 'turn';

/** Lines of those who wait for a turn and have begun, of those who have not, and of those who only wait for the present turn to end. */
const begun: (() => void)[] = [];
const owners: (() => void)[] = [];
const others: (() => void)[] = [];
let scheduled = false;
/** Questions that may be decided in their read, in this turn and in the one before. */
let asked = 0;
let askedBefore = 0;
/** When the first answer was re-checked that leaves with this turn. */
let firstAnswerMs: number | undefined;

const schedule = (): void => {
  if (scheduled) return;
  scheduled = true;
  // The others first: nothing comes between the owners' answers and the end of the turn.
  setImmediate(release);
  setImmediate(grant);
};

const release = (): void => {
  // Whatever was written in the turn before has left.
  firstAnswerMs = undefined;
  askedBefore = asked;
  asked = 0;
  for (const go of others.splice(0, TOGETHER_MAX)) go();
};

const grant = (): void => {
  scheduled = false;
  const next = begun.splice(0, IN_A_TURN_MAX);
  next.push(...owners.splice(0, IN_A_TURN_MAX - next.length));
  for (const go of next) go();
  if (begun.length > 0 || owners.length > 0 || others.length > 0) schedule();
};

const wait = (line: (() => void)[]): Promise<void> =>
  new Promise((go) => {
    line.push(go);
    schedule();
  });

/** For who sends when it writes: resolves at the end of this turn, with others. */
export const together = (): Promise<void> => wait(others);

/** Before a question is taken apart whose answer leaves with a read or a turn. A promise: it resolves in a turn of the loop. */
export const ownTurn = (): Turn | Promise<Turn> => {
  asked += 1;
  schedule();
  if (asked === 1 && askedBefore < 2 && begun.length === 0 && owners.length === 0 && firstAnswerMs === undefined) return 'read';
  return wait(owners).then(() => 'turn');
};

/** For who has begun, and whose read or turn is over: before those who have not. */
export const anotherTurn = (): Promise<void> => wait(begun);

/** Has the first answer that leaves with this turn waited for so long that no other one may begin? */
export const breathIsOver = (nowMs: number): boolean => firstAnswerMs !== undefined && !(nowMs - firstAnswerMs < BREATH_MS);

/** An allow was re-checked at this time, and leaves with this turn. */
export const answersInTurn = (nowMs: number): void => {
  firstAnswerMs ??= nowMs;
  schedule();
};
