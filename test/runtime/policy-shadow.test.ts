/** A candidate in the shadow tells what it would change, and can't change, delay or end anything: not an answer, not readiness, not a worker. */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import { describeWith, repositoryRoot } from '../parts.ts';
import { until } from '../support/until.ts';
import { runCurfew, startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const WORKLOAD = 'spiffe://dev.local/agent/helper';
const never = (head: string): string => `${head} if {\n\tendswith(input.curfew.resource.id, "/orders/7")\n\tn := numbers.range(1, 4000)\n\tsome a in n\n\tsome b in n\n\tsome c in n\n\ta > b\n\tb > c\n\tc > a\n}\n`;
const LOOPS = `package curfew.access\n\n${never('refusals contains "never"')}`;
const GROWS = 'package curfew.access\n\nrefusals contains "big" if count(concat("", [s | some i in numbers.range(1, 1000000); s := sprintf("%d %v", [i, input])])) > 0\n';

let directory: ReturnType<typeof temporaryDirectory>;
let curfew: Curfew | undefined;
beforeEach(() => { directory = temporaryDirectory(); });
afterEach(async () => {
  await curfew?.stop();
  curfew = undefined;
  directory.remove();
});

/** The default pack with a rule of its own. */
const pack = (name: string, own: string): string => {
  const path = join(directory.path, name);
  mkdirSync(path, { recursive: true });
  for (const file of ['access.rego', 'admin.rego', 'data.json', '.manifest']) cpSync(join(repositoryRoot, 'policies/curfew', file), join(path, file));
  writeFileSync(join(path, 'own.rego'), own);
  return path;
};
const start = async (...settings: readonly string[]): Promise<Curfew> =>
  (curfew = await startCurfew({ directory: directory.path, args: ['log.level=info', ...settings].flatMap((setting) => ['--set', setting]) }));
const said = (running: Curfew, message: string): Promise<unknown> => until(message, () => running.stderr().includes(message), 60_000);
const inShadow = async (running: Curfew): Promise<void> => {
  await until('the candidate in the shadow', async () => /curfew_shadow_bundle\{[^}]+\} 1/.test(await running.metrics()), 60_000);
};
const counted = async (running: Curfew, name: string, labels: string): Promise<number> =>
  Number(new RegExp(`^${name}\\{${labels}\\} (\\d+)$`, 'm').exec(await running.metrics())?.[1] ?? 0);

describeWith(['go'], 'policy.shadow', () => {
  beforeAll(() => void buildToolchain(), 600_000);

  test('differences are counted by both answers, logged with the decision, and never enforced; a save is in the shadow next', async () => {
    const path = pack('candidate', 'package curfew.access\n\nrefusals contains "orders 3 is closed" if endswith(input.curfew.resource.id, "/orders/3")\n');
    const running = await start(`policy.shadow.directory=${path}`, 'policy.bundle.reloadIntervalMs=200');
    const token = await running.mint(WORKLOAD);
    await running.grant(WORKLOAD);
    await inShadow(running);
    const closed = await running.ask(token, '/orders/3');
    expect([closed.status, (await running.ask(token, '/orders/1')).status, (await running.ask(token, '/elsewhere')).status, (await running.ask(undefined)).status]).toEqual([200, 200, 403, 401]);
    await until('three comparisons', async () => (await counted(running, 'curfew_shadow_decisions_total', 'result="same",active="grant.none",candidate="grant.none"')) === 1);
    expect(await counted(running, 'curfew_shadow_decisions_total', 'result="different",active="allow",candidate="policy.denied"')).toBe(1);
    expect(await counted(running, 'curfew_shadow_decisions_total', 'result="same",active="allow",candidate="allow"')).toBe(1);
    const line = running.stderr().split('\n').find((text) => text.includes('would have answered differently')) ?? '{}';
    expect(JSON.parse(line)).toMatchObject({ decision: closed.headers.get('x-curfew-decision-id'), active: 'allow', candidate: 'policy.denied' });
    expect(line).not.toContain('orders 3 is closed');
    const told = await runCurfew(['policy', 'shadow', '--server', `http://127.0.0.1:${running.ports.admin}`]);
    expect(told).toMatchObject({ code: 1, stderr: '' });
    expect(told.stdout).toMatch(/^candidate candidate-\w+\nRESULT +ACTIVE +CANDIDATE +DECISIONS\ndifferent +allow +policy\.denied +1\nsame +/);

    writeFileSync(join(path, 'own.rego'), 'package curfew.access\n\nrefusals contains "nothing any more"\n');
    await until('the next candidate', async () => {
      await running.ask(token, '/orders/1');
      return (await counted(running, 'curfew_shadow_decisions_total', 'result="different",active="allow",candidate="policy.denied"')) > 1;
    }, 60_000);
  });

  test('a candidate that does not end changes no answer, ends no worker, leaves readiness; it gives way, and is given up', async () => {
    const loops = pack('loops', LOOPS);
    // Positive control: as the active policy it does stop the worker that decides.
    const control = await start(`policy.bundle.directory=${loops}`, 'limits.evaluationBudgetMs=100');
    const controlToken = await control.mint(WORKLOAD);
    await control.grant(WORKLOAD);
    expect((await control.ask(controlToken, '/orders/1')).status).toBe(200);
    await expect(control.ask(controlToken, '/orders/7')).rejects.toThrow();
    await until('a worker to be replaced', async () => /curfew_worker_restarts_total\{cause="watchdog"\} 1/.test(await control.metrics()));
    await control.stop();
    directory.remove();
    directory = temporaryDirectory();

    const running = await start(`policy.shadow.directory=${pack('loops', LOOPS)}`, 'policy.shadow.processorShare=0.5', 'limits.evaluationBudgetMs=50');
    const token = await running.mint(WORKLOAD);
    await running.grant(WORKLOAD, { ttlMs: 600_000 });
    await inShadow(running);
    const [worker] = running.workers();
    const tookMs: number[] = [];
    let given = false;
    while (!given) {
      const from = performance.now();
      const { status } = await running.ask(token, '/orders/7');
      tookMs.push(performance.now() - from);
      expect(status).toBe(200);
      expect((await fetch(`http://127.0.0.1:${running.ports.http}/health/ready`)).status).toBe(200);
      given = running.stderr().includes('given up');
    }
    // The thread stood still for half a second each time, ten times; nobody waited for it.
    tookMs.sort((a, b) => a - b);
    expect(tookMs.length).toBeGreaterThan(20);
    expect(tookMs[Math.floor(tookMs.length * 0.9)]).toBeLessThan(400);
    expect(await counted(running, 'curfew_shadow_skipped_total', 'cause="stopped"')).toBe(10);
    expect(running.workers()).toEqual([worker]);
    expect(await running.metrics()).toContain('curfew_worker_restarts_total{cause="watchdog"} 0');
    expect(await running.metrics()).not.toMatch(/curfew_shadow_bundle\{/);
  });

  test('a reload of the configuration puts another candidate into the shadow, or none', async () => {
    const none = '{}\n';
    const config = join(directory.path, 'own.yaml');
    const candidate = pack('candidate', 'package curfew.access\n');
    writeFileSync(config, none);
    const running = (curfew = await startCurfew({ directory: directory.path, args: ['--config', config] }));
    const shadow = (...args: readonly string[]) => runCurfew(['policy', 'shadow', '--server', `http://127.0.0.1:${running.ports.admin}`, ...args]);
    expect(await shadow()).toMatchObject({ code: 2, stderr: expect.stringContaining('no candidate') as string });
    writeFileSync(config, `policy: { shadow: { directory: ${JSON.stringify(candidate)} } }\n`);
    running.signal('SIGHUP');
    await inShadow(running);
    expect(JSON.parse((await shadow('--json')).stdout)).toMatchObject({ bundle: { revision: expect.stringMatching(/^candidate-/) as string }, decisions: [] });
    writeFileSync(config, none);
    running.signal('SIGHUP');
    await until('an empty shadow', async () => !/curfew_shadow_bundle\{[^}]+\} 1/.test(await running.metrics()), 60_000);
  });

  test('on Linux its thread has the lowest priority, and only its thread', async () => {
    const running = await start(`policy.shadow.directory=${pack('plain', 'package curfew.access\n')}`);
    await inShadow(running);
    const [worker] = running.workers();
    const niceness = readdirSync(`/proc/${worker}/task`).map((task) => Number(readFileSync(`/proc/${worker}/task/${task}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')[16]));
    const own = Number(readFileSync('/proc/self/stat', 'utf8').replace(/^.*\) /, '').split(' ')[16]);
    expect(niceness.filter((nice) => nice === 19).length).toBe(own === 19 ? niceness.length : 1);
  });

  test('a candidate that grows without bound is stopped or fails; answers go on', async () => {
    const running = await start(`policy.shadow.directory=${pack('grows', GROWS)}`, 'policy.memoryMaxBytes=8388608');
    const token = await running.mint(WORKLOAD);
    await running.grant(WORKLOAD);
    await inShadow(running);
    const [worker] = running.workers();
    for (let asked = 0; asked < 5; asked += 1) expect((await running.ask(token, '/orders/1')).status).toBe(200);
    await until('it to be judged or stopped', async () =>
      (await counted(running, 'curfew_shadow_decisions_total', 'result="different",active="allow",candidate="policy.error"')) + (await counted(running, 'curfew_shadow_skipped_total', 'cause="stopped"')) > 0);
    expect((await running.ask(token, '/orders/1')).status).toBe(200);
    expect(running.workers()).toEqual([worker]);
  });

  test.each([
    ['Rego that is broken', 'package curfew.access\n\nrefusals contains "x" if {\n', 'own.rego:4:1'],
    ['a builtin that is not served', 'package curfew.access\n\nrefusals contains "x" if http.send({"method": "get", "url": "http://127.0.0.1:1"}).status_code == 200\n', 'http.send'],
  ])('what can not be loaded is told, and nothing waits for it: %s', async (_, own, message) => {
    const running = await start(`policy.shadow.directory=${pack('broken', own)}`);
    await said(running, message);
    const token = await running.mint(WORKLOAD);
    await running.grant(WORKLOAD);
    expect((await running.ask(token)).status).toBe(200);
  });
});
