/** What a grant takes in Redis, by part: what deciding needs, and its history. */
import type { Goal, Table } from '../harness/results.ts';
import { startBenchRedis } from './redis-server.ts';

/** Keys of a realm that hold something of every grant. */
const PARTS = [
  ['records', 'the record: stamps, value, names of what it rests on', true],
  ['index', 'its row in the time index', true],
  ['kinds', 'its name in the list of all records', true],
  ['events', 'the event of its issue, with the whole grant', false],
  ['history', "the event's places in the histories of grant and task", false],
] as const;

const GRANT_BYTES_MAX = 1_024;

export const measureMemory = async (grants: number, folder: string): Promise<{ readonly tables: readonly Table[]; readonly goals: readonly Goal[]; readonly text: string }> => {
  const redis = await startBenchRedis({ wanted: { grants, revocations: 0 }, folder, name: 'memory', durable: false, wholeEvents: true });
  try {
    const count = redis.store.workloads * 3;
    const bytes = new Map<string, number>();
    for (const [name] of PARTS) bytes.set(name, Number((await redis.ask(`MEMORY USAGE cf:{default}:${name} SAMPLES 0`)).slice(1)) / count);
    const sum = (live: boolean): number => PARTS.reduce((total, [name, , isLive]) => total + (isLive === live ? (bytes.get(name) ?? Number.NaN) : 0), 0);
    const [live, history] = [sum(true), sum(false)];
    return {
      text: `${Math.round(live)} bytes a grant, and ${Math.round(history)} of history`,
      tables: [
        {
          title: `Redis memory a grant, of ${count} grants`,
          columns: ['part', 'bytes', 'needed for'],
          rows: [...PARTS.map(([name, what, isLive]) => [what, String(Math.round(bytes.get(name) ?? Number.NaN)), isLive ? 'deciding, listing' : 'history']), ['together', String(Math.round(live + history)), '']],
          note: 'As `MEMORY USAGE` counts the keys, all samples, with the records of 1,000 tasks among them. A grant here rests on a task, an entitlement, an owner and two approvals. History is kept when a grant is dropped.',
        },
      ],
      goals: [
        { goal: 'Redis memory a live grant, with its index, <= 1,024 bytes', measured: `${Math.round(live)} bytes`, met: live <= GRANT_BYTES_MAX, limit: '' },
        { goal: 'the same with the event of its issue and its place in the history', measured: `${Math.round(live + history)} bytes`, met: live + history <= GRANT_BYTES_MAX, limit: "three rows of sorted sets, of which the server takes 70 bytes each beside their texts; the event holds the grant once more, and stays when the grant is dropped" },
      ],
    };
  } finally {
    await redis.stop();
  }
};
