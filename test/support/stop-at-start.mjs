/** Preloaded (`--import`) by the processes of a test: a worker stops itself as it is given what to decide with, if the file `stop-next` is there, once. */
import { rmSync, writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

if (isMainThread && process.send !== undefined) {
  process.on('message', (message) => {
    if (message?.type !== 'start') return;
    try {
      rmSync('stop-next');
    } catch {
      return;
    }
    writeFileSync('stopped', String(process.pid));
    process.kill(process.pid, 'SIGSTOP');
  });
}
