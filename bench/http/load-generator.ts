/**
 * A process of its own that asks servers over connections that it keeps, one request at a time on each, and checks every answer.
 *
 * Closed loop: every connection asks again as soon as it has its answer; gives throughput. Open loop: requests are due at a fixed
 * rate, whatever the server does, and wait for a connection when all are busy; latency counts from when a request was due, so that
 * a slow server can't hide behind the requests that it kept from being sent.
 */
import { connectionsOf, type Connection, type Job, type JobConnections } from './job-connections.ts';

export interface Run {
  readonly job: number;
  readonly connections: number;
  readonly durationMs: number;
  /** Goes on beyond its time until so many were answered; for warming up. */
  readonly atLeast?: number;
  /** Requests a second; absent: closed loop. */
  readonly rate?: number;
  /** Index of the first request. */
  readonly from: number;
  /** However many answers come too late, the run counts: something else is measured meanwhile. */
  readonly anyLate?: boolean;
}

export type ToGenerator = { readonly type: 'job'; readonly job: Job } | { readonly type: 'run'; readonly run: Run } | { readonly type: 'drop'; readonly job: number };

export interface Ran {
  readonly answered: number;
  readonly durationMs: number;
  /** Microseconds each. */
  readonly latencies: Float64Array;
  /** Denials because the server could not decide in time; not wrong, and not an answer to the question. */
  readonly unavailable: number;
  readonly wrong: readonly string[];
}

const jobs: ({ readonly job: Job; readonly pool: JobConnections } | undefined)[] = [];
const WRONG_MAX = 5;
/** Requests that found no connection; beyond this the server can't keep up with the rate. */
const WAITING_MAX = 200_000;

const runLoad = async ({ requests, allow }: Job, pool: JobConnections, run: Run): Promise<Ran> => {
  const latencies: number[] = [];
  const wrong: string[] = [];
  let unavailable = 0;
  let next = run.from % requests.length;
  let ended = false;
  let failed: Error | undefined;
  const due: number[] = [];
  let dueHead = 0;
  const idle: Connection[] = [];
  let outstanding = 0;

  const send = (connection: Connection, sentFor: number): void => {
    const index = next;
    next = next + 1 === requests.length ? 0 : next + 1;
    outstanding += 1;
    pool.ask(connection, index, sentFor);
  };
  const proceed = (connection: Connection): void => {
    if (run.rate === undefined) {
      if (!ended) send(connection, performance.now());
      return;
    }
    if (dueHead < due.length) {
      send(connection, due[dueHead] as number);
      dueHead += 1;
    } else idle.push(connection);
  };
  const all = await pool.start(run.connections, {
    answered: (connection, verdict, text) => {
      latencies.push((performance.now() - connection.sentFor) * 1_000);
      outstanding -= 1;
      if (verdict === 'unavailable') unavailable += 1;
      else if (verdict !== (allow[connection.index] === true ? 'allow' : 'deny') && wrong.length < WRONG_MAX) wrong.push(`${text.slice(0, 300)} to ${requests[connection.index]?.slice(-120)}`);
      proceed(connection);
    },
    failed: (error) => { failed ??= error; },
  });

  const startedMs = performance.now();
  const untilMs = startedMs + run.durationMs;
  const over = (): boolean => failed !== undefined || (performance.now() >= untilMs && latencies.length >= (run.atLeast ?? 0));
  if (run.rate === undefined) {
    for (const connection of all) proceed(connection);
    while (!over()) await new Promise((resolve) => setTimeout(resolve, 10));
  } else {
    idle.push(...all);
    const perMs = run.rate / 1_000;
    let planned = 0;
    while (!over()) {
      // What is due by now, each at its own time on the millisecond; a late turn of this loop is no excuse.
      const upTo = Math.floor((performance.now() - startedMs) * perMs);
      for (; planned < upTo; planned += 1) {
        const dueMs = startedMs + Math.ceil((planned + 1) / perMs);
        const connection = idle.shift();
        if (connection === undefined) due.push(dueMs);
        else send(connection, Math.min(dueMs, performance.now()));
      }
      if (due.length - dueHead > WAITING_MAX) failed = new Error('the server can not keep up with the rate');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  ended = true;
  const answered = latencies.length;
  const durationMs = performance.now() - startedMs;
  const patience = performance.now() + 5_000;
  while (failed === undefined && (outstanding > 0 || dueHead < due.length) && performance.now() < patience) await new Promise((resolve) => setTimeout(resolve, 5));
  if (failed !== undefined) throw failed;
  if (outstanding > 0) throw new Error(`${outstanding} requests were never answered`);
  pool.rest();
  return { answered, durationMs, latencies: Float64Array.from(latencies), unavailable, wrong };
};

process.on('message', (message: ToGenerator) => {
  if (message.type === 'job') {
    jobs.push({ job: message.job, pool: connectionsOf(message.job) });
    process.send?.({ type: 'ready' });
    return;
  }
  if (message.type === 'drop') {
    jobs[message.job]?.pool.drop();
    jobs[message.job] = undefined;
    process.send?.({ type: 'ready' });
    return;
  }
  const of = jobs[message.run.job];
  const ran = of === undefined ? Promise.reject(new Error('no such job')) : runLoad(of.job, of.pool, message.run);
  ran.then(
    (result) => process.send?.({ type: 'ran', result }),
    (error: unknown) => {
      of?.pool.drop();
      process.send?.({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
    },
  );
});
process.on('disconnect', () => process.exit(0));
