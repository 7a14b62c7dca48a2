/** The language of timelines: what it can say, and that what is wrong is told with its line before anything happens. */
import { describe, expect, test } from 'vitest';
import { readSpan, shownOffset } from '../../src/timeline/terms.ts';
import { ASK, story, tell } from './tell.ts';

const failuresOf = async (text: string): Promise<readonly string[]> => {
  const { faults, failures } = await tell(text);
  return [...faults, ...failures.map(({ line, at, expected, actual }) => `${line}: ${at}: ${expected}; ${actual}`)];
};

describe('times', () => {
  test.each([['10m', 600_000], ['599.999s', 599_999], ['9m59s999ms', 599_999], ['1h30m', 5_400_000], ['1d', 86_400_000], ['0s', 0], ['366d', 366 * 86_400_000]])('%s is %i ms', (text, ms) => {
    expect(readSpan(text)).toBe(ms);
  });
  test.each(['', '10', '-1s', '1s 2s', '0.0001s', '0.5ms', '367d', '1e3s', 'Infinitys', '10M'])('%j is no time', (text) => expect(readSpan(text)).toBeUndefined());
  test('are shown as they are read', () => {
    for (const ms of [0, 1, 999, 599_999, 600_000, 5_400_000, 90_061_001]) expect(readSpan(shownOffset(ms).slice(1))).toBe(ms);
  });
});

describe('a story', () => {
  test('the edge is exact: one millisecond before the end it is allowed, at the end not', async () => {
    expect(await failuresOf(story(`
  - { at: +599.999s, ${ASK}, expect: { allow: read, validUntil: +10m } }
  - { at: +10m, ${ASK}, expect: { deny: grant.expired, grant: read } }`))).toEqual([]);
  });

  test.each([
    ['allowed at the end', `{ at: +10m, ${ASK}, expect: allow }`, /^\d+: \+10m: allow; deny grant\.expired \(the grant has ended, grant read\) for GET http:kb\.local/],
    ['denied a millisecond before the end', `{ at: +599.999s, ${ASK}, expect: { deny: grant.expired } }`, /: \+9m59\.999s: deny grant\.expired; allow by read, valid until \+10m/],
    ['a millisecond longer', `{ ${ASK}, expect: { allow: read, validUntil: +600.001s } }`, /valid until \+10m0\.001s; allow by read, valid until \+10m/],
    ['another reason', `{ at: +10m, ${ASK}, expect: { deny: grant.revoked } }`, /deny grant\.revoked; deny grant\.expired/],
    ['another state', '{ state: { grant: read }, expect: { state: scheduled } }', /scheduled; active, until \+10m/],
    ['another end', '{ state: { grant: read }, expect: { state: active, until: +11m } }', /active, until \+11m; active, until \+10m/],
    ['another list', '{ list: { workload: agent }, expect: [] }', /no grants; read/],
    ['a refusal that does not come', '{ revoke: { selector: { grant: read } }, expect: { refused: state } }', /refused state; it carried out/],
  ])('positive control: expecting it %s fails, with its line', async (_, step, said) => {
    const found = await failuresOf(story(`  - ${step}`));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(said);
    // The step is the line after the grant's and an empty one.
    expect(found[0]).toMatch(/^16: /);
  });

  test('a command that is refused against expectation ends the story, and says so', async () => {
    const told = await tell(story(`
  - { at: +1m, grant: { workload: agent, model: jit, scopes: ["GET http:kb.local/1"], ttl: 1m, owner: "team:a", justification: x } }
  - { at: +2m, ${ASK}, expect: allow }`));
    expect(told).toMatchObject({ steps: 3, stepsRun: 2, failures: [{ at: '+1m', actual: expect.stringContaining('/task is missing') as string }] });
  });

  test.each([
    ['grant', '{ grant: read }', 'grant.revoked'], ['workload by name', '{ workload: agent }', 'subject.revoked'], ['workload by id', '{ workload: "spiffe://dev.example/agent" }', 'subject.revoked'],
    ['workload-prefix', '{ workload-prefix: "spiffe://dev.example" }', 'subject.revoked'], ['trust-domain', '{ trust-domain: dev.example }', 'credential.revoked'],
    ['issuer', '{ issuer: "spiffe://dev.example" }', 'credential.revoked'], ['owner', '{ owner: "team:support" }', 'grant.revoked'], ['realm', '{ realm: default }', 'realm.revoked'],
  ])('revokes by %s', async (_, selector, reason) => {
    expect(await failuresOf(story(`
  - { at: +1m, revoke: { selector: ${selector}, reason: test } }
  - { ${ASK}, expect: { deny: ${reason} } }`))).toEqual([]);
  });

  test.each([
    ['task', '{ task: t }', 'task', 'grant.revoked'], ['entitlement', '{ entitlement: kb-read }', 'task', 'grant.revoked'], ['bundle revision', '{ bundle-revision: current }', 'task', 'grant.revoked'],
    ['pep', '{ pep: edge }', 'pep', 'pep.revoked'], ['credential', '{ credential: token }', 'credential', 'credential.revoked'],
    ['approver, of whom there is none', '{ approver: "user:eve" }', 'task', undefined], ['certificate, of which there is none', `{ certificate: { spki: "${'a'.repeat(64)}" } }`, 'task', undefined],
    ['another bundle revision', '{ bundle-revision: other-1 }', 'task', undefined],
  ])('revokes by %s', async (_, selector, asked, reason) => {
    const who = asked === 'credential' ? 'credential: token' : asked === 'pep' ? 'workload: agent, pep: edge' : 'workload: agent';
    const use = (expectation: string): string => `{ ask: { ${who}, action: GET, resource: "http:kb.local/articles/1" }, expect: ${expectation} }`;
    expect(await failuresOf(`title: t
workloads: { agent: "spiffe://dev.example/agent" }
steps:
  - open: { task: t, kind: k, owner: "team:support" }
  - { grant: { name: g, workload: agent, model: jit, task: t, entitlement: kb-read, scopes: ["GET http:kb.local/articles/**"], ttl: 1h, owner: "team:support", justification: x } }
  - { credential: { name: token, workload: agent } }
  - ${use('{ allow: g }')}
  - { at: +1m, revoke: { selector: ${selector} } }
  - ${use(reason === undefined ? '{ allow: g }' : `{ deny: ${reason} }`)}
`)).toEqual([]);
  });

  test('one with uses counts them, and asking costs one', async () => {
    const ask = (expectation: string): string => `  - { ${ASK}, expect: ${expectation} }\n`;
    expect(await failuresOf(story(`${ask('allow')}${ask('allow')}${ask('{ deny: grant.uses_exhausted }')}`, { grant: '      uses: 2' }))).toEqual([]);
  });

  test('housekeeping runs at its times: a task that missed its beat is closed at the next round, not before', async () => {
    const told = await failuresOf(`title: t
development: true
workloads: { agent: "spiffe://dev.example/agent" }
steps:
  - open: { task: t, kind: k, owner: "team:a", heartbeat: 7s }
  - { grant: { workload: agent, model: jit, task: t, scopes: ["GET http:kb.local/**"], ttl: 1h, owner: "team:a", justification: x } }
  - { at: +7s, ask: { workload: agent, action: GET, resource: "http:kb.local/1" }, expect: { deny: task.heartbeat } }
  - { at: +10s, state: { task: t }, expect: { state: open, because: task.heartbeat } }
  - { at: +10.001s, state: { task: t }, expect: { state: closed, because: task.heartbeat } }
`);
    expect(told).toEqual([]);
  });

  test('an hour, or a year, costs no time of ours', { timeout: 20_000 }, async () => {
    expect(await failuresOf(story(`
  - { at: +1h, ${ASK}, expect: { deny: grant.expired } }
  - { open: { task: t, kind: k, owner: "team:a", heartbeat: 1s } }
  - { at: +366d, ${ASK}, expect: { deny: grant.none } }`))).toEqual([expect.stringContaining('grant.expired')]);
  });
});

describe('faults are told with line and nearest name, all at once, and nothing runs', () => {
  test.each([
    ['an unknown member', `  - { ask: { workload: agent, acton: GET, resource: "http:kb.local/1" }, expect: allow }`, /:16: steps\.1\.ask\.acton: unknown setting; did you mean `action`\?/],
    ['an unknown act', '  - { aks: {}, expect: allow }', /:16: steps\.1\.aks: unknown setting; did you mean `ask`\?/],
    ['two acts', `  - { ${ASK}, close: t, expect: allow }`, /:16: steps\.1: a step does one thing, not close and ask/],
    ['nothing expected of a question', `  - { ${ASK} }`, /:16: steps\.1\.expect: is required/],
    ['an unknown reason', `  - { ${ASK}, expect: { deny: grant.expird } }`, /did you mean `grant\.expired`\?/],
    ['a name that is not there', '  - { revoke: { selector: { grant: raed } } }', /no grant "raed" up to here; did you mean `read`\?/],
    ['a task used before it is opened', '  - { close: later }\n  - { open: { task: later, kind: k, owner: "team:a" } }', /:16: steps\.1\.close: no task "later" up to here/],
    ['a name twice', '  - { credential: { name: c, workload: agent } }\n  - { credential: { name: c, workload: agent } }', /:17: steps\.2\.credential\.name: there is a credential of this name already/],
    ['time that goes back', `  - { at: +2s, ${ASK}, expect: allow }\n  - { at: +1s, ${ASK}, expect: allow }`, /:17: steps\.2\.at: lies before the step above it/],
    ['a time that is none', `  - { at: 1s, ${ASK}, expect: allow }`, /:16: steps\.1\.at: must be an offset from the start/],
    ['a workload without issuer', '  - { ask: { workload: "oidc:x", action: GET, resource: "http:a/b" }, expect: allow }', /can not present a credential/],
    ['a selector of two', '  - { revoke: { selector: { grant: read, realm: default } } }', /:16: steps\.1\.revoke\.selector: must have one member/],
    ['an unknown selector', '  - { revoke: { selector: { grnt: read } } }', /:16: steps\.1\.revoke\.selector/],
    ['a duplicate key', '  - { at: +1s, at: +2s, close: t }', /:16: .*unique/i],
    ['broken YAML', '  - { ask: [', /:1[6-9]: /],
    ['both ways to ask', '  - { ask: { workload: agent, action: GET, resource: "http:a/b", request: { method: GET, url: "http://a/b" } }, expect: allow }', /excludes action and resource/],
    ['an unknown member at the top', '', /:3: polciy: unknown setting; did you mean `policy`\?/, 'polciy: [default]'],
    ['an unknown member of the configuration', '', /:3: config\.lifecycle\.sweepInterval: unknown setting; did you mean `sweepIntervalMs`\?/, 'config: { lifecycle: { sweepInterval: 1 } }'],
  ])('%s', async (_, steps, said, head = '') => {
    const { faults, stepsRun } = await tell(story(steps, { head }));
    expect(faults.join('\n')).toMatch(said);
    expect(stepsRun).toBe(0);
  });

  test('all at once', async () => {
    const { faults } = await tell(story('  - { at: x, close: t }\n  - { bet: t }\n'));
    expect(faults).toHaveLength(2);
  });

  test('limits: steps, questions, a text that is too large', async () => {
    const steps = (count: number): string => `  - { ${ASK}, expect: allow }\n`.repeat(count);
    expect((await tell(story(steps(1_001)))).faults.join()).toMatch(/steps/);
    const many = JSON.stringify(Array.from({ length: 100 }, () => 'GET'));
    const resources = JSON.stringify(Array.from({ length: 100 }, () => 'http:kb.local/articles/1'));
    const { faults, stepsRun } = await tell(story(`  - { ask: { workload: agent, action: ${many}, resource: ${resources} }, expect: allow }\n`.repeat(3)));
    expect(faults.join()).toMatch(/:18: steps\.3: at most 20000 questions/);
    expect(stepsRun).toBe(0);
    expect((await tell(`# ${'x'.repeat(5_000_000)}`)).faults.join()).toMatch(/too large/);
  });
});
