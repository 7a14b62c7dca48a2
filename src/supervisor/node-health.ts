import { CLOCK_UNTRUSTED, type WorkerHealth } from './messages.ts';

/** A node is ready when one of its workers is. A worker that does not answer in time is `undefined`. `clockTrusted`: the supervisor's own; `notices` make no node unready. */
export const nodeHealth = (workers: readonly (WorkerHealth | undefined)[], clockTrusted: boolean, notices: readonly string[] = []): WorkerHealth => {
  const faults = new Set(workers.flatMap((worker) => worker?.faults ?? []));
  if (!clockTrusted) faults.add(CLOCK_UNTRUSTED);
  if (workers.length === 0) faults.add('no worker runs');
  else if (workers.every((worker) => worker === undefined)) faults.add('no worker answers');
  for (const notice of notices) faults.add(notice);
  return { ready: workers.some((worker) => worker?.ready === true), faults: [...faults] };
};
