/**
 * By how much a process grows over many rounds of the same thing: what it still holds once everything unused is collected, and
 * what the system counts of it. A file that measures the second measures nothing else: what an earlier test left to the
 * allocator would be used again, and hide growth, or be given back, and look like none.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface MemoryGrowth {
  /** MiB on the heap and in buffers, WebAssembly's memories among them, that something still refers to. */
  readonly held: number;
  /** MiB resident, as the system counts them; also what native code would leak. */
  readonly resident: number;
}

const MEBIBYTE = 1024 * 1024;
// Finalisers run between turns, and free what the next collection finds.
const COLLECTIONS = 3;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const measure = async (): Promise<MemoryGrowth> => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let times = 0; times < COLLECTIONS; times += 1) {
    collect();
    await turn();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { held: (heapUsed + external) / MEBIBYTE, resident: rss / MEBIBYTE };
};

/** The first fifth of the rounds warms up and isn't counted. */
export const memoryGrowth = async (rounds: number, round: (index: number) => unknown): Promise<MemoryGrowth> => {
  const run = async (from: number, to: number): Promise<void> => {
    for (let index = from; index < to; index += 1) {
      round(index);
      // As between requests: lets the collector's finalisers run.
      if (index % 500 === 0) await turn();
    }
  };
  await run(0, rounds / 5);
  const before = await measure();
  await run(rounds / 5, rounds);
  const after = await measure();
  return { held: after.held - before.held, resident: after.resident - before.resident };
};
