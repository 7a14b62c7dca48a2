/** The rules and the dashboard in `deploy/`: promtool takes them, the alerts fire when they should, and every metric they name is one that a node serves. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith, repositoryRoot, requirePart } from '../parts.ts';
import { startCurfew, type Curfew } from '../runtime/curfew.ts';

const deploy = join(repositoryRoot, 'deploy');
const rulesText = readFileSync(join(deploy, 'prometheus/rules.yaml'), 'utf8');
interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}
const dashboard = JSON.parse(readFileSync(join(deploy, 'grafana/dashboard.json'), 'utf8')) as Dashboard;
const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

describeWith(['promtool'], 'Prometheus', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'curfew-prometheus-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const promtool = (...args: readonly string[]) => spawnSync(requirePart('promtool'), args, { encoding: 'utf8', cwd: folder });
  const planted = (from: string, to: string): void => {
    cpSync(join(deploy, 'prometheus'), folder, { recursive: true });
    expect(rulesText).toContain(from);
    writeFileSync(join(folder, 'rules.yaml'), rulesText.replace(from, to));
  };

  test('the configuration and its rules are valid', () => {
    expect(promtool('check', 'config', join(deploy, 'prometheus/prometheus.yaml'))).toMatchObject({ status: 0 });
  });
  test('each alert fires when it should and not before; every alert has such a test', () => {
    const run = promtool('test', 'rules', join(deploy, 'prometheus/rules.test.yaml'));
    expect(run.status, run.stdout + run.stderr).toBe(0);
    const tested = readFileSync(join(deploy, 'prometheus/rules.test.yaml'), 'utf8');
    for (const [, name] of rulesText.matchAll(/alert: (\w+)/g)) expect(tested).toMatch(new RegExp(`alertname: ${name}\\n`));
  });
  test.each([['for: 10m', 'for: 20m'], ['curfew_decision_log_dropped > 0', 'curfew_decision_log_dropped > 20'], ['cause="watchdog"', 'cause="crash"'], ['facts\\\\..*|', '']])('positive control: %s as %j is found', (from, to) => {
    planted(from, to);
    expect(promtool('test', 'rules', join(folder, 'rules.test.yaml')).status).not.toBe(0);
  });
  test('every expression of the dashboard is PromQL', () => {
    const rules = expressions.map((expr, index) => ({ record: `panel:${index}`, expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*') }));
    writeFileSync(join(folder, 'panels.yaml'), JSON.stringify({ groups: [{ name: 'panels', rules }] }));
    const run = promtool('check', 'rules', join(folder, 'panels.yaml'));
    expect(run.status, run.stderr).toBe(0);
  });
});

test('every metric that a rule or a panel names is served by a node', { timeout: 120_000 }, async () => {
  const curfew: Curfew = await startCurfew({ workers: 1 });
  try {
    await curfew.ask(undefined, '/orders/1');
    const types = new Set([...(await curfew.metrics()).matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name as string));
    const named = new Set([...[rulesText, ...expressions].join('\n').matchAll(/\bcurfew_\w+/g)].map(([name]) => name.replace(/_(?:bucket|sum|count)$/, '')));
    expect(named.size).toBeGreaterThan(10);
    expect([...named].filter((name) => !types.has(name))).toEqual([]);
  } finally {
    await curfew.stop();
  }
});
