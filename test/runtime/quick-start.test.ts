import { execFile } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCurfew, startCurfew, type Curfew } from './curfew.ts';

const shell = promisify(execFile);
const DEPLOYER = 'spiffe://dev.local/ci/deployer';

describe('npm start', () => {
  let curfew: Curfew;
  beforeAll(async () => {
    curfew = await startCurfew();
  });
  afterAll(() => (curfew as Curfew | undefined)?.stop());

  test('serves decisions within 3 s', async () => {
    const timed = async (what: () => Promise<unknown>): Promise<number> => {
      const before = performance.now();
      await what();
      return performance.now() - before;
    };
    const seen: { readonly idleMs: number; readonly startedMs: number }[] = [];
    // On a machine that is busy with other tests it takes as much longer as everything else, a process that does nothing too, which takes some 40 ms
    // when it is quiet. What else is busy comes and goes; one start in which it does not shows it.
    const inTime = (): boolean => seen.some(({ idleMs, startedMs }) => startedMs < 3_000 * Math.max(1, idleMs / 60));
    for (let round = 0; round < 10 && !inTime(); round += 1) {
      const idleMs = await timed(() => shell(process.execPath, ['-e', '0']));
      let started: Curfew | undefined;
      seen.push({ idleMs, startedMs: await timed(async () => { started = await startCurfew(); }) });
      await started?.stop();
    }
    expect(inTime(), JSON.stringify(seen)).toBe(true);
    expect((await fetch(`http://127.0.0.1:${curfew.ports.http}/health/ready`)).status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${curfew.ports.http}/health/live`)).status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${curfew.ports.admin}/health/ready`)).status).toBe(200);
  });

  test('demand(18) demand(6): the printed lines, pasted as they stand, show deny, grant, allow with its deadline, revoke, deny', async () => {
    const printed = curfew.stdout();
    const lines = printed.slice(printed.indexOf('# An identity'));
    const { stdout } = await shell('sh', ['-eu', '-c', lines], { cwd: '/' });
    const answers = stdout.split(/(?=HTTP\/1\.1 )/).filter((answer) => answer.startsWith('HTTP'));
    expect(answers.map((answer) => answer.slice(9, 12))).toEqual(['403', '200', '403']);
    expect(answers[0]).toContain('x-curfew-reason: grant.none');
    expect(answers[1]).toMatch(/x-curfew-valid-until: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/);
    const validMs = Number(/x-curfew-valid-ms: (\d+)/.exec(answers[1] ?? '')?.[1]);
    expect(validMs).toBeGreaterThan(50_000);
    expect(validMs).toBeLessThanOrEqual(60_000);
    expect(answers[2]).toContain('x-curfew-reason: grant.revoked');
    expect(stdout).toContain(`"workload":"${DEPLOYER}"`);
    expect(lines.split('\n').filter((line) => line.startsWith('#')).join()).not.toMatch(/['"`]/);
    for (const line of printed.split('\n').filter((text) => !/^(curl|GRANT|TOKEN|ID)/.test(text))) expect(line.length).toBeLessThan(160);
  });

  test('the operator token, the key and the decision log are for their owner only', () => {
    for (const file of ['admin-token', 'dev-key.json', 'decisions.jsonl']) expect(statSync(join(curfew.directory, '.curfew', file)).mode & 0o777, file).toBe(0o600);
    expect(statSync(join(curfew.directory, '.curfew')).mode & 0o777).toBe(0o700);
  });

  test('demand(1) I1: a grant ends on the clock, without anybody doing anything', async () => {
    const workload = 'spiffe://dev.local/ci/short';
    const token = await curfew.mint(workload);
    await curfew.grant(workload, { ttlMs: 2_500 });
    const until = (await curfew.ask(token)).headers.get('x-curfew-valid-until');
    expect(until).not.toBeNull();
    const end = Date.parse(until ?? '');
    let last: { readonly status: number; readonly reason: string | null };
    do last = await curfew.ask(token);
    while (last.status === 200 && Date.now() < end + 1_000);
    expect(last).toMatchObject({ status: 403, reason: 'grant.expired' });
    expect(Date.now()).toBeGreaterThanOrEqual(end);
  });

  test('who presents nothing, or something bad, is told to authenticate', async () => {
    const none = await curfew.ask(undefined);
    expect([none.status, none.reason]).toEqual([401, 'credential.missing']);
    expect(none.headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect((await curfew.ask('eyJhbGciOiJub25lIn0.e30.')).status).toBe(401);
  });

  test('a workload sees its own grants and no others', async () => {
    const workload = 'spiffe://dev.local/agent/self';
    const token = await curfew.mint(workload);
    const { id } = await curfew.grant(workload);
    await curfew.grant('spiffe://dev.local/agent/other');
    const response = await fetch(`http://127.0.0.1:${curfew.ports.http}/self/v1/grants`, { headers: { authorization: `Bearer ${token}` } });
    const { items } = (await response.json()) as { items: { id: string }[] };
    expect(items.map((item) => item.id)).toEqual([id]);
  });

  test('demand(8): every answer has one record, found by its id, and metrics count it', async () => {
    const { headers, status } = await curfew.ask('not-a-token');
    expect(status).toBe(401);
    const id = headers.get('x-curfew-decision-id') ?? '';
    await expect.poll(async () => (await curfew.admin('GET', `/v1/decisions/${id}`)).status, { timeout: 40_000 }).toBe(200);
    const lines = readFileSync(join(curfew.directory, '.curfew/decisions.jsonl'), 'utf8').split('\n').filter((line) => line.includes(id));
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toContain('not-a-token');
    const metrics = await curfew.metrics();
    expect(metrics).toMatch(/curfew_decisions_total\{result="deny",reason="credential\.malformed",protocol="forward-auth"\} \d+/);
    // Of the allows before.
    expect(Number(/curfew_facts_age_seconds_count (\d+)/.exec(metrics)?.[1])).toBeGreaterThan(0);
  });

  test('explain says which grant counted and which did not, and why', async () => {
    const workload = 'spiffe://dev.local/ci/explained';
    const { id } = await curfew.grant(workload);
    const asked = { workload, action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' } };
    expect((await curfew.admin('POST', '/v1/explain', asked)).body).toMatchObject({ decision: 'allow', grant: id, grants: [{ id, counts: true }] });
    await curfew.admin('POST', '/v1/revocations', { selector: { kind: 'grant', value: id }, reason: 'test' });
    expect((await curfew.admin('POST', '/v1/explain', asked)).body).toMatchObject({ decision: 'deny', reason: 'grant.revoked', grants: [{ id, counts: false, reason: 'grant.revoked' }] });
  });

  test('a second instance on the same store says so, and ends with its own exit code', async () => {
    const second = await runCurfew(['dev', '--http-port', '0', '--grpc-port', '0', '--admin-port', '0'], { directory: curfew.directory });
    expect(second.code).toBe(5);
    expect(second.stderr).toContain(`another Curfew already uses the store`);
    expect(second.stderr).toContain(`process ${curfew.pid}`);
    // The token of the one that runs was not touched.
    expect((await curfew.admin('GET', '/v1/grants')).status).toBe(200);
  });

  test.each(['http', 'grpc', 'admin'] as const)('a %s port in use is named, with another exit code', async (section) => {
    const others = ['http', 'grpc', 'admin'].flatMap((name) => [`--${name}-port`, name === section ? String(curfew.ports[section]) : '0']);
    const second = await runCurfew(['dev', ...others, '--workers', '1', '--store', join(curfew.directory, `store-${section}`)], { directory: curfew.directory });
    expect(second.stderr).toContain(String(curfew.ports[section]));
    expect(second.stderr).toContain(`--${section}-port`);
    expect(second.code).toBe(4);
  });
});
