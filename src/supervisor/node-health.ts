import type { WorkerHealth } from './messages.ts';

/** A node is ready when one of its workers is. A worker that does not answer in time is `undefined`. */
export const nodeHealth = (workers: readonly (WorkerHealth | undefined)[]): WorkerHealth => {
  const faults = new Set(workers.flatMap((worker) => worker?.faults ?? []));
  if (workers.length === 0) faults.add('no worker runs');
  else if (workers.every((worker) => worker === undefined)) faults.add('no worker answers');
  return { ready: workers.some((worker) => worker?.ready === true), faults: [...faults] };
};
