import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createLog, errorText } from '../../src/telemetry/log.ts';
import { createSupervisorMetrics, createWorkerMetrics, lasting, mergeMetrics } from '../../src/telemetry/metrics.ts';
import { formatTraceparent, parseTraceparent } from '../../src/telemetry/trace-context.ts';
import { sampleRecord } from '../audit/sample-record.ts';
import { until } from '../support/until.ts';

describe('W3C trace context', () => {
  const valid = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  test('a well-formed header is read and written back', () => {
    const context = parseTraceparent(valid);
    expect(context).toEqual({ traceId: '4bf92f3577b34da6a3ce929d0e0e4736', parentId: '00f067aa0ba902b7', sampled: true });
    expect(context && formatTraceparent(context)).toBe(valid);
  });
  test.each([
    undefined, '', `${valid}x`, `${valid}-`, ` ${valid}`, valid.toUpperCase(), valid.replace('00-', 'ff-'), valid.replace('4bf92f3577b34da6a3ce929d0e0e4736', '0'.repeat(32)),
    valid.replace('00f067aa0ba902b7', '0'.repeat(16)), valid.slice(0, -1), `${valid}\n`, `01${valid.slice(2)}-${'x'.repeat(600)}`, `01${valid.slice(2)}x`,
  ])('%j is taken for absent', (header) => {
    expect(parseTraceparent(header)).toBeUndefined();
  });
  test('a later version is read by its first four fields', () => {
    expect(parseTraceparent(`01${valid.slice(2)}-what-comes`)?.traceId).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
  });
  test('anything else is absent, never a fault', () => {
    fc.assert(fc.property(fc.string(), (text) => parseTraceparent(text) === undefined));
  });
});

describe('G4: logs', () => {
  const logged = (run: (log: ReturnType<typeof createLog>) => void): string => {
    let text = '';
    run(createLog({ level: 'debug' }, {}, (line) => { text += line; }));
    return text;
  };
  test('one line each, without control, bidirectional or invisible characters', () => {
    const text = logged((log) => log.warn('w', { path: 'a\r\nb\u001b[2J\u009b\u202e\u200b\u2028\u007f' }));
    expect(text).toMatch(/^[\x20-\x7e]+\n$/);
    expect(JSON.parse(text)).toMatchObject({ level: 'warn', msg: 'w', path: 'a\r\nb\u001b[2J\u009b\u202e\u200b\u2028\u007f' });
  });
  test('a canary in secret fields, and tokens within texts, do not come out', () => {
    const jwt = 'eyJhbGciOiJub25lIn0.eyJjYW5hcnkiOjF9.c2ln';
    const text = logged((log) => log.error('e', { authorization: 'canary', adminToken: 'canary', clientSecret: 'canary', detail: `failed for ${jwt} and Bearer canary` }));
    expect(text).not.toContain('canary');
    expect(text).not.toContain('eyJ');
  });
  test('an error is told with its causes and without its stack', () => {
    expect(errorText(new Error('a', { cause: new Error('b') }))).toBe('a: b');
    expect(errorText({ secret: 'canary' })).toBe('an unknown failure');
  });
});

describe('metrics', () => {
  const gauges = { sink: () => ({ dropped: 2, failures: 0, buffered: 1, spilledBytes: 512 }), quarantined: () => 1 };
  test('decisions of several workers add up, by result and reason; nothing of a request becomes a label', async () => {
    const [one, two] = [createWorkerMetrics(gauges), createWorkerMetrics(gauges)];
    one.sink.write(sampleRecord('a'));
    two.sink.write({ ...sampleRecord('b'), factsAgeUs: 400 });
    two.sink.write({ ...sampleRecord('c'), result: { allow: true, standing: 's', wouldDeny: 'grant.none' } });
    const text = await mergeMetrics([await one.json(), await two.json(), await createSupervisorMetrics().json()]).metrics();
    expect(text).toContain('curfew_decisions_total{result="deny",reason="grant.none",protocol="forward-auth"} 2');
    expect(text).toContain('curfew_decisions_total{result="allow",reason="none",protocol="forward-auth"} 1');
    expect(text).toContain('curfew_standing_uses_total{entry="s"} 1');
    expect(text).toContain('curfew_would_deny_total{reason="grant.none"} 1');
    expect(text).toContain('curfew_decision_duration_seconds_count 3');
    expect(text).toContain('curfew_facts_age_seconds_count 1');
    expect(text).toContain('curfew_decision_log_dropped 4');
    expect(text).toContain('curfew_decision_log_spill_bytes 1024');
    expect(text).toContain('curfew_quarantined_evaluations 1');
    expect(text).toMatch(/curfew_event_loop_delay_seconds\{quantile="0.99"\} [0-9.e-]+/);
    expect(text).toContain('curfew_worker_restarts_total{cause="watchdog"} 0');
    expect(text).not.toContain('spiffe:');
    one.close();
    two.close();
  });
  test('what counts since the last scrape is not begun anew by looking at it', async () => {
    const worker = createWorkerMetrics(gauges);
    const longest = async (scrape: boolean): Promise<number> =>
      Number(/curfew_event_loop_delay_seconds\{quantile="1"\} ([0-9.e+-]+)/.exec(await mergeMetrics([await worker.json(scrape)]).metrics())?.[1]);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await longest(true);
    await new Promise((resolve) => setTimeout(resolve, 30));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await until('it to be counted', async () => (await longest(false)) > 0.25);
    expect(await longest(true)).toBeGreaterThan(0.25);
    // A busy machine may hold up the loop again, but not each time.
    await until('a count that began anew', async () => (await longest(true)) < 0.25);
    worker.close();
  });
  test('counts of a worker that ended stay', async () => {
    const [gone, here] = [createWorkerMetrics(gauges), createWorkerMetrics(gauges)];
    gone.sink.write(sampleRecord('a'));
    const text = await mergeMetrics([lasting(await gone.json()), await here.json()]).metrics();
    expect(text).toContain('curfew_decisions_total{result="deny",reason="grant.none",protocol="forward-auth"} 1');
    expect(text).toContain('curfew_decision_log_dropped 2');
    gone.close();
    here.close();
  });
});
