import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandsIn, helpPages, printedBy, renderCli } from '../../scripts/reference/cli.mjs';
import { demandTests } from '../../scripts/reference/demand-tests.mjs';
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
