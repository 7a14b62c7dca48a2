import { describe, expect, test } from 'vitest';
import { faultText } from '../../src/config/fault.ts';
import { loadConfig, type ConfigSources } from '../../src/config/load.ts';
import { configSchema } from '../../src/config/schema.ts';
import { leavesOf, schemaTree } from '../../src/config/schema-tree.ts';
import { variableName } from '../../src/config/variables.ts';

const load = (text: string, more: Partial<ConfigSources> = {}) =>
  loadConfig({ file: { name: 'curfew.yaml', text }, env: {}, flags: {}, ...more });
const faultsOf = (text: string, more: Partial<ConfigSources> = {}): readonly string[] => {
  const loaded = load(text, more);
  return loaded.ok ? [] : loaded.faults.map(faultText);
};
const configOf = (text: string, more: Partial<ConfigSources> = {}) => {
  const loaded = load(text, more);
  if (!loaded.ok) throw new Error(loaded.faults.map(faultText).join('\n'));
  return loaded.config;
};

describe('precedence', () => {
  test('flags over variables over the file over presets over defaults', () => {
    const presets = { http: { port: 1 }, grpc: { port: 2 }, log: { level: 'warn' }, workers: 7 };
    const config = configOf('http: {port: 10}\ngrpc: {port: 11}\nlimits: {drainMs: 12}', {
      presets, env: { CURFEW_HTTP_PORT: '20', CURFEW_GRPC_PORT: '21' }, flags: { 'http.port': '30' },
    });
    expect([config.http.port, config.grpc.port, config.limits.drainMs, config.log.level, config.workers]).toEqual([30, 21, 12, 'warn', 7]);
    expect(config.http.host).toBe('127.0.0.1');
    expect(config.limits.decisionDeadlineMs).toBe(150);
  });
  test('every plain setting has a variable of its own', () => {
    const names = leavesOf(schemaTree(configSchema)).map(({ path }) => variableName(path));
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('CURFEW_LIMITS_DECISION_DEADLINE_MS');
    });
  test('text stays text, other values are YAML', () => {
    const config = configOf('', { env: { CURFEW_STORE_PATH: '123', CURFEW_REALMS: '[default, two]', CURFEW_GRPC_UNIX_PATH: '/x', CURFEW_GRPC_PORT: 'false' } });
    expect([config.store.path, config.realms, config.grpc.port]).toEqual(['123', ['default', 'two'], false]);
  });
  test("what Kubernetes puts beside a service named curfew is no setting", () => {
    expect(faultsOf('', { env: {
      CURFEW_PORT: 'tcp://10.0.0.1:8181', CURFEW_SERVICE_HOST: '10.0.0.1', CURFEW_PORT_8181_TCP_ADDR: '10.0.0.1', CURFEW_HTTP_PORT: 'tcp://10.0.0.1:8181',
      CURFEW_SERVICE_PORT_HTTP: '8181', CURFEW_HTTP_PORT_8181_TCP: 'tcp://10.0.0.1:8181', CURFEW_DNS_PORT: 'udp://10.0.0.1:53',
    } })).toEqual([]);
  });
  test('a port whose name is mistyped is told, not taken for what Kubernetes puts', () => {
    expect(faultsOf('', { env: { CURFEW_HTP_PORT: '9000' } })).toEqual([expect.stringMatching(/^CURFEW_HTP_PORT: .*did you mean CURFEW_HTTP_PORT\?/)]);
    expect(faultsOf('', { env: { CURFEW_PORT: '9000' } })).toHaveLength(1);
  });
});

describe('everything wrong is said at once, with its place', () => {
  test('an unknown setting names its line and the nearest known one', () => {
    expect(faultsOf('http:\n  prot: 8181\nlimts:\n  drainMs: 1\npeps:\n  - id: a\n    tokn: {env: X}\n    token: {env: X}\n')).toEqual([
      'curfew.yaml:2: http.prot: unknown setting; did you mean `port`?',
      'curfew.yaml:7: peps.0.tokn: unknown setting; did you mean `token`?',
      'curfew.yaml:3: limts: unknown setting; did you mean `limits`?',
    ]);
  });
  test('values of the wrong kind, from the file, a variable and a flag', () => {
    const faults = faultsOf('workers: many\nlimits: {drainMs: -1}', { env: { CURFEW_HTTP_PORT: '70000' }, flags: { 'grpc.port': 'x' } });
    expect(faults).toHaveLength(4);
    expect(faults.join('\n')).toMatch(/curfew\.yaml:1: workers: expected number/);
    expect(faults.join('\n')).toMatch(/curfew\.yaml:2: limits\.drainMs: Too small/);
    expect(faults.join('\n')).toMatch(/CURFEW_HTTP_PORT: http\.port: Too big/);
    expect(faults.join('\n')).toMatch(/flag for grpc\.port: grpc\.port: expected/);
  });
  test('an unknown variable or flag is an error with the nearest known one', () => {
    expect(faultsOf('', { env: { CURFEW_HTTP_PROT: '1' }, flags: { 'http.prt': '1' } })).toEqual([
      'CURFEW_HTTP_PROT: is not a known variable; did you mean CURFEW_HTTP_PORT?',
      'flags: http.prt: is not a known setting; did you mean http.port?',
    ]);
  });
  test('a variable that the file itself names is known', () => {
    expect(faultsOf('peps: [{id: a, token: {env: CURFEW_EDGE_TOKEN}}]', { env: { CURFEW_EDGE_TOKEN: 'x' } })).toEqual([]);
  });
  test('broken YAML, a duplicate key, an alias bomb, a list, a huge file', () => {
    expect(faultsOf('http:\n\tport: 1')[0]).toMatch(/^curfew\.yaml:2: /);
    expect(faultsOf('http: {}\nhttp: {}')[0]).toMatch(/^curfew\.yaml:2: .*unique/);
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]', ...Array.from({ length: 8 }, (_, i) => `${String.fromCharCode(98 + i)}: &${String.fromCharCode(98 + i)} [${Array.from({ length: 9 }, () => `*${String.fromCharCode(97 + i)}`).join(',')}]`)].join('\n');
    expect(faultsOf(bomb)[0]).toMatch(/too many aliases/);
    expect(faultsOf('- 1')).toEqual(['curfew.yaml:1: must be a mapping of settings']);
    expect(faultsOf(' '.repeat(5_000_000))).toEqual(['curfew.yaml: is too large']);
  });
  test('B7: __proto__ and constructor are unknown settings and change nothing', () => {
    expect(faultsOf('__proto__: {polluted: true}\nconstructor: {prototype: {polluted: true}}').join()).toMatch(/unknown setting/);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('rules that span sections', () => {
  test.each(['http', 'grpc'])('a %s listener that others can reach needs a way to prove who asks, or `pep: anonymous`', (section) => {
    expect(faultsOf(`${section}: {host: 0.0.0.0}`)).toEqual([expect.stringMatching(`curfew.yaml:1: ${section}.host: 0.0.0.0 is reachable`)]);
    expect(faultsOf(`${section}: {host: "::"}`)).toHaveLength(1);
    expect(faultsOf(`${section}: {host: pdp.internal}`)).toHaveLength(1);
    expect(faultsOf(`${section}: {host: 0.0.0.0, pep: anonymous}`)).toEqual([]);
    expect(faultsOf(`${section}: {host: 0.0.0.0}\npeps: [{id: edge, token: {file: /t}}]`)).toEqual([]);
    expect(faultsOf(`${section}: {host: 127.0.0.2}`)).toEqual([]);
  });
  test('names that point nowhere', () => {
    const text = `
peps: [{id: a, token: {env: T}, realms: [nowhere], unixListener: none}]
standing: [{id: s, match: {peps: [b], scopes: [{actions: ["*"], resource: {type: http, id: "**"}}]}, owner: "team:a", reason: r, end: 2027-01-01T00:00:00Z}]`;
    expect(faultsOf(text).map((fault) => fault.replace(/^.*?: /, ''))).toEqual([
      'peps.0.realms: `nowhere` is not one of `realms`',
      'peps.0.unixListener: no listener `none` has a Unix socket',
      'standing.0.match.peps: `b` is not one of `peps`',
    ]);
  });
  test('ids that are there twice, and a budget that the deadline does not leave', () => {
    const scopes = 'match: {scopes: [{actions: ["*"], resource: {type: http, id: "**"}}]}, owner: "team:a", reason: r, end: 2027-01-01T00:00:00Z';
    const text = `
peps: [{id: a, token: {env: T}}, {id: a, token: {env: U}}]
routes: [{id: r, match: {path: "/x"}}, {id: r, match: {path: "/y"}}]
standing: [{id: s, ${scopes}}, {id: s, ${scopes}}]
http: {id: here}
grpc: {id: here}
limits: {evaluationBudgetMs: 200, decisionDeadlineMs: 150}`;
    expect(faultsOf(text).map((fault) => fault.replace(/^.*?: /, '')).toSorted()).toEqual([
      'grpc.id: is the id of the HTTP listener too',
      'limits.evaluationBudgetMs: must not be longer than limits.decisionDeadlineMs',
      'peps.1.id: `a` is there twice', 'routes.1.id: `r` is there twice', 'standing.1.id: `s` is there twice',
    ]);
    expect(faultsOf('limits: {evaluationBudgetMs: 150, decisionDeadlineMs: 150}')).toEqual([]);
  });
  test('a standing entry without an owner, a reason or an end is refused; its end is an instant', () => {
    const entry = 'standing: [{id: s, match: {scopes: [{actions: ["*"], resource: {type: http, id: "**"}}]}}]';
    expect(faultsOf(entry)).toEqual(expect.arrayContaining([
      expect.stringMatching('standing.0.owner: is required'), expect.stringMatching('standing.0.reason: is required'), expect.stringMatching('standing.0.end: is required'),
    ]));
    const whole = entry.replace(/\}\]$/, ', owner: "team:a", reason: r, end: 2027-01-01T00:00:00Z}]');
    expect(configOf(whole).standing[0]).toMatchObject({ end: Date.UTC(2027, 0, 1), identity: 'required', observe: false });
    expect(faultsOf(whole.replace('2027-01-01', '2027-02-30'))[0]).toMatch(/RFC 3339/);
    expect(faultsOf(whole.replace('"**"', '"a/**/b"'))[0]).toMatch(/last segment/);
  });
  test('what is parsed here can be sent on: `raw` gives the same again', () => {
    const loaded = load('realms: [a]\nhttp: {port: 1, realm: a}\nlifecycle: {}');
    expect(loaded.ok && configSchema.parse(JSON.parse(JSON.stringify(loaded.raw)))).toEqual(loaded.ok && loaded.config);
  });
});
