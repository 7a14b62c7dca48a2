/** Tasks tied to reality: what is over at its source is over here, in any order of arrival, and nobody but the source says so. Over both stores. */
import { createHmac, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Clock, Policy } from '../../src/decision/ports.ts';
import type { Instant } from '../../src/domain/instant.ts';
import { lifecycleConfig } from '../../src/lifecycle/config.ts';
import { createLifecycle, type Call } from '../../src/lifecycle/lifecycle.ts';
import { createCheckReference } from '../../src/signals/check-reference.ts';
import { signalsConfig } from '../../src/signals/config.ts';
import { StoreUnavailable, type NodeStore } from '../../src/store/port.ts';
import { createSignals } from '../../src/supervisor/signals.ts';
import { committedPolicy, terms } from '../lifecycle/world.ts';
import { onBothStores } from '../support/both-stores.ts';
import { until } from '../support/until.ts';

const NOW = 1_800_000_000_000;
const SECRET = 'the secret of the hook, long enough';
const CALL: Call = { realm: 'default', actor: { kind: 'operator', id: 'user:op' } };
process.env['TEST_SIGNAL_SECRET'] = SECRET;
const secret = { env: 'TEST_SIGNAL_SECRET' };
const owner = 'team:shop';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A source outside: what it answers by path, or a status. */
const startSource = async (answers: Record<string, object | number>) => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.authorization ?? ''}`);
    const answer = answers[request.url ?? ''] ?? 404;
    if (typeof answer === 'number') response.writeHead(answer).end('{}');
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => server.close());
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
};

const github = (body: object, event = 'workflow_job', signed = SECRET): Request => {
  const text = JSON.stringify(body);
  return new Request('http://localhost/signals/gh', {
    method: 'POST', body: text,
    headers: { 'x-github-event': event, 'x-github-delivery': randomUUID(), 'x-hub-signature-256': `sha256=${createHmac('sha256', signed).update(text).digest('hex')}` },
  });
};
const job = (action: string, id = 77, repository = 'org/shop') => github({ action, workflow_job: { id, run_id: 5, run_attempt: 1, status: action, html_url: `https://github.com/org/shop/actions/runs/5/job/${id}` }, repository: { id: 1, full_name: repository } });
const gitlab = (body: object, token = SECRET): Request =>
  new Request('http://localhost/signals/gl', { method: 'POST', body: JSON.stringify(body), headers: { 'x-gitlab-event': 'Job Hook', 'x-gitlab-token': token } });
const generic = (body: object, over: { id?: string; at?: number; key?: string; signature?: string } = {}): Request => {
  const text = JSON.stringify(body);
  const [id, at] = [over.id ?? randomUUID(), Math.floor((over.at ?? NOW) / 1_000)];
  const signature = over.signature ?? `v1,${createHmac('sha256', over.key ?? SECRET).update(`${id}.${at}.${text}`).digest('base64')}`;
  return new Request('http://localhost/signals/iam', { method: 'POST', body: text, headers: { 'webhook-id': id, 'webhook-timestamp': String(at), 'webhook-signature': signature } });
};

onBothStores('signals', (open) => {
  const setUp = async (over: object = {}, wrap?: (store: NodeStore) => NodeStore) => {
    const at = { now: NOW };
    const clock: Clock = { now: () => ({ earliest: at.now as Instant, latest: at.now as Instant, trusted: true }), monotonicMs: () => performance.now() };
    const opened = await open(clock);
    const store = wrap?.(opened) ?? opened;
    const policy: Policy = await committedPolicy();
    const signals = signalsConfig.parse({
      port: 0,
      hooks: [
        { kind: 'github', id: 'gh', secret, owner, repositories: ['org/shop'] },
        { kind: 'gitlab', id: 'gl', secret, owner },
        { kind: 'generic', id: 'iam', secret, owner, taskKind: 'ticket', mayEnd: ['workload', 'credential', 'owner'] },
      ],
      ...over,
    });
    const lifecycle = createLifecycle({
      store, clock, config: lifecycleConfig.parse({}), policy: () => policy, development: true, enforcementMs: 0, settle: async () => undefined,
      taskSources: new Set([...signals.hooks, ...signals.pollers].map(({ id }) => id)),
      checkReference: createCheckReference(signals.pollers, { secrets: { env: (name) => process.env[name] }, timeoutMs: 20_000, signal: new AbortController().signal }),
    });
    const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
    const { receive, rounds } = createSignals({ config: { signals, realms: ['default'] }, clock, store } as never, lifecycle, log);
    const send = async (request: Request): Promise<[number, string]> => {
      const response = await receive(request);
      return [response.status, ((await response.json()) as { result: string }).result];
    };
    const task = async (id: string) => (await store.read('default', [{ kind: 'task', id }]))[0]?.value;
    const sequence = async () => (await store.facts({ realm: 'default', keys: [] })).position.sequence;
    const markers = async () => (await store.list('default', { kind: 'open-signal', limit: 10 })).items.map(({ key }) => key.id);
    return { at, clock, store, lifecycle, send, rounds, task, sequence, markers };
  };

  test('F8: a signal that changed nothing when it came changes nothing when it is replayed', async () => {
    const { send, task } = await setUp();
    await send(generic({ type: 'task.opened', task: 'T-1' }));
    expect(await send(generic({ type: 'task.resumed', task: 'T-1' }, { id: 'r-1' }))).toEqual([202, 'done']);
    await send(generic({ type: 'task.paused', task: 'T-1' }));
    await send(generic({ type: 'task.resumed', task: 'T-1' }, { id: 'r-1' }));
    expect(await task('iam:T-1')).toMatchObject({ state: 'paused' });
    expect(await send(generic({ type: 'task.resumed', task: 'T-1' }, { id: 'r-2' })), 'the control').toEqual([202, 'done']);
    expect(await task('iam:T-1')).toMatchObject({ state: 'open' });
  });

  test('F8: a beat that came while its task was paused does not keep it alive when it is replayed after that', async () => {
    const { at, send, task, lifecycle } = await setUp();
    await lifecycle.openTask(CALL, { kind: 'agent', owner, heartbeatMs: 60_000 }, 'iam:A-1');
    await send(generic({ type: 'task.paused', task: 'A-1' }));
    expect(await send(generic({ type: 'task.beat', task: 'A-1' }, { id: 'b-1' }))).toEqual([202, 'done']);
    await send(generic({ type: 'task.resumed', task: 'A-1' }));
    at.now += 50_000;
    await send(generic({ type: 'task.beat', task: 'A-1' }, { id: 'b-1' }));
    expect(await task('iam:A-1')).toMatchObject({ state: 'open', lastBeatAt: NOW });
    expect(await send(generic({ type: 'task.beat', task: 'A-1' }, { id: 'b-2', at: at.now })), 'the control').toEqual([202, 'done']);
    expect(await task('iam:A-1')).toMatchObject({ lastBeatAt: NOW + 50_000 });
  });

  test('B7: names that every object has are no words of a source', async () => {
    const { send, sequence } = await setUp();
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf']) {
      const gitlabJob = { object_kind: 'build', build_id: 4, build_status: name, project_id: 3 };
      expect([await send(job(name)), await send(github({ action: 'x' }, name)), await send(generic({ type: name, task: 'x' })), await send(gitlab(gitlabJob)), await send(gitlab({ ...gitlabJob, object_kind: name }))], name)
        .toEqual(Array(5).fill([202, 'ignored']));
      expect(await send(generic({ type: 'access.ended', selector: { kind: name, value: 'x' }, reason: 'x' })), name).toEqual([400, 'malformed']);
      expect((await send(new Request(`http://localhost/signals/${name.toLowerCase()}`, { method: 'POST' })))[0], name).toBe(404);
    }
    expect(await sequence()).toBe(0);
  });

  test('demand(39): a GitHub job that begins opens its task, its end closes it, and both may come again', async () => {
    const { send, task, lifecycle, markers, sequence } = await setUp();
    expect(await send(job('queued'))).toEqual([202, 'ignored']);
    expect(await send(job('in_progress'))).toEqual([202, 'done']);
    expect(await task('gh:job:77')).toMatchObject({ state: 'open', kind: 'ci-run', owner, openedBy: 'signal:gh', reference: 'https://github.com/org/shop/actions/runs/5/job/77' });
    expect(await markers()).toEqual(['gh:job:77']);
    expect(await lifecycle.issueGrant(CALL, terms({ model: 'jit', task: 'gh:job:77', reference: undefined }))).toMatchObject({ ok: true });
    expect(await send(job('in_progress'))).toEqual([202, 'done']);
    expect(await send(job('completed'))).toEqual([202, 'done']);
    expect(await task('gh:job:77')).toMatchObject({ state: 'closed', closedBy: 'signal:gh' });
    expect(await markers()).toEqual([]);
    const before = await sequence();
    for (const late of ['completed', 'in_progress', 'completed']) expect(await send(job(late))).toEqual([202, 'done']);
    expect(await sequence()).toBe(before);
    expect(await send(github({ action: 'completed', workflow_run: { id: 5, run_attempt: 2 }, repository: { full_name: 'org/shop' } }, 'workflow_run'))).toEqual([202, 'done']);
    expect(await task('gh:run:5:2')).toMatchObject({ state: 'closed' });
  });

  test('F8: an end that comes before its beginning wins, whoever begins it then', async () => {
    const { send, task, lifecycle } = await setUp();
    expect(await send(job('completed', 8))).toEqual([202, 'done']);
    expect(await send(job('in_progress', 8))).toEqual([202, 'done']);
    expect(await task('gh:job:8')).toMatchObject({ state: 'closed' });
    expect(await lifecycle.openTask(CALL, { kind: 'ci-run', owner }, 'gh:job:8')).toMatchObject({ ok: false, failure: { code: 'state' } });
    expect(await lifecycle.issueGrant(CALL, terms({ model: 'jit', task: 'gh:job:8', reference: undefined }))).toMatchObject({ ok: false });
    expect(await lifecycle.openTask(CALL, { kind: 'ci-run', owner }, 'gh:job:9')).toMatchObject({ ok: true, reply: { task: { id: 'gh:job:9' } } });
    for (const source of ['other:1', 'gh', 'gh:', ':1', 'gh:../x']) expect(await lifecycle.openTask(CALL, { kind: 'ci-run', owner }, source)).toMatchObject({ ok: false, failure: { code: 'invalid' } });
  });

  test('begin and end at once, over and over: never open at the end', async () => {
    const { send, task } = await setUp();
    await Promise.all(Array.from({ length: 20 }, (_, index) => [send(job('completed', index + 1)), send(job('in_progress', index + 1)), send(job('completed', index + 1))]).flat());
    for (let index = 1; index <= 20; index += 1) expect((await task(`gh:job:${index}`))?.['state'], String(index)).toBe('closed');
  });

  test('E12: what is not signed right changes nothing: another key, another body, another header, no header, another repository', async () => {
    const { send, sequence } = await setUp();
    const unsigned = [
      github({ action: 'completed' }, 'workflow_job', 'another secret of the same length'),
      new Request(job('completed'), { method: 'POST', body: '{"action":"completed"}' }),
      new Request('http://localhost/signals/gh', { method: 'POST', body: '{}' }),
      new Request('http://localhost/signals/gh', { method: 'POST', body: '{}', headers: { 'x-hub-signature': `sha1=${createHmac('sha1', SECRET).update('{}').digest('hex')}` } }),
      gitlab({ object_kind: 'build' }, 'wrong'), gitlab({ object_kind: 'build' }, ''),
      generic({ type: 'task.closed', task: 'x' }, { key: 'another secret of the same length' }),
      generic({ type: 'task.closed', task: 'x' }, { signature: '' }), generic({ type: 'task.closed', task: 'x' }, { signature: 'v1,' }),
      // Old, or from a future: a replay, or a clock that must not be believed.
      generic({ type: 'task.closed', task: 'x' }, { at: NOW - 301_000 }), generic({ type: 'task.closed', task: 'x' }, { at: NOW + 301_000 }),
    ];
    for (const request of unsigned) expect((await send(request))[0]).toBe(401);
    expect(await send(job('completed', 1, 'org/evil'))).toEqual([202, 'ignored']);
    const odd: [Request, number][] = [
      [new Request('http://localhost/signals/none', { method: 'POST' }), 404], [new Request('http://localhost/signals/gh'), 405], [new Request('http://localhost/signals/gh/x', { method: 'POST' }), 404],
      [github({ action: 'completed', workflow_job: { id: '77' }, repository: { full_name: 'org/shop' } }), 400], [generic({ type: 'task.closed', task: '../x' }), 400], [generic({ type: 'task.closed' }), 400], [generic({}), 400],
      [generic({ type: 'access.ended', selector: { kind: 'nothing', value: 'x' }, reason: 'x' }), 400], [generic({ type: 'access.ended', selector: { kind: 'realm', value: 'default' }, reason: 'x' }), 409],
      [generic({ type: 'task.paused', task: 'never-seen' }), 409], [generic({ type: 'something.else' }), 202], [github({ zen: 'x' }, 'ping'), 202],
    ];
    for (const [request, status] of odd) expect((await send(request))[0]).toBe(status);
    const large = JSON.stringify({ type: 'x', pad: 'x'.repeat(1_100_000) });
    expect((await send(new Request('http://localhost/signals/iam', { method: 'POST', body: large })))[0]).toBe(413);
    expect(await sequence()).toBe(0);
  });

  test('a message that was taken once is not taken again', async () => {
    const { send, task, sequence } = await setUp();
    await send(generic({ type: 'task.opened', task: 'T-1' }, { id: 'm1' }));
    await send(generic({ type: 'task.paused', task: 'T-1' }, { id: 'm2' }));
    await send(generic({ type: 'task.resumed', task: 'T-1' }, { id: 'm3' }));
    await send(generic({ type: 'task.paused', task: 'T-1' }, { id: 'm4' }));
    const before = await sequence();
    expect(await send(generic({ type: 'task.resumed', task: 'T-1' }, { id: 'm3' }))).toEqual([202, 'done']);
    expect(await task('iam:T-1')).toMatchObject({ state: 'paused' });
    expect(await sequence()).toBe(before);
    // The same id with another body is not the same message.
    expect((await send(generic({ type: 'task.closed', task: 'T-1' }, { id: 'm3' })))[0]).toBe(409);
    expect(await send(generic({ type: 'task.closed', task: 'T-1' }, { id: 'm5' }))).toEqual([202, 'done']);
    expect(await task('iam:T-1')).toMatchObject({ state: 'closed', kind: 'ticket' });
  });

  test('demand(3): IAM and secrets brokers end access by what they may name, once a message', async () => {
    const { send, store } = await setUp();
    const said = { type: 'access.ended', selector: { kind: 'workload', value: 'spiffe://dev.local/ci/deployer' }, reason: 'the account was disabled' };
    expect(await send(generic(said, { id: 'e1' }))).toEqual([202, 'done']);
    expect(await send(generic(said, { id: 'e1' }))).toEqual([202, 'done']);
    expect(await send(generic({ type: 'access.ended', selector: { kind: 'credential', value: { issuer: 'https://i.example', jti: 'j1' } }, reason: 'lease over' }))).toEqual([202, 'done']);
    const { items } = await store.list('default', { kind: 'revocation', limit: 10 });
    expect(items.map(({ value }) => [value['placedBy'], value['reason']]).toSorted((a, b) => String(a).localeCompare(String(b)))).toEqual([['signal:iam', 'lease over'], ['signal:iam', 'the account was disabled']]);
  });

  test('demand(3): GitLab jobs and pipelines', async () => {
    const { send, task } = await setUp();
    const build = (status: string) => gitlab({ object_kind: 'build', build_id: 42, build_status: status, project_id: 3 });
    for (const status of ['created', 'pending']) expect(await send(build(status))).toEqual([202, 'ignored']);
    await send(build('running'));
    expect(await task('gl:job:42')).toMatchObject({ state: 'open' });
    await send(build('canceled'));
    expect(await task('gl:job:42')).toMatchObject({ state: 'closed' });
    await send(gitlab({ object_kind: 'pipeline', object_attributes: { id: 9, status: 'success' }, project: { id: 3 } }));
    expect(await task('gl:pipeline:9')).toMatchObject({ state: 'closed' });
  });

  test('a store that does not answer: the sender is told to come again, and nothing is lost', async () => {
    let away = true;
    const { send, task } = await setUp({}, (store) => ({ ...store, commit: async (commit) => {
      if (away) throw new StoreUnavailable('away');
      return store.commit(commit);
    } }));
    expect(await send(job('completed'))).toEqual([503, 'unavailable']);
    away = false;
    expect(await send(job('completed'))).toEqual([202, 'done']);
    expect(await task('gh:job:77')).toMatchObject({ state: 'closed' });
  });

  test('demand(39) demand(57): pollers close what is over, gone or deleted at GitHub, GitLab, Kubernetes and a ticket system, and leave what can not be asked', async () => {
    const meta = (uid: string, more: object = {}) => ({ uid, ...more });
    const answers: Record<string, object | number> = {
      '/repos/org/shop/actions/jobs/1': { status: 'in_progress' }, '/repos/org/shop/actions/jobs/2': { status: 'completed' }, '/repos/org/shop/actions/runs/5/attempts/2': { status: 'completed' },
      '/repos/org/shop/actions/jobs/4': 500, '/repos/org/shop/actions/jobs/5': 401,
      '/api/v4/projects/3/jobs/1': { status: 'running' }, '/api/v4/projects/3/jobs/2': { status: 'failed' },
      '/apis/batch/v1/namespaces/ci/jobs/a': { metadata: meta('u1'), status: { active: 1 } }, '/apis/batch/v1/namespaces/ci/jobs/b': { metadata: meta('u2'), status: { conditions: [{ type: 'Failed', status: 'True' }] } },
      '/api/v1/namespaces/ci/pods/p': { metadata: meta('u3'), status: { phase: 'Running' } }, '/api/v1/namespaces/ci/pods/q': { metadata: meta('u9'), status: { phase: 'Running' } },
      '/api/v1/namespaces/ci/pods/r': { metadata: meta('u5', { deletionTimestamp: '2026-01-01T00:00:00Z' }), status: { phase: 'Running' } },
      '/t/INC-1': { fields: { status: 'in progress' } }, '/t/INC-2': { fields: { status: 'done' } }, '/t/INC-3': { fields: {} },
    };
    const { url, asked } = await startSource(answers);
    const at = { url, insecureLoopback: true, owner, token: secret };
    const { lifecycle, rounds, task, markers } = await setUp({ pollMs: 100, pollers: [
      { kind: 'github', id: 'gh', repository: 'org/shop', ...at }, { kind: 'gitlab', id: 'gl', project: 3, ...at }, { kind: 'kubernetes', id: 'k8s', namespace: 'ci', ...at },
      { kind: 'ticket', id: 'jira', ...at, url: `${url}/t/{id}`, state: '/fields/status', open: ['in progress'] },
    ] });
    const stay = ['gh:job:1', 'gh:job:4', 'gh:job:5', 'gl:job:1', 'k8s:job:a:u1', 'k8s:pod:p:u3', 'jira:INC-1', 'jira:INC-3', 'iam:other'];
    const end = ['gh:job:2', 'gh:run:5:2', 'gh:job:404', 'gl:job:2', 'k8s:job:b:u2', 'k8s:pod:gone:u8', 'k8s:pod:q:u4', 'k8s:pod:r:u5', 'jira:INC-2', 'gh:odd'];
    for (const id of [...stay, ...end]) expect(await lifecycle.openTask(CALL, { kind: 'ci-run', owner }, id), id).toMatchObject({ ok: true });
    await lifecycle.closeTask(CALL, 'k8s:job:a:u1');
    rounds.start();
    await until('a round', async () => (await markers()).length === stay.length - 1);
    await until('another', () => asked.filter((line) => line.startsWith('/repos/org/shop/actions/jobs/1 ')).length >= 2);
    await rounds.stop();
    for (const id of end) expect((await task(id))?.['state'], id).toBe('closed');
    for (const id of stay.filter((one) => one !== 'k8s:job:a:u1')) expect((await task(id))?.['state'], id).toBe('open');
    expect(asked.every((line) => line.endsWith(`Bearer ${SECRET}`))).toBe(true);
  });

  test('demand(22): a reference is asked at its source: closed, unknown and unreachable ones are refused', async () => {
    const answers: Record<string, object | number> = { '/t/INC-1': { state: 'open' }, '/t/INC-2': { state: 'closed' }, '/t/INC-4': 500 };
    const { url } = await startSource(answers);
    const { lifecycle } = await setUp({ pollers: [{ kind: 'ticket', id: 'jira', url: `${url}/t/{id}`, insecureLoopback: true, owner, references: 'INC-' }] });
    const codeOf = async (reference: string) => {
      const executed = await lifecycle.issueGrant(CALL, terms({ reference }));
      return executed.ok ? 'ok' : `${executed.failure.code} ${executed.failure.faults?.[0]?.path ?? ''}`.trim();
    };
    expect(await codeOf('INC-1')).toBe('ok');
    expect(await codeOf('INC-2')).toBe('invalid /reference');
    expect(await codeOf('INC-3')).toBe('invalid /reference');
    expect(await codeOf('INC-4')).toBe('unavailable');
    expect(await codeOf('CHG-9')).toBe('ok');
    // A repeated command answers as the first time, whatever became of the ticket.
    const call: Call = { ...CALL, idempotency: { principal: 'user:op', key: 'k1', body: {} } };
    const first = await lifecycle.issueGrant(call, terms({ reference: 'INC-1' }));
    answers['/t/INC-1'] = { state: 'closed' };
    expect(await lifecycle.issueGrant(call, terms({ reference: 'INC-1' }))).toMatchObject({ ok: true, replayed: true, reply: (first as { reply: object }).reply });
  });
});

test('configuration: TLS beyond loopback, ids once, a port for hooks, https for pollers', () => {
  const faults = (over: object) => signalsConfig.safeParse(over).error?.issues.map(({ path }) => path.join('.')) ?? [];
  const hook = { kind: 'github', id: 'gh', secret, owner };
  expect(faults({ port: 0, hooks: [hook] })).toEqual([]);
  expect(faults({ hooks: [hook] })).toEqual(['port']);
  expect(faults({ port: 0, host: '0.0.0.0' })).toEqual(['tls']);
  expect(faults({ port: 0, hooks: [hook, hook] })).toEqual(['hooks.1.id']);
  expect(faults({ pollers: [{ kind: 'gitlab', id: 'gl', owner, url: 'http://gitlab.example.org', project: 1 }] })).toEqual(['pollers.0.url']);
  expect(faults({ pollers: [{ kind: 'ticket', id: 't', owner, url: 'https://tickets.example.org/x' }] })).toEqual(['pollers.0.url']);
});
