/** The harness: numbers that benches rest on. A bench whose arithmetic is wrong is worse than none. */
import { plot } from '../../bench/harness/plot.ts';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { randomOf, uniform, zipf } from '../../bench/harness/draw.ts';
import { ratios, summarize } from '../../bench/harness/latency.ts';
import { calibrate, machineShape } from '../../bench/harness/machine.ts';
import { readOptions } from '../../bench/harness/options.ts';
import { keptResults, renderPage } from '../../bench/harness/performance-page.ts';
import { asMarkdown, asText, type Results } from '../../bench/harness/results.ts';
import { repositoryRoot } from '../parts.ts';

describe('percentiles', () => {
  test('are samples, by nearest rank, for any samples', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 1_000 }), { minLength: 1, maxLength: 300 }), (samples) => {
      const { p50, p99, p999, max } = summarize(samples);
      for (const [value, share] of [[p50, 0.5], [p99, 0.99], [p999, 0.999]] as const) {
        expect(samples).toContain(value);
        expect(samples.filter((sample) => sample <= value).length).toBeGreaterThanOrEqual(samples.length * share);
        expect(samples.filter((sample) => sample < value).length).toBeLessThan(samples.length * share);
      }
      expect(max).toBe(Math.max(...samples));
    }));
  });

  test('nothing measured is a failure, not a zero', () => expect(() => summarize([])).toThrow('no samples'));

  test('ratios compare rounds with their own counterpart', () => {
    expect(ratios([2, 40, 6], [1, 10, 2])).toEqual({ min: 2, median: 3, max: 4 });
    expect(() => ratios([1], [1, 2])).toThrow();
  });
});

describe('draws', () => {
  test('the same seed gives the same draws', () => {
    const [a, b] = [uniform(1_000, randomOf(3)), uniform(1_000, randomOf(3))];
    expect(Array.from({ length: 100 }, a)).toEqual(Array.from({ length: 100 }, b));
  });

  test.each([1, 2, 7, 333, 333_333])('Zipf over %i stays within and prefers few', (size) => {
    const draw = zipf(size, randomOf(1));
    const seen = new Map<number, number>();
    for (let index = 0; index < 20_000; index += 1) {
      const value = draw();
      expect(value >= 0 && value < size && Number.isInteger(value)).toBe(true);
      seen.set(value, (seen.get(value) ?? 0) + 1);
    }
    const top = Math.max(...seen.values()) / 20_000;
    // Rank 1 of exponent 1: log 2 / log(size + 1).
    expect(top).toBeCloseTo(Math.log(2) / Math.log(size + 1), 1);
  });
});

describe('options', () => {
  const defaults = { grants: 5, openRounds: 1, write: false } as const;

  test('flags in both spellings, with separators', () => {
    expect(readOptions(defaults, ['--grants', '1_000', '--open-rounds=2', '--write'])).toEqual({ grants: 1_000, openRounds: 2, write: true });
  });

  test.each([[['--grant', '5']], [['--grants']], [['--grants', 'many']], [['--grants', '-1']], [['5']]])('%j is refused', (argv) => {
    expect(() => readOptions(defaults, argv)).toThrow();
  });
});

test('tables hold every cell, in text and in Markdown', () => {
  const table = { title: 'T', columns: ['a', 'b'], rows: [['one', '1'], ['two | more', '22']], note: 'N' };
  for (const cell of ['T', 'one', '22', 'N']) {
    expect(asText(table)).toContain(cell);
    expect(asMarkdown(table)).toContain(cell);
  }
  expect(asMarkdown(table)).toContain(String.raw`two \| more`);
});

test('the calibration loop takes time, and the machine has a shape', () => {
  expect(calibrate(100_000)).toBeGreaterThan(0);
  expect(machineShape().cores).toBeGreaterThanOrEqual(1);
});

describe('docs/reference/performance.md', () => {
  const page = join(repositoryRoot, 'docs/reference/performance.md');

  test.skipIf(!existsSync(page))('is what the kept results give', () => {
    expect(readFileSync(page, 'utf8')).toBe(renderPage(keptResults(repositoryRoot)));
  });

  test('lists benches in a fixed order and names no path and no host', () => {
    const shape = { cores: 2, cpu: 'C', memoryGiB: 1, node: 'v', platform: 'linux x64' };
    const conditions = { load: 0, busyCores: null, calibrationMs: 1 };
    const of = (bench: string): Results => ({ bench, command: `npm run ${bench}`, date: '2026-01-01', machine: shape, before: conditions, after: conditions, tables: [], goals: [] });
    const text = renderPage([of('memory'), of('in-process'), of('http')]);
    expect(text.indexOf('## in-process')).toBeLessThan(text.indexOf('## http'));
    expect(text.indexOf('## http')).toBeLessThan(text.indexOf('## memory'));
    for (const results of keptResults(repositoryRoot)) expect(JSON.stringify(results)).not.toMatch(/\/(?:home|root|tmp|work|Users)\//);
  });
});

test('a plot has every point of every line, on axes that hold them, and the same numbers give the same bytes', () => {
  const lines = [{ name: 'a & b', points: [[1_000, 50], [10_000_000, 60]] as const }, { name: 'c', points: [[1, 0], [10, 100]] as const }];
  const svg = plot('Cost', 'stored', 'us', lines);
  expect(svg).toBe(plot('Cost', 'stored', 'us', lines));
  expect(svg.match(/<circle /g)).toHaveLength(4);
  expect(svg).toContain('a &amp; b');
  expect(svg).toContain('>10,000,000<');
  const [, , width = 0, height = 0] = (/viewBox="([^"]+)"/.exec(svg)?.[1] ?? '').split(' ').map(Number);
  for (const [, x, y] of svg.matchAll(/cx="([\d.]+)" cy="([\d.]+)"/g)) {
    expect(Number(x) >= 0 && Number(x) <= width).toBe(true);
    expect(Number(y) >= 0 && Number(y) <= height).toBe(true);
  }
});
