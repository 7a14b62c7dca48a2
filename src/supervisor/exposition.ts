/** The node's metrics for a worker whose client asked for them: the worker asks the supervisor, which joins those of all processes. */
import cluster from 'node:cluster';
import type { FromWorker, ToWorker } from './messages.ts';

export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

const WAIT_MS = 5_000;
/** Questions under way; more are refused. */
const WAITING_MAX = 64;

/** In a worker. */
export const createExpositionAsker = (tell: (message: FromWorker) => void) => {
  const waiting = new Map<number, (exposition: Exposition | undefined) => void>();
  let asked = 0;
  return {
    ask: (): Promise<Exposition> =>
      new Promise((resolve, reject) => {
        if (waiting.size >= WAITING_MAX) return reject(new Error('too many ask for metrics'));
        const id = (asked += 1);
        const done = (exposition: Exposition | undefined): void => {
          clearTimeout(timer);
          waiting.delete(id);
          if (exposition === undefined) reject(new Error('the metrics can not be had'));
          else resolve(exposition);
        };
        const timer = setTimeout(() => done(undefined), WAIT_MS);
        waiting.set(id, done);
        tell({ type: 'want-exposition', id });
      }),
    receive: ({ id, contentType, text }: Extract<ToWorker, { type: 'exposition' }>): void => waiting.get(id)?.(text === undefined ? undefined : { contentType, text }),
  };
};

/** In the supervisor. Gives what stops it. */
export const tellExpositions = (metrics: () => Promise<Exposition>): (() => void) => {
  const listen = (worker: { send(message: ToWorker, done: () => void): unknown; isConnected(): boolean }, message: FromWorker): void => {
    if (message.type !== 'want-exposition') return;
    const { id } = message;
    const send = (answer: Partial<Exposition>): void => {
      if (worker.isConnected()) worker.send({ type: 'exposition', id, contentType: '', ...answer }, () => undefined);
    };
    metrics().then(send, () => send({}));
  };
  cluster.on('message', listen);
  return () => void cluster.off('message', listen);
};
