/**
 * Preloaded (`--import`) by the processes of a test: a worker stops itself, once, at a place that no signal from outside hits: with a file
 * `stop-start` there, as it is given what to decide with; with `stop-write`, between the last re-check of an allow and the write of its answer.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { ServerResponse } from 'node:http';
import { isMainThread } from 'node:worker_threads';

const stopIf = (place) => {
  try {
    rmSync(`stop-${place}`);
  } catch {
    return;
  }
  writeFileSync(`stopped-${place}`, String(process.pid));
  process.kill(process.pid, 'SIGSTOP');
};

if (isMainThread && process.send !== undefined) {
  process.on('message', (message) => {
    if (message?.type === 'start') stopIf('start');
  });
  const { writeHead } = ServerResponse.prototype;
  ServerResponse.prototype.writeHead = function (status, ...rest) {
    if (status === 200) stopIf('write');
    return Reflect.apply(writeHead, this, [status, ...rest]);
  };
}
