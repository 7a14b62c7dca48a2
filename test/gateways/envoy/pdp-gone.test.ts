import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { describeWith } from '../../parts.ts';
import { extAuthz, shippedConfiguration, startEnvoy, type EnvoyConfiguration, type RunningEnvoy } from '../../support/envoy.ts';
import { openConnection, rawGet, type RawConnection } from '../../support/raw-http.ts';
import { freePorts } from '../../support/free-ports.ts';
import { startService, type Service } from '../../support/service.ts';
import { until } from '../../support/until.ts';
import { compile, type Compiled } from '../../store/compiled.ts';

const CLIENTS = 8;

const PROGRAM = 'test/gateways/envoy/yes-process.ts';

/** The deciding process; on this port. */
const startPdp = async (program: string, port: number): Promise<{ child: ChildProcess; port: number }> => {
  const child = spawn(process.execPath, [program, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, port: Number(line.toString()) };
};

const stopped = (pid: number): boolean => /^\d+ \(.*\) T/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

describeWith(['envoy'], 'B6: the PDP is gone, under load', () => {
  let compiled: Compiled;
  let service: Service;
  let envoy: RunningEnvoy | undefined;
  let pdp: { child: ChildProcess; port: number };
  let load: Promise<void>[];
  /** Requests by number: what the client got; absent while under way. */
  let answers: Map<number, number>;
  let next: number;
  let running: boolean;

  beforeAll(() => {
    compiled = compile([PROGRAM]);
  }, 60_000);
  afterAll(() => compiled?.remove());
  beforeEach(async () => {
    service = await startService();
    // Not one that the system gives out by itself: nobody else may have it while nobody listens there.
    pdp = await startPdp(compiled.fileOf(PROGRAM), (await freePorts(1))[0] ?? 0);
    [load, answers, next, running] = [[], new Map(), 0, true];
  });
  afterEach(async () => {
    running = false;
    pdp.child.kill('SIGKILL');
    await Promise.all(load);
    await envoy?.stop();
    await service.close();
  });

  /** A client that asks again and again, each time under a new number, on connections that it opens as needed. */
  const client = async (port: number): Promise<void> => {
    let connection: RawConnection | undefined;
    while (running) {
      const number = next;
      next += 1;
      try {
        connection ??= await openConnection(port);
        answers.set(number, (await connection.send(rawGet(`/n/${number}`))).status);
      } catch {
        connection?.close();
        connection = undefined;
        answers.set(number, 0);
      }
    }
    connection?.close();
  };

  const start = async (change: (config: EnvoyConfiguration) => void = () => undefined): Promise<void> => {
    const config = shippedConfiguration({ curfew: pdp.port, service: service.port, patience: 'shipped' });
    change(config);
    const running = await startEnvoy(config);
    envoy = running;
    load = Array.from({ length: CLIENTS }, () => client(running.port()));
    await until('the load runs', () => service.hits.length > 50);
  };

  /** Waits until so many requests were answered that began after now; gives their first number. */
  const afterNow = async (count: number): Promise<number> => {
    const first = next;
    await until(`${count} more answers`, () => answers.has(first + count) && answers.size > first + count);
    return first;
  };

  const hitsFrom = (first: number): number => service.hits.filter(({ target }) => Number(target.slice(3)) >= first).length;
  const statusesFrom = (first: number): Set<number> => new Set([...answers].filter(([number]) => number >= first).map(([, status]) => status));

  test('killed: no request that begins afterwards reaches the service; a new one serves again', async () => {
    await start();
    const gone = once(pdp.child, 'exit');
    pdp.child.kill('SIGKILL');
    await gone;
    const first = await afterNow(200);
    expect(hitsFrom(first)).toBe(0);
    expect(statusesFrom(first)).toEqual(new Set([403]));
    pdp = await startPdp(compiled.fileOf(PROGRAM), pdp.port);
    const before = service.hits.length;
    await until('L1: allowed again', () => service.hits.length > before, 5_000);
  });

  test('frozen: no request that begins while it stands still reaches the service, then or later', async () => {
    await start();
    const { pid } = pdp.child;
    process.kill(pid as number, 'SIGSTOP');
    await until('it stands still', () => stopped(pid as number));
    const first = await afterNow(5 * CLIENTS);
    expect(hitsFrom(first)).toBe(0);
    expect(statusesFrom(first)).toEqual(new Set([403]));
    // Those that began before the thaw and were asked about meanwhile get their late yes; nobody heeds it.
    const asked = next;
    process.kill(pid as number, 'SIGCONT');
    await until('L1: allowed again', () => hitsFrom(asked) > 20, 5_000);
    const between = service.hits.filter(({ target }) => Number(target.slice(3)) >= first && Number(target.slice(3)) < asked - CLIENTS);
    expect(between).toEqual([]);
  });

  test('the check notices a gateway that fails open', async () => {
    await start((config) => {
      extAuthz(config).failure_mode_allow = true;
    });
    const gone = once(pdp.child, 'exit');
    pdp.child.kill('SIGKILL');
    await gone;
    const first = await afterNow(50);
    expect(hitsFrom(first)).toBeGreaterThan(0);
  });
});
