import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandsIn, helpPages, printedBy, renderCli } from '../../scripts/reference/cli.mjs';
import { controlsJson, controlsOf, renderControls } from '../../scripts/reference/controls.mjs';
import { demandTests, markTests } from '../../scripts/reference/demand-tests.mjs';
import { renderDemands } from '../../scripts/reference/demands.mjs';
import { formatOpenApi } from '../../scripts/reference/openapi.mjs';
import { renderReasons } from '../../scripts/reference/reasons.mjs';
import { EXIT } from '../../src/cli/exit-codes.ts';
import { runCommand } from '../../src/command.ts';
import * as reasons from '../../src/domain/reasons.ts';
import { EXIT as SERVE_EXIT } from '../../src/supervisor/exit-code.ts';
import { repositoryRoot } from '../parts.ts';
import { runCurfew, startCurfew, type Curfew } from '../runtime/curfew.ts';

const page = (name: string): string => readFileSync(join(repositoryRoot, 'docs/reference', name), 'utf8');

describe('generated pages are what they are generated from (`npm run docs`)', () => {
  test('reasons.md', () => {
    expect(page('reasons.md')).toBe(renderReasons(reasons));
    expect(renderReasons({ ...reasons, REASONS: reasons.REASONS.slice(1) })).not.toBe(page('reasons.md'));
  });

  test('cli.md: the help of every command, and its exit codes', async () => {
    const pages = await helpPages((path) => printedBy(runCommand, [...path, '--help']));
    expect(page('cli.md')).toBe(renderCli(pages));
    expect(pages.length).toBeGreaterThan(20);
    // The built program says the same.
    const { stdout } = await runCurfew(['--help']);
    expect(page('cli.md')).toContain(stdout.trimEnd());
    expect(commandsIn(stdout)).toContain('grant');
    const codes = [...page('cli.md').matchAll(/^\| (\d) \|/gm)].map(([, code]) => Number(code));
    expect(codes).toEqual([...new Set<number>([...Object.values(EXIT), ...Object.values(SERVE_EXIT)])].toSorted((a, b) => a - b));
  });

  test('demands.md: seventy demands, each with the tests that name it', () => {
    const tests = demandTests(repositoryRoot);
    expect(page('demands.md')).toBe(renderDemands(tests));
    expect(page('demands.md').match(/^\| \d+ \|/gm)).toHaveLength(70);
    expect(tests.length).toBeGreaterThan(30);
    expect(() => renderDemands([{ demand: 71, file: 'x', name: 'y' }])).toThrow('no such demand');
  });
});

describe('demand(70): controls of frameworks', () => {
  const [demands, marks] = [demandTests(repositoryRoot), markTests(repositoryRoot)];
  const all = (from: ReturnType<typeof controlsOf>) => from.flatMap(({ controls }) => controls);

  test('controls.md and controls.json are what the names of the tests give (`npm run docs`), of five frameworks and more', () => {
    const controls = controlsOf(demands, marks);
    expect(page('controls.md')).toBe(renderControls(controls));
    expect(page('controls.json')).toBe(controlsJson(controls));
    for (const name of ['NHI1:2025', 'NHI10:2025', 'PR.AA-05', 'AC-4', 'Tenet 7', 'MANAGE 2.4', 'Layer 7']) expect(all(controls).map(({ control }) => control)).toContain(name);
    expect(all(controls).filter(({ state }) => state === 'shown').length).toBeGreaterThan(20);
    // What Curfew has no part in is said, and is not called shown.
    expect(all(controls).find(({ control }) => control === 'Layer 1')).toMatchObject({ state: 'outside', tests: 0 });
  });

  test('no control is shown by hand: without its tests each one is not, and one test less is one test less', () => {
    expect(all(controlsOf([], [])).filter(({ state }) => state === 'shown' || state === 'in part')).toEqual([]);
    for (const { control, state, by } of all(controlsOf(demands, marks)).filter((one) => one.state === 'shown')) {
      for (const of of by) {
        const [fewer, fewerMarks] = [demands.filter(({ demand }) => of !== `demand ${demand}`), marks.filter(({ mark }) => of !== mark)];
        expect(all(controlsOf(fewer, fewerMarks)).find((one) => one.control === control)?.state, `${control} without ${of}, was ${state}`).not.toBe('shown');
      }
    }
  });

  test('threats and invariants count where a test or a suite begins with them, and nowhere else', () => {
    const found = (text: string): readonly string[] => {
      const folder = mkdtempSync(join(tmpdir(), 'curfew-marks-'));
      try {
        mkdirSync(join(folder, 'test'));
        writeFileSync(join(folder, 'test/x.test.ts'), text);
        return markTests(folder).map(({ mark }) => mark);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    };
    expect(found("test('B6: nothing', () => {});\ntest('demand(3) I11 G3: killed', run);\ndescribe('A1, and A2: x');")).toEqual(['B6', 'I11', 'G3', 'A1', 'A2']);
    expect(found("test('of B6 and C2', run); const cells = ['A1: x']; // test('x') I9: y\nexpect('F0: z');")).toEqual([]);
  });
});

describe('what a running Curfew says of itself', () => {
  let curfew: Curfew;
  beforeAll(async () => {
    curfew = await startCurfew();
  });
  afterAll(() => curfew?.stop());

  test('openapi.json is what the admin API answers (`npm run docs`)', async () => {
    const answer = await fetch(`http://127.0.0.1:${curfew.ports.admin}/openapi.json`);
    expect(page('openapi.json')).toBe(formatOpenApi(await answer.text()));
  });

  test('metrics.md lists every metric, its type and its labels, and no other', async () => {
    const workload = 'spiffe://dev.local/ci/metrics';
    const token = await curfew.mint(workload);
    await curfew.grant(workload);
    expect((await curfew.ask(token)).status).toBe(200);
    expect((await curfew.ask(undefined)).status).toBe(401);
    const text = await curfew.metrics();
    const rows = [...page('metrics.md').matchAll(/^\| `(curfew_\w+)` \| (\w+) \| ([^|]*)\|/gm)]
      .map(([, name, type, labels]) => [name, { type, labels: [...(labels ?? '').matchAll(/`(\w+)`/g)].map(([, label]) => label) }] as const);
    const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => `${name} ${type}`);
    expect(rows.map(([name, { type }]) => `${name} ${type}`).toSorted()).toEqual(types.toSorted());
    const documented = new Map(rows);
    for (const [, series = '', labels = ''] of text.matchAll(/^(curfew_\w+?)(?:_bucket|_sum|_count)?\{(.*)\} /gm)) {
      const known = documented.get(series)?.labels ?? [];
      for (const [, label] of labels.matchAll(/(\w+)="/g)) expect(known, series).toContain(label);
    }
  });
});
