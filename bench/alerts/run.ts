/**
 * The alerts bench: a real `curfew serve` with a webhook, and a receiver on this machine. Grants are ended in its store, each ending an alert; measured is from the
 * instant of the event's commit, as the store wrote it, until the receiver has the whole message: one after another at a steady pace, then all at once.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { summarize, type Latency } from '../harness/latency.ts';
import type { Options } from '../harness/options.ts';
import { count, type Findings } from '../harness/results.ts';
import { startCurfew } from '../http/curfew-server.ts';
import { openOwnLifecycle } from '../support/own-lifecycle.ts';
import { createBenchIssuer } from '../support/workload-tokens.ts';

export const alertsDefaults = { ends: 200, perSecond: 20, write: false } as const;
export type AlertsOptions = Options<typeof alertsDefaults>;

const P99_GOAL_MS = 1_000;
const ARRIVE_MS = 60_000;
const AT_ONCE = 16;
const BODY_BYTES_MAX = 65_536;
const ALERT = 'access.revoked';

/** Takes alerts of this kind, and notes when the first message of each was whole. */
const startReceiver = async () => {
  const arrived = new Map<string, number>();
  let repeated = 0;
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => { if (body.length < BODY_BYTES_MAX) body += chunk; });
    request.once('end', () => {
      const at = Date.now();
      const { data: { value: grant } } = JSON.parse(body) as { readonly data: { readonly value: string } };
      if (arrived.has(grant)) repeated += 1;
      else arrived.set(grant, at);
      response.writeHead(204).end();
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port, arrived,
    repeated: () => repeated,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

/** When each of them arrived; throws when one doesn't. */
const waitFor = async (committed: ReadonlyMap<string, number>, arrived: ReadonlyMap<string, number>): Promise<number[]> => {
  const until = performance.now() + ARRIVE_MS;
  while ([...committed.keys()].some((grant) => !arrived.has(grant))) {
    if (performance.now() > until) throw new Error(`${[...committed.keys()].filter((grant) => !arrived.has(grant)).length} of ${committed.size} alerts did not arrive within ${ARRIVE_MS} ms`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  return [...committed].map(([grant, at]) => (arrived.get(grant) as number) - at);
};

const whole = (value: number): string => value.toFixed(0);

export const runAlerts = async (options: AlertsOptions): Promise<Findings> => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-bench-'));
  const stops: (() => Promise<void>)[] = [];
  try {
    const receiver = await startReceiver();
    stops.push(receiver.close);
    writeFileSync(join(folder, 'secret'), 'a secret of the bench, for nobody', { mode: 0o600 });
    const path = join(folder, 'store');
    const alerts = { channels: [{ kind: 'webhook', id: 'bench', atLeast: 'info', only: [ALERT], url: `http://127.0.0.1:${receiver.port}/`, insecureLoopback: true, secret: { file: join(folder, 'secret') } }] };
    const server = await startCurfew({ store: { path }, jwks: createBenchIssuer().jwks, folder, name: 'server', config: { alerts } });
    stops.push(server.stop);
    const own = await openOwnLifecycle(path);
    stops.push(own.close);

    const issued = async (): Promise<readonly string[]> => {
      const ids: string[] = [];
      for (let from = 0; from < options.ends; from += AT_ONCE) ids.push(...(await Promise.all(Array.from({ length: Math.min(AT_ONCE, options.ends - from) }, (_, index) => own.issue(from + index)))));
      return ids;
    };
    const ended = async (committed: Map<string, number>, grant: string): Promise<void> => void committed.set(grant, (await own.end(grant)).at);
    const steady = async (): Promise<Latency> => {
      const committed = new Map<string, number>();
      const work: Promise<void>[] = [];
      const ids = await issued();
      const from = performance.now();
      for (const [index, grant] of ids.entries()) {
        await new Promise((resolve) => { setTimeout(resolve, Math.max(0, from + (index * 1_000) / options.perSecond - performance.now())); });
        work.push(ended(committed, grant));
      }
      await Promise.all(work);
      return summarize(await waitFor(committed, receiver.arrived));
    };
    const burst = async (): Promise<Latency> => {
      const committed = new Map<string, number>();
      await Promise.all((await issued()).map((grant) => ended(committed, grant)));
      return summarize(await waitFor(committed, receiver.arrived));
    };
    const paced = await steady();
    const rushed = await burst();
    const row = (name: string, { p50, p99, max }: Latency): string[] => [name, count(options.ends), whole(p50), whole(p99), whole(max)];
    return {
      tables: [{
        title: 'From the commit of a grant\'s end to the whole message at a webhook\'s receiver',
        columns: ['ends', 'alerts', 'p50 ms', 'p99 ms', 'longest ms'],
        rows: [row(`${options.perSecond} a second`, paced), row('all at once', rushed)],
        note: `The node looks for new alerts every 250 ms (\`alerts.pollMs\`, the default), has four of a channel on their way at once, and commits what became of each. The receiver answers at once; it saw ${receiver.repeated()} alerts twice.`,
      }],
      goals: [{ goal: `alert to webhook, p99 <= ${count(P99_GOAL_MS)} ms after the commit, ${options.perSecond} ends a second`, measured: `${whole(paced.p99)} ms`, met: paced.p99 <= P99_GOAL_MS }],
    };
  } finally {
    for (const stop of stops.toReversed()) await stop();
    rmSync(folder, { recursive: true, force: true });
  }
};
