/**
 * Entry of the watchdog's thread. When the deciding thread stands still beyond its budget, it reports which evaluation that was,
 * and ends the whole process: WebAssembly can't be interrupted in its own thread, and open requests are reset by the kernel.
 */
import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { EVALUATION, LOOP_TURNS, TEXT_BYTES, viewWatch, type StallReport, type WatchThreadData } from './layout.ts';
import { mainThreadProcessorMs } from './processor-time.ts';
import { createStallJudge } from './stall.ts';

const { memory, tickMs, evaluationBudgetMs, reportFd } = workerData as WatchThreadData;
const { header, text } = viewWatch(memory);
const judge = createStallJudge({ tickMs, evaluationBudgetMs }, mainThreadProcessorMs);
const asleep = new Int32Array(new SharedArrayBuffer(4));

const fingerprint = (): string => new TextDecoder().decode(Uint8Array.from(text.subarray(0, Atomics.load(header, TEXT_BYTES))));

for (;;) {
  Atomics.wait(asleep, 0, 0, tickMs);
  const cause = judge({ loopTurns: Atomics.load(header, LOOP_TURNS), evaluation: Atomics.load(header, EVALUATION) });
  if (cause === undefined) continue;
  const report: StallReport = cause === 'evaluation' ? { cause, fingerprint: fingerprint() } : { cause };
  try {
    writeSync(reportFd, `${JSON.stringify(report)}\n`);
  } finally {
    process.kill(process.pid, 'SIGKILL');
  }
}
