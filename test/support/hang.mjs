/** Preloaded (`--import`) by the processes of a test: SIGUSR2 makes the event loop hang, computing or asleep, or holds up the exit by a thread that nobody can end (`HANG`). */
import { execFileSync } from 'node:child_process';
import { Worker, isMainThread } from 'node:worker_threads';

if (isMainThread) process.on('SIGUSR2', () => {
  if (process.env['HANG'] === 'exit') {
    const fifo = `hang-${process.pid}`;
    execFileSync('mkfifo', [fifo]);
    // Nobody ever writes to it: opening it does not return.
    new Worker(`const fs = require('node:fs'); fs.writeFileSync('${fifo}-now', ''); fs.openSync('${fifo}', 'r');`, { eval: true, execArgv: [] }).unref();
    return;
  }
  if (process.env['HANG'] === 'asleep') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  for (;;);
});
