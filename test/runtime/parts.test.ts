import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Evaluation, Identity } from '../../src/decision/evaluation.ts';
import type { Instant } from '../../src/domain/instant.ts';
import { createBackoff } from '../../src/supervisor/backoff.ts';
import { nextClockMark } from '../../src/supervisor/clock-mark.ts';
import { nodeHealth } from '../../src/supervisor/node-health.ts';
import { fingerprintOf, workloadPart, workloadPartOf } from '../../src/supervisor/watchdog/fingerprint.ts';
import { allocateWatch, TEXT_BYTES_MAX, viewWatch } from '../../src/supervisor/watchdog/layout.ts';
import { mainThreadProcessorMs, ownStatFile, processorMsIn } from '../../src/supervisor/watchdog/processor-time.ts';
import { createQuarantineBook, EVALUATIONS_MAX } from '../../src/supervisor/watchdog/quarantine.ts';
import { createStallJudge, LOOP_BUDGETS, STUCK_BUDGETS, type Stall } from '../../src/supervisor/watchdog/stall.ts';
import { createWatchdog } from '../../src/supervisor/watchdog/watchdog.ts';

const limits = { tickMs: 10, evaluationBudgetMs: 100 };

/** Feeds ticks; `cpuPerTick` is how much of each tick the deciding thread really ran. Gives the verdict and the tick it came at. */
const watch = (ticks: number, reading: (tick: number) => { loopTurns: number; evaluation: number }, cpuPerTick: number): { stall: Stall; tick: number } | undefined => {
  let cpu = 0;
  const judge = createStallJudge(limits, () => cpu);
  for (let tick = 0; tick < ticks; tick += 1) {
    const stall = judge(reading(tick));
    if (stall !== undefined) return { stall, tick };
    cpu += cpuPerTick;
  }
  return undefined;
};

describe('the judge of stalls', () => {
  test('an evaluation that runs on is found soon after its budget', () => {
    const found = watch(100, () => ({ loopTurns: 5, evaluation: 7 }), 10);
    expect(found?.stall).toBe('evaluation');
    expect(found?.tick).toBeLessThan(14);
    expect(found?.tick).toBeGreaterThanOrEqual(10);
  });
  test('many short evaluations in a row are none', () => {
    expect(watch(90, (tick) => ({ loopTurns: 5, evaluation: tick * 2 + 1 }), 10)).toBeUndefined();
  });
  test('a loop that turns is none, however busy', () => {
    expect(watch(10_000, (tick) => ({ loopTurns: tick, evaluation: 2 }), 10)).toBeUndefined();
  });
  test('standing without having run does not use up the budget', () => {
    expect(watch(STUCK_BUDGETS * 10 - 5, () => ({ loopTurns: 5, evaluation: 7 }), 0)).toBeUndefined();
    expect(watch(90, () => ({ loopTurns: 5, evaluation: 7 }), 1)).toBeUndefined();
  });
  test('a loop that stands outside of evaluations has more patience', () => {
    const found = watch(1_000, () => ({ loopTurns: 5, evaluation: 8 }), 10);
    expect(found?.stall).toBe('loop');
    expect(found?.tick).toBeGreaterThanOrEqual(LOOP_BUDGETS * 10);
  });
  test('a loop that waits for something that never comes is given up in the end', () => {
    expect(watch(STUCK_BUDGETS * 10 + 5, () => ({ loopTurns: 5, evaluation: 8 }), 0)?.stall).toBe('stuck');
  });
  test('processor time of a thread grows with its work alone', async () => {
    const before = mainThreadProcessorMs();
    // However little of the machine is left for this thread.
    for (const end = performance.now() + 10_000; performance.now() < end && mainThreadProcessorMs() - before < 20;);
    expect(mainThreadProcessorMs() - before).toBeGreaterThanOrEqual(20);
    const idle = mainThreadProcessorMs();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(mainThreadProcessorMs() - idle).toBeLessThan(90);
    const own = ownStatFile();
    if (own !== undefined) expect(processorMsIn(own)).toBeGreaterThan(0);
  });
});

const evaluation = (action: string, id: string, realm = 'default'): Evaluation => ({
  id: 'x', realm, protocol: 'forward-auth', pep: { id: undefined, obligations: [] }, presented: { kind: 'none' }, input: {}, question: { action, resource: { type: 'http', id } },
});
const identity = (workload: string): Identity => ({
  workload, kind: 'jwt-svid', issuer: 'i', audience: [], claims: {}, credential: { selectors: [], fingerprint: 'f' }, confirmed: {},
});

describe('fingerprints', () => {
  test('are injective, name their workload, and fit into the shared memory', () => {
    const part = fc.string({ unit: 'binary', maxLength: 5_000 });
    fc.assert(fc.property(part, part, part, part, (realm, workload, action, id) => {
      const text = fingerprintOf(evaluation(action, id, realm), identity(workload));
      expect(workloadPartOf(text)).toBe(workloadPart(realm, workload));
      expect(Buffer.byteLength(text)).toBeLessThan(TEXT_BYTES_MAX);
      expect(fingerprintOf(evaluation(`${action}x`, id, realm), identity(workload))).not.toBe(text);
      expect(fingerprintOf(evaluation(action, id, realm), undefined)).not.toBe(text);
    }));
    expect(fingerprintOf(evaluation('a', 'b/c'), identity('w'))).not.toBe(fingerprintOf(evaluation('a/b', 'c'), identity('w')));
  });
  test('can be written to the shared memory whole', () => {
    const { text } = viewWatch(allocateWatch());
    const longest = fingerprintOf(evaluation('\u0000"'.repeat(400), '\u0000"'.repeat(400), '\ud800'.repeat(2_048)), identity('\ud800'.repeat(2_048)));
    const { written } = new TextEncoder().encodeInto(longest, text);
    expect(new TextDecoder().decode(Uint8Array.from(text.subarray(0, written)))).toBe(longest);
  });
});

describe('quarantine', () => {
  const of = (workload: string, id: string): string => fingerprintOf(evaluation('GET', id), identity(workload));
  test('an evaluation is refused exactly, until it is cleared', () => {
    const watchdog = createWatchdog({ evaluationBudgetMs: 100, reportFd: undefined });
    const book = createQuarantineBook();
    expect(book.add(of('w', 'a'), 0)).toBe('evaluation');
    watchdog.replace(book.list());
    expect(watchdog.enter(evaluation('GET', 'a'), identity('w'))).toBe(false);
    expect(watchdog.enter(evaluation('GET', 'b'), identity('w'))).toBe(true);
    watchdog.leave();
    expect(watchdog.enter(evaluation('GET', 'a'), identity('other'))).toBe(true);
    watchdog.leave();
    book.clear();
    watchdog.replace(book.list());
    expect(watchdog.enter(evaluation('GET', 'a'), identity('w'))).toBe(true);
  });
  test('the third within a minute covers the workload, spread over a longer time it does not', () => {
    const quick = createQuarantineBook();
    expect([0, 1, 2].map((n) => quick.add(of('w', `r${n}`), n * 1_000))).toEqual(['evaluation', 'evaluation', 'workload']);
    expect(quick.list().workloads).toEqual([workloadPart('default', 'w')]);
    const slow = createQuarantineBook();
    expect([0, 1, 2].map((n) => slow.add(of('w', `r${n}`), n * 31_000))).toEqual(['evaluation', 'evaluation', 'evaluation']);
  });
  test('the same evaluation on several workers counts once', () => {
    const book = createQuarantineBook();
    expect([0, 1, 2, 3].map((n) => book.add(of('w', 'same'), n))).toEqual(Array.from({ length: 4 }, () => 'evaluation'));
  });
  test('is bounded, and whoever fills it is kept out as a whole', () => {
    const book = createQuarantineBook();
    for (let n = 0; n < EVALUATIONS_MAX + 50; n += 1) book.add(of('w', `r${n}`), n * 60_000);
    expect(book.list().evaluations).toHaveLength(EVALUATIONS_MAX);
    expect(book.list().workloads).toEqual([workloadPart('default', 'w')]);
  });
  test('I12: another realm is not touched', () => {
    const watchdog = createWatchdog({ evaluationBudgetMs: 100, reportFd: undefined });
    watchdog.replace({ evaluations: [of('w', 'a')], workloads: [workloadPart('default', 'w')] });
    expect(watchdog.enter(evaluation('GET', 'a', 'other'), identity('w'))).toBe(true);
  });
});

describe('small rules', () => {
  test('a worker is replaced at once, then ever more slowly up to a bound, and at once again after a long life', () => {
    const backoff = createBackoff();
    expect(Array.from({ length: 9 }, () => backoff.next(0))).toEqual([0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    expect(backoff.next(60_000)).toBe(0);
  });
  test('a node is ready when one worker is', () => {
    expect(nodeHealth([{ ready: false, faults: ['a'] }, { ready: true, faults: [] }, undefined], true)).toEqual({ ready: true, faults: ['a'] });
    expect(nodeHealth([undefined], true)).toEqual({ ready: false, faults: ['no worker answers'] });
    expect(nodeHealth([], true)).toEqual({ ready: false, faults: ['no worker runs'] });
    expect(nodeHealth([{ ready: true, faults: [] }], false)).toEqual({ ready: true, faults: ['the clock is not trusted'] });
  });
  test('I9: the clock mark is ahead of every time used, and quick restarts do not push it on', () => {
    const at = (earliest: number, latest: number) => ({ now: () => ({ earliest: earliest as Instant, latest: latest as Instant, trusted: true }) });
    expect(nextClockMark(at(10_000, 10_000))).toBe(11_000);
    let mark = 10_000;
    for (let restart = 0; restart < 100; restart += 1) mark = nextClockMark(at(10_000, Math.max(10_000, mark)));
    expect(mark).toBe(11_000);
  });
  test('the entries of threads and workers are built under the names they are started by', () => {
    for (const [file, entry] of [['watchdog/watchdog.ts', './watch-thread.js'], ['bounded-policy.ts', './policy-thread.js']] as const) {
      const source = fileURLToPath(new URL(`../../src/supervisor/${file}`, import.meta.url));
      expect(readFileSync(source, 'utf8')).toContain(entry);
    }
  });
});
