/** `curfew policy replay` on the log of the real program: exact under the same bundle, honest about what it can't know, told by rule. */
import { appendFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildToolchain } from '../../scripts/toolchain.mjs';
import { describeWith, repositoryRoot } from '../parts.ts';
import { until } from '../support/until.ts';
import { runCurfew, startCurfew, temporaryDirectory, type Ended } from './curfew.ts';

const WORKLOAD = 'spiffe://dev.local/agent/helper';
const SECRET = 'let-me-in-4711';

/** Denies by a header that the log only has masked, and by one that it has. */
const ACTIVE = `package curfew.access

headers := input.attributes.request.http.headers

refusals contains "known key" if headers["x-api-key"] == "${SECRET}"

refusals contains "tester" if headers["x-who"] == "tester"
`;

const directory = temporaryDirectory();
const at = (name: string): string => join(directory.path, name);
const pack = (name: string, own: string): string => {
  mkdirSync(at(name));
  for (const file of ['access.rego', 'admin.rego', 'data.json', '.manifest']) cpSync(join(repositoryRoot, 'policies/curfew', file), at(`${name}/${file}`));
  writeFileSync(at(`${name}/own.rego`), own);
  return at(name);
};
const replay = (bundle: string, ...args: readonly string[]): Promise<Ended> =>
  runCurfew(['policy', 'replay', '--log', at('log'), '--bundle', bundle, ...args], { directory: directory.path });

describeWith(['go'], 'curfew policy replay', () => {
  let active: string;
  beforeAll(async () => {
    buildToolchain();
    active = pack('active', ACTIVE);
    const curfew = await startCurfew({ directory: directory.path, args: ['--set', `policy.bundle.directory=${active}`] });
    try {
      const token = await curfew.mint(WORKLOAD);
      const ids: string[] = [];
      const ask = async (...args: Parameters<typeof curfew.ask>): Promise<void> => void ids.push((await curfew.ask(...args)).headers.get('x-curfew-decision-id') ?? '');
      await ask(token);
      const grant = await curfew.grant(WORKLOAD, { uses: 20 });
      for (const who of ['a', 'b', 'tester']) await ask(token, '/orders/1', { 'x-who': who });
      await ask(token, '/orders/2', { 'x-api-key': 'another' });
      await ask(token, '/orders/2', { 'x-api-key': SECRET });
      await ask(token, '/orders/3');
      await ask(token, '/elsewhere');
      await ask(undefined);
      await curfew.admin('POST', '/v1/revocations', { selector: { kind: 'grant', value: grant.id }, reason: 'x' });
      await ask(token, '/orders/4?access_token=abc');
      const log = at('.curfew/decisions.jsonl');
      await until('the records', () => ids.every((id) => readFileSync(log, 'utf8').includes(id)));
      cpSync(log, at('log'));
    } finally {
      await curfew.stop();
    }
  }, 600_000);
  afterAll(() => directory.remove());

  test('the same bundle gives every decision again, save those whose policy read a masked field, which are counted', async () => {
    const { code, stdout, stderr } = await replay(active);
    expect(stderr).toBe('');
    // Ten asked; one had no credential, two sent the key. Of those one comes out differently without its value.
    expect(stdout).toMatch(/^10 decisions, by active-\w+ 10; now by active-\w+\n7 as they were\n0 would change\n2 read a masked field, .*; with the mask in its place 1 differ\n1 not judged: no policy was asked\n$/);
    expect(code).toBe(0);
    expect(readFileSync(at('log'), 'utf8')).not.toContain(SECRET);
  });

  test('what a candidate would change is listed by rule, the worst first, within 120 columns', async () => {
    const candidate = pack('candidate', 'package curfew.access\n\nrefusals contains "orders 3 is closed" if endswith(input.curfew.resource.id, "/orders/3")\n');
    const { code, stdout } = await replay(candidate);
    expect(code).toBe(1);
    expect(stdout).toContain('\n3 would change\n');
    expect(stdout).not.toContain('masked');
    const groups = stdout.split('\n').filter((line) => /^\d+ x/.test(line));
    expect(groups).toEqual([
      '1 x deny to allow: deny policy.denied: tester -> allow',
      '1 x deny to allow: deny policy.denied: known key -> allow',
      '1 x allow to deny: allow -> deny policy.denied: orders 3 is closed',
    ]);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
    const json = (await replay(candidate, '--json')).stdout.trim().split('\n').map((line) => JSON.parse(line) as unknown);
    expect(json).toHaveLength(4);
    expect(json.at(-1)).toMatchObject({ summary: { decisions: 10, changed: 3, unchanged: 6, masked: { count: 0 } } });
    expect(json[0]).toMatchObject({ change: expect.any(String), resource: { type: 'http' }, before: { allow: expect.any(Boolean) }, after: { allow: expect.any(Boolean) } });
  });

  test('headers that a candidate may not set deny, as they would', async () => {
    const candidate = pack('headers', 'package curfew.access\n\nanswer := object.union(decision, {"headers": {"x-forwarded-user": "x"}})\n');
    const { stdout } = await replay(candidate, '-e', 'curfew/access/answer');
    expect(stdout).toContain('allow to deny: allow -> deny policy.malformed');
    expect((await replay(candidate, '-e', 'curfew/access/answer', '--may-set', 'x-forwarded-user')).stdout).not.toContain('policy.malformed');
  });

  test('a candidate that does not end is ended, and said so; one that never ends is given up', async () => {
    const explosive = 'refusals contains "never" if {\n\tendswith(input.curfew.resource.id, "/orders/3")\n\tn := numbers.range(1, 3000)\n\tsome a in n\n\tsome b in n\n\tsome c in n\n\ta > b\n\tb > c\n\tc > a\n}\n';
    const some = await replay(pack('explosive', `package curfew.access\n\n${explosive}`), '--budget', '300ms');
    expect(some.stdout).toMatch(/would change, 1 of them because the policy took too long\n/);
    expect(some.stdout).toContain('-> deny policy.quarantined');
    expect(some.code).toBe(1);
    const line = readFileSync(at('log'), 'utf8').split('\n').find((text) => text.includes('/orders/3')) ?? '';
    writeFileSync(at('log-many'), `${line}\n`.repeat(60));
    const all = await runCurfew(['policy', 'replay', '--log', at('log-many'), '--bundle', at('explosive'), '--budget', '50ms'], { directory: directory.path });
    expect(all).toMatchObject({ code: 2, stderr: expect.stringContaining('given up') });
  });

  test('malformed lines and gaps are counted and named, and end nothing', async () => {
    cpSync(at('log'), at('log-torn'));
    // Segments of the log's chain stand between the records, as many as there was time for.
    const last = readFileSync(at('log'), 'utf8').split('\n').length - 1;
    appendFileSync(at('log-torn'), '{"torn\n{"version":1,"gap":{"dropped":4,"cause":"buffer full","pid":1}}\n{"version":1,"id":"x"}');
    const { code, stdout } = await runCurfew(['policy', 'replay', '--log', at('log-torn'), '--bundle', active], { directory: directory.path });
    expect(stdout).toContain('1 gap declared in the log: 4 records missing\n');
    expect(stdout).toMatch(new RegExp(`\\n2 lines that can not be read \\(${last + 1}: is not JSON; ${last + 3}: .+\\)\\n`));
    expect(code).toBe(0);
  });

  test('what is not whole in the log is not judged, and counted by why', async () => {
    const [line = ''] = readFileSync(at('log'), 'utf8').split('\n').filter((text) => text.includes('/orders/3'));
    const record = JSON.parse(line) as { input: object; policy: object; masked: string[] };
    const { result: _, ...policy } = record.policy as { result: unknown };
    const lines = [
      { ...record, input: { leftOut: 'too long', sha256: 'x' }, policy: { ...record.policy, result: { leftOut: 'too long', sha256: 'x' } }, masked: undefined },
      { ...record, input: { ...record.input, deep: [['left out: too deep']] }, masked: [...record.masked, '/deep/0/0'], policy: { ...policy, fault: 'policy.error' }, result: { allow: false, reason: 'policy.error' } },
      { ...record, policy: { ...policy, fault: 'policy.quarantined' }, result: { allow: false, reason: 'policy.quarantined' } },
      record,
    ];
    writeFileSync(at('log-parts'), lines.map((one) => `${JSON.stringify(one)}\n`).join(''));
    const { code, stdout } = await runCurfew(['policy', 'replay', '--log', at('log-parts'), '--bundle', active], { directory: directory.path });
    expect(stdout).toMatch(/\n1 as they were\n0 would change\n2 not judged: its input is not in the log\n1 not judged: it stopped a worker\n$/);
    expect(code).toBe(0);
  });

  test('decisions of another rule than the one that is replayed are not mixed in', async () => {
    writeFileSync(at('log-other'), readFileSync(at('log'), 'utf8').replaceAll('"entrypoint":"curfew/access/decision"', '"entrypoint":"curfew/access/usable"'));
    const other = ['policy', 'replay', '--log', at('log-other'), '--bundle', active];
    expect(await runCurfew(other, { directory: directory.path })).toMatchObject({ code: 2, stderr: expect.stringContaining('was decided by curfew/access/usable: name the rule with --entrypoint') as string });
    expect((await runCurfew([...other, '-e', 'curfew/access/decision'], { directory: directory.path })).code).toBe(0);
  });

  test.each([
    ['a log that is not there', ['--log', 'nowhere', '--bundle', 'active'], 'nowhere can not be read'],
    ['a bundle that is not there', ['--log', 'log', '--bundle', 'nowhere'], 'nowhere is not there'],
    ['a log without decisions', ['--log', 'empty', '--bundle', 'active'], 'no decision that could be replayed'],
    ['Rego that is broken, with file and line', ['--log', 'log', '--bundle', 'broken'], 'broken/own.rego:4:1: '],
    ['an entrypoint that is not there', ['--log', 'log', '--bundle', 'active', '-e', 'curfew/access/none'], 'curfew/access/none'],
    ['a file that is no bundle', ['--log', 'log', '--bundle', 'empty'], 'gzip'],
  ])('can not be told, exit 2: %s', async (_, args, message) => {
    writeFileSync(at('empty'), '');
    if (args.includes('broken')) pack('broken', 'package curfew.access\n\nrefusals contains "x" if {\n');
    const { code, stderr } = await runCurfew(['policy', 'replay', ...args], { directory: directory.path });
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});
