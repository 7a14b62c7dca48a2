import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { runCurfew, startCurfew, temporaryDirectory, type Curfew, type CurfewOptions } from './curfew.ts';

const PACKAGED = fileURLToPath(new URL('../../bundles/curfew.tar.gz', import.meta.url));
const EXPLOSIVE = fileURLToPath(new URL('../policy/fixtures/explosive.tar.gz', import.meta.url));
const WORKLOAD = 'spiffe://dev.local/ci/one';
const ONCE = { connection: 'close' };

let curfew: Curfew | undefined;
const cleanUps: (() => void)[] = [];
afterEach(async () => {
  await curfew?.stop();
  curfew = undefined;
  for (const undo of cleanUps.splice(0)) undo();
});

const started = async (options: CurfewOptions = {}): Promise<Curfew> => {
  curfew = await startCurfew(options);
  const { workers = 1 } = options;
  await until('all workers', async () => (await curfew?.metrics())?.includes(`curfew_workers_ready ${workers}\n`));
  return curfew;
};
const directory = (): string => {
  const { path, remove } = temporaryDirectory();
  cleanUps.push(remove);
  return path;
};
const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
};
const logLines = (running: Curfew): any[] =>
  readFileSync(join(running.directory, '.curfew/decisions.jsonl'), 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));

describe('SIGTERM', () => {
  test('I11: ends with 0; every answer that was given has its record', async () => {
    const dir = directory();
    const running = await started({ workers: 2, directory: dir });
    const token = await running.mint(WORKLOAD);
    const ids: string[] = [];
    let stop = false;
    const load = Promise.all(Array.from({ length: 8 }, async () => {
      while (!stop) {
        const answer = await running.ask(token).catch(() => undefined);
        if (answer === undefined) return;
        ids.push(answer.headers.get('x-curfew-decision-id') ?? '');
      }
    }));
    await until('some answers', () => ids.length > 200);
    running.signal('SIGTERM');
    expect(await running.exited).toEqual({ code: 0, signal: null });
    stop = true;
    await load;
    const recorded = logLines(running).flatMap(({ id }) => (id === undefined ? [] : [id as string]));
    expect(ids.filter((id) => !recorded.includes(id))).toEqual([]);
    expect(new Set(recorded).size).toBe(recorded.length);
    expect(running.workers()).toEqual([]);
  });
  test('an open request is still answered, new ones are not taken', async () => {
    const running = await started({ workers: 1 });
    const [worker] = running.workers() as [number];
    // Half a request: the rest comes when the drain has begun.
    const socket = request({ port: running.ports.http, host: '127.0.0.1', path: '/forward-auth', method: 'POST', headers: { 'content-length': 4, ...ONCE } });
    const answered = new Promise<number | undefined>((resolve, reject) => {
      socket.once('response', (response) => resolve(response.statusCode));
      socket.once('error', reject);
    });
    socket.write('ab');
    await until('the connection', async () => (await running.ask(undefined)).status === 401);
    running.signal('SIGTERM');
    await until('the listener to close', () => running.ask(undefined, '/x', ONCE).then(() => false, () => true));
    expect(alive(worker)).toBe(true);
    socket.end('cd');
    expect(await answered).toBe(403);
    expect((await running.exited).code).toBe(0);
  });
  test('who starts again in the same place goes on with what was there', async () => {
    const dir = directory();
    const first = await started({ directory: dir });
    await first.grant(WORKLOAD);
    await first.stop();
    const second = await started({ directory: dir });
    expect((await second.ask(await second.mint(WORKLOAD))).status).toBe(200);
  });
});

describe('a worker that dies', () => {
  test('is replaced, the other goes on, and its gap is declared', async () => {
    const running = await started({ workers: 2 });
    const token = await running.mint(WORKLOAD);
    await running.grant(WORKLOAD);
    const [victim, other] = running.workers() as [number, number];
    process.kill(victim, 'SIGKILL');
    for (let asked = 0; asked < 50; asked += 1) {
      // Only what the dead one had taken on can fail.
      const answer = await running.ask(token, '/orders/1', ONCE).catch(() => undefined);
      if (answer !== undefined) expect(answer.status).toBe(200);
    }
    await until('two workers', async () => running.workers().length === 2 && (await running.metrics()).includes('curfew_workers_ready 2\n'));
    expect(running.workers()).toContain(other);
    expect(running.workers()).not.toContain(victim);
    expect(await running.metrics()).toContain('curfew_worker_restarts_total{cause="crash"} 1');
    await expect.poll(() => logLines(running).some(({ gap }) => gap?.pid === victim && gap.dropped === null), { timeout: 40_000 }).toBe(true);
    // What it had counted is not lost from the sums.
    expect(Number(/curfew_decision_duration_seconds_count (\d+)/.exec(await running.metrics())?.[1])).toBeGreaterThan(0);
  });
  test('takes nothing along: the only worker is replaced on the same port', async () => {
    const running = await started({ workers: 1 });
    const [victim] = running.workers() as [number];
    process.kill(victim, 'SIGKILL');
    await until('an answer', async () => (await running.ask(undefined, '/x', ONCE).catch(() => undefined))?.status === 401);
    expect(running.workers()).not.toContain(victim);
  });
  test('and a supervisor that dies leaves no worker behind', async () => {
    const running = await started({ workers: 2 });
    const pids = running.workers();
    running.signal('SIGKILL');
    await running.exited;
    await until('the workers to end', () => pids.every((pid) => !alive(pid)));
    // The lock went with the process: the next start is not refused.
    await running.stop();
    const next = await started({ directory: running.directory === '' ? directory() : directory() });
    expect((await next.ask(undefined)).status).toBe(401);
  });
});

const serve = (more = ''): string => `
store: {path: store}
decisionLog: {to: file, path: decisions.jsonl}
log: {level: info}
workers: 2
identity:
  issuers:
    - {kind: spiffe, trustDomain: example.org, audiences: [curfew], bundle: {file: bundle.json}}
${more}`;

const emptyBundle = (dir: string): void => writeFileSync(join(dir, 'bundle.json'), '{"keys": []}');
const standing = `standing:
  - {id: rollout, match: {scopes: [{actions: ["*"], resource: {type: http, id: "shop.local/open"}}]}, identity: optional, owner: "team:shop", reason: rollout, end: 2099-01-01T00:00:00Z}
`;

describe('SIGHUP', () => {
  test('reads the configuration again; every answer during the change is right', async () => {
    const dir = directory();
    emptyBundle(dir);
    const running = await started({ directory: dir, config: serve(), workers: 2 });
    const before = running.workers();
    expect((await running.ask(undefined, '/open')).status).toBe(401);
    let stop = false;
    const seen: number[] = [];
    let failed = 0;
    const load = (async () => {
      while (!stop) await running.ask(undefined, '/closed', ONCE).then(({ status }) => seen.push(status), () => { failed += 1; });
    })();
    writeFileSync(join(dir, 'curfew.yaml'), serve(standing));
    running.signal('SIGHUP');
    await until('the entry to count', async () => (await running.ask(undefined, '/open', ONCE).catch(() => undefined))?.status === 200);
    await until('the old workers to end', () => before.every((pid) => !alive(pid)));
    stop = true;
    await load;
    expect(new Set(seen)).toEqual(new Set([401]));
    expect(failed).toBe(0);
    await until('the reload to be counted', async () => (await running.metrics()).includes('curfew_reloads_total{what="configuration",result="done"} 1'));
    expect((await running.ask(undefined, '/closed')).status).toBe(401);
  });
  test.each([
    ['a mistake', serve('limits: {drainMss: 5}'), /curfew\.yaml:\d+: limits\.drainMss: unknown setting; did you mean `drainMs`/],
    ['a bundle that is not there', serve('policy: {bundle: {file: nowhere.tar.gz}, signing: {required: false}}'), /nowhere\.tar\.gz/],
    ['a bundle, and nothing is said about signatures', serve('policy: {bundle: {file: nowhere.tar.gz}}'), /policy\.signing: is not there, and bundles that come from elsewhere decide/],
    ['another port', serve('admin: {allowedHosts: [x.local]}\nstore: {path: elsewhere}').replace('store: {path: store}\n', ''), /only a restart can change store/],
    ['TLS for administration', serve('admin: {tls: {cert: c.pem, key: k.pem}}'), /only a restart can change admin\.tls/],
  ])('keeps the running configuration when the new one has %s, and says why', async (_what, text, why) => {
    const dir = directory();
    emptyBundle(dir);
    const running = await started({ directory: dir, config: serve(standing), workers: 2 });
    const pids = running.workers();
    writeFileSync(join(dir, 'curfew.yaml'), text);
    running.signal('SIGHUP');
    await until('the refusal', () => why.test(running.stderr()) && running.stderr().includes('the configuration is not reloaded'));
    expect((await running.ask(undefined, '/open')).status).toBe(200);
    expect(running.workers()).toEqual(pids);
    expect(await running.metrics()).toContain('curfew_reloads_total{what="configuration",result="refused"} 1');
  });
});

describe('the bundle file', () => {
  test('I14: garbage leaves the last good bundle active; workers that start meanwhile get it too', async () => {
    const dir = directory();
    const bundle = join(dir, 'bundle.tar.gz');
    copyFileSync(PACKAGED, bundle);
    const running = await started({ directory: dir, args: ['--set', `policy.bundle.file=${bundle}`, '--set', 'policy.bundle.reloadIntervalMs=50'] });
    await running.grant(WORKLOAD);
    const token = await running.mint(WORKLOAD);
    writeFileSync(bundle, 'garbage');
    await until('the refusal', () => running.stderr().includes('the new bundle is refused'));
    expect((await running.ask(token)).status).toBe(200);
    process.kill(running.workers()[0] as number, 'SIGKILL');
    await until('the replacement', async () => (await running.ask(token, '/orders/1', ONCE).catch(() => undefined))?.status === 200);
    copyFileSync(EXPLOSIVE, bundle);
    const digestOf = (metrics: string): string | undefined => /curfew_bundle_active\{revision="[^"]*",digest="([^"]+)"\} 1/.exec(metrics)?.[1];
    const before = digestOf(await running.metrics());
    await until('the good one', async () => digestOf(await running.metrics()) !== before);
    expect((await running.ask(token)).status).toBe(200);
  });
});

describe('unix sockets', () => {
  test('serve several workers, and a stale one is no obstacle', async () => {
    const dir = directory();
    emptyBundle(dir);
    const config = serve('http: {port: false, unix: {path: http.sock}}').replace(/workers: 2/, 'workers: 2');
    const ask = (): Promise<number | undefined> => new Promise((resolve, reject) => {
      const asked = request({ socketPath: join(dir, 'http.sock'), path: '/health/ready', headers: { host: 'localhost' } }, (response) => resolve(response.statusCode));
      asked.once('error', reject);
      asked.end();
    });
    const run = async (): Promise<Curfew> => started({ directory: dir, config, workers: 2, args: ['--set', 'http.port=false'] });
    const first = await run();
    for (let asked = 0; asked < 10; asked += 1) expect(await ask()).toBe(200);
    expect(statSync(join(dir, 'http.sock')).mode & 0o777).toBe(0o660);
    first.signal('SIGKILL');
    await first.exited;
    await run();
    expect(await ask()).toBe(200);
  });
});

describe('the decision log on standard output', () => {
  test('is nothing but records, one JSON object a line, from all workers', async () => {
    const dir = directory();
    emptyBundle(dir);
    const running = await started({ directory: dir, config: serve().replace('{to: file, path: decisions.jsonl}', '{to: stdout}'), workers: 2 });
    const ids = await Promise.all(Array.from({ length: 100 }, async () => (await running.ask(undefined, '/x', ONCE)).headers.get('x-curfew-decision-id')));
    running.signal('SIGTERM');
    await running.exited;
    const lines = running.stdout().split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as { id: string }).filter((line) => !('segment' in line));
    expect(new Set(lines.map(({ id }) => id))).toEqual(new Set(ids));
    expect(lines).toHaveLength(ids.length);
  });
});

describe('starting', () => {
  test('config check and serve list everything that is wrong, and start nothing', async () => {
    const dir = directory();
    writeFileSync(join(dir, 'curfew.yaml'), 'http: {host: 0.0.0.0}\nlimits: {evaluationBudgetMs: 500}\n');
    for (const command of [['config', 'check'], ['serve']]) {
      const { code, stderr } = await runCurfew([...command, '--config', 'curfew.yaml'], { directory: dir });
      expect(code).toBe(1);
      expect(stderr).toMatch(/curfew\.yaml:1: http\.host: 0\.0\.0\.0 is reachable/);
      expect(stderr).toMatch(/curfew\.yaml:2: limits\.evaluationBudgetMs: must not be longer/);
    }
    writeFileSync(join(dir, 'curfew.yaml'), '{}');
    expect((await runCurfew(['config', 'check', '--config', 'curfew.yaml'], { directory: dir })).code).toBe(0);
  });
  test('a bundle that is not acceptable is named', async () => {
    const dir = directory();
    mkdirSync(join(dir, 'b'));
    writeFileSync(join(dir, 'b/bad.tar.gz'), 'x');
    const { code, stderr } = await runCurfew(['dev', '--http-port', '0', '--grpc-port', '0', '--admin-port', '0', '--set', 'policy.bundle.file=b/bad.tar.gz'], { directory: dir });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^Curfew does not start: /);
    rmSync(join(dir, 'b'), { recursive: true });
  });
});
