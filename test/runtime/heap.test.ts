/** Workers have the heap that their configuration needs, and no more: garbage is memory too. */
import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { HEAP_MEGABYTES } from '../../src/supervisor/worker-heap.ts';
import { until } from '../support/until.ts';
import { startCurfew, type Curfew } from './curfew.ts';

let curfew: Curfew | undefined;
afterEach(async () => {
  await curfew?.stop();
  curfew = undefined;
});

/** NaN until the new process has its own command line. */
const heapOf = (pid: number): number => Number(/--max-old-space-size=(\d+)/.exec(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.[1] ?? Number.NaN);

test('the limit of the heap is small by default, and grows with what the configuration lets a worker remember', async () => {
  curfew = await startCurfew();
  expect(curfew.workers().map(heapOf)).toEqual([HEAP_MEGABYTES]);
  await curfew.stop();
  curfew = await startCurfew({ args: ['--set', 'store.memoBytesMax=67108864'] });
  const running = curfew;
  expect(running.workers().map(heapOf)).toEqual([HEAP_MEGABYTES + 104]);
  // The next one is like the first.
  const [first] = running.workers();
  process.kill(first ?? 0, 'SIGKILL');
  await until('another worker', () => running.workers().length === 1 && running.workers()[0] !== first && running.workers().every((pid) => !Number.isNaN(heapOf(pid))));
  expect(running.workers().map(heapOf)).toEqual([HEAP_MEGABYTES + 104]);
});
