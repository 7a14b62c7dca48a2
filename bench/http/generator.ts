/** The load generator's process, driven by messages. */
import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { Job } from './job-connections.ts';
import type { Ran, Run, ToGenerator } from './load-generator.ts';
import { stopProcess } from './processes.ts';

type FromGenerator = { readonly type: 'ready' } | { readonly type: 'ran'; readonly result: Ran } | { readonly type: 'failed'; readonly message: string };

export interface Generator {
  /** Its number, for `run`. */
  addJob(job: Job): Promise<number>;
  /** Rejects on a wrong answer, a broken connection, a request that was never answered, or too many that were answered too late. */
  run(run: Run): Promise<Ran>;
  /** Closes its connections and forgets it; it runs no more. */
  dropJob(job: number): Promise<void>;
  stop(): Promise<void>;
}

/** Beyond this share a run says nothing about the server; a share of fewer answers than these says nothing itself. */
const UNAVAILABLE_SHARE_MAX = 0.05;
const SHARE_OF_MIN = 1_000;

/** `module`: the compiled load generator; tests, which run uncompiled, name it. */
export const startGenerator = (module = join(import.meta.dirname, 'load-generator.js')): Generator => {
  const child = fork(module, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  let jobs = 0;
  const ask = (message: ToGenerator): Promise<FromGenerator> =>
    new Promise((resolve, reject) => {
      const exited = (): void => reject(new Error('the load generator ended'));
      child.once('exit', exited);
      child.once('message', (answer: FromGenerator) => {
        child.off('exit', exited);
        resolve(answer);
      });
      child.send(message);
    });
  return {
    addJob: async (job) => {
      await ask({ type: 'job', job });
      jobs += 1;
      return jobs - 1;
    },
    dropJob: async (job) => void (await ask({ type: 'drop', job })),
    run: async (run) => {
      const answer = await ask({ type: 'run', run });
      if (answer.type === 'failed') throw new Error(answer.message);
      if (answer.type !== 'ran') throw new Error('the load generator did not run');
      const { wrong, unavailable, answered } = answer.result;
      if (wrong.length > 0) throw new Error(`wrong answers:\n${wrong.join('\n')}`);
      if (run.anyLate !== true && answered >= SHARE_OF_MIN && unavailable > answered * UNAVAILABLE_SHARE_MAX) throw new Error(`${unavailable} of ${answered} answers were \`unavailable\`: the machine is too busy to measure`);
      return answer.result;
    },
    stop: () => stopProcess(child),
  };
};
