/**
 * Whether every answer that the workers re-checked before now has left them: what ends access is enforced then. A re-check and the write of its
 * answer are one breath of the loop, and the next re-check sees whatever was committed before this was asked. So a worker that takes the question
 * in a turn of its own has handed every earlier HTTP/1.1 answer to the kernel. HTTP/2 sends when the loop's turn ends, before the callbacks of
 * `setImmediate`; some turns later it has as well. A worker that has ended writes nothing more. One that stands still owes the answer until it goes on,
 * or is ended by its supervisor; who waits is told after `PATIENCE_MS` that it is not known. What an enforcement point does not take off its
 * connection is not waited for.
 */
import cluster from 'node:cluster';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Instant } from '../domain/instant.ts';
import { joinRounds, type Deciders, type Unconfirmed } from '../lifecycle/deciders.ts';
import type { FromWorker, ToWorker } from './messages.ts';

/** Longer than it takes until a stopped worker is ended (`watchdog/freeze.ts`), shorter than callers of the admin API wait. */
export const PATIENCE_MS = 20_000;
/** After one HTTP/2 has sent what it was given, after two the trailers that complete it (measured: `test/attack/answers-written.test.ts`); one to spare. */
const TURNS = 3;

const HOST = hostname().replaceAll(/[^\w.-]/g, '_').slice(0, 128);

/** In a worker: calls `left` when whatever was written before has been handed to the kernel. */
export const whenWritten = (left: () => void, turns = TURNS): void => {
  if (turns === 0) left();
  else setImmediate(() => whenWritten(left, turns - 1));
};

/** One worker, as far as its supervisor was told. */
export interface Leaving {
  /** Resolves when every answer that it re-checked before the call has left it. */
  left(): Promise<void>;
  /** It was asked and did not say so yet, and may still hold an answer that it re-checked before `at`. */
  owes(at: Instant): boolean;
  readonly as: Unconfirmed;
}

/** `ask` resolves when the worker says so, or has ended. Call it before the worker can decide. */
export const watchLeaving = (pid: number, ask: () => Promise<void>, now: () => Instant): Leaving => {
  let clearBefore = now();
  let asked = false;
  return {
    left: joinRounds(async () => {
      const from = now();
      asked = true;
      await ask();
      asked = false;
      clearBefore = from;
    }),
    owes: (at) => asked && !(at < clearBefore),
    as: { node: `${HOST}/${pid}`, holder: randomUUID(), state: 'pending' },
  };
};

/** All that have not ended. */
export const createDeciders = (all: () => readonly Leaving[], patienceMs = PATIENCE_MS): Deciders => ({
  left: () => {
    const waiting = new Set(all());
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const tell = (): void => {
        clearTimeout(timer);
        resolve([...waiting].map(({ as }) => as));
      };
      for (const one of waiting) {
        void one.left().then(() => {
          waiting.delete(one);
          if (waiting.size === 0) tell();
        });
      }
      if (waiting.size === 0) tell();
      else timer = setTimeout(tell, patienceMs);
    });
  },
  owing: (at) => all().filter((one) => one.owes(at)).map(({ as }) => as),
});

const NOBODY: Unconfirmed = { node: `${HOST}/${process.pid}`, holder: 'supervisor', state: 'pending' };

/** In a worker, which has the supervisor ask them all. */
export const createLeftAsker = (tell: (message: FromWorker) => void) => {
  const waiting = new Map<number, (owing: readonly Unconfirmed[]) => void>();
  let asked = 0;
  const deciders: Deciders = {
    left: joinRounds(() =>
      new Promise((resolve) => {
        const id = (asked += 1);
        const done = (owing: readonly Unconfirmed[]): void => {
          clearTimeout(timer);
          waiting.delete(id);
          resolve(owing);
        };
        // The supervisor stands still itself.
        const timer = setTimeout(() => done([NOBODY]), PATIENCE_MS + 5_000);
        waiting.set(id, done);
        tell({ type: 'want-left', id });
      })),
    owing: () => [],
  };
  return { deciders, receive: ({ id, owing }: Extract<ToWorker, { type: 'all-left' }>): void => waiting.get(id)?.(owing) };
};

/** In the supervisor. Gives what stops it. */
export const tellLeft = ({ left }: Deciders): (() => void) => {
  const listen = (worker: { send(message: ToWorker, done: () => void): unknown; isConnected(): boolean }, message: FromWorker): void => {
    if (message.type !== 'want-left') return;
    const { id } = message;
    void left().then((owing) => {
      if (worker.isConnected()) worker.send({ type: 'all-left', id, owing }, () => undefined);
    });
  };
  cluster.on('message', listen);
  return () => void cluster.off('message', listen);
};
