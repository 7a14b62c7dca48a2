/** Traces: what is sent is OTLP, memory is bounded, a receiver that is away costs nothing else; which decisions are traced, and as part of what. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Evaluation } from '../../src/decision/evaluation.ts';
import type { Clock, Step } from '../../src/decision/ports.ts';
import type { DecisionRecord } from '../../src/decision/record.ts';
import type { Instant } from '../../src/domain/instant.ts';
import { tracesConfig } from '../../src/telemetry/traces/config.ts';
import { createSpanExporter } from '../../src/telemetry/traces/exporter.ts';
import type { Span } from '../../src/telemetry/traces/span.ts';
import { createTracer } from '../../src/telemetry/traces/tracer.ts';
import { temporaryDirectory } from '../runtime/curfew.ts';
import { startOtlpReceiver, type OtlpReceiver } from '../support/otlp-receiver.ts';
import { until } from '../support/until.ts';

const T0 = 1_800_000_000_123;
const TRACE = 'a'.repeat(31) + '1';
const PARENT = 'b'.repeat(15) + '2';
let receiver: OtlpReceiver;
beforeEach(async () => {
  receiver = await startOtlpReceiver();
});
afterEach(() => receiver.close());

const span = (name: string): Span => ({ traceId: TRACE, spanId: PARENT, name, kind: 'internal', from: T0 + 0.25, to: T0 + 1.5, attributes: { text: 'x', count: 3, part: 0.5, yes: true, none: undefined } });
const configOf = (more: object = {}) => tracesConfig.parse({ url: receiver.url, insecureLoopback: true, everyMs: 10, ...more });
const exporterOf = (more: object = {}) => {
  const errors: string[] = [];
  return { errors, exporter: createSpanExporter({ config: configOf(more), resource: { 'service.name': 'curfew' }, version: '1', random: () => 0, onError: (detail) => void errors.push(detail) }) };
};

test('spans arrive as OTLP says, to the nanosecond, with their attributes and those of the resource', async () => {
  const { exporter } = exporterOf({ labels: { region: 'eu' } });
  exporter.take([{ ...span('one'), parentId: 'c'.repeat(16), failed: true }]);
  await until('the span', () => receiver.spans.length === 1);
  expect(receiver.faults).toEqual([]);
  expect(receiver.spans[0]).toMatchObject({
    name: 'one', traceId: TRACE, spanId: PARENT, parentSpanId: 'c'.repeat(16), failed: true, from: 1_800_000_000_123_250_000n, to: 1_800_000_000_124_500_000n,
    attributes: { text: 'x', count: 3, part: 0.5, yes: true }, resource: { 'service.name': 'curfew', region: 'eu' },
  });
  expect(receiver.spans[0]?.attributes).not.toHaveProperty('none');
  await exporter.close();
});

test('positive control: the receiver finds what is not OTLP', async () => {
  for (const body of ['{"resourceSpans":[]}', '{"resourceSpans":[{"resource":{"attributes":[]},"scopeSpans":[{"scope":{"name":"x"},"spans":[{"traceId":"00"}]}]}]}', '{"spans":[]}']) {
    expect((await fetch(receiver.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })).status).toBe(400);
  }
  expect(receiver.faults).toHaveLength(3);
});

test('a receiver that is away gets them once it is back; beyond the queue they are dropped and counted; it is told of once', async () => {
  receiver.answer(503);
  const { errors, exporter } = exporterOf({ queueSpansMax: 64 });
  for (let index = 0; index < 100; index += 1) exporter.take([span(`s${index}`)]);
  await until('two tries', () => receiver.requests.length >= 2);
  expect(exporter.stats()).toMatchObject({ sent: 0, dropped: 36 });
  receiver.answer(200);
  await until('the spans', () => receiver.spans.length === 64);
  expect(receiver.spans.map(({ name }) => name)).toEqual(Array.from({ length: 64 }, (_, index) => `s${index}`));
  expect(errors).toEqual(['the receiver of traces answered 503']);
  await exporter.close();
});

test('what the receiver will not have is dropped, and the next is sent; what is left at the end is sent once', async () => {
  receiver.answer(400);
  const { exporter } = exporterOf();
  exporter.take([span('bad')]);
  await until('the drop', () => exporter.stats().dropped === 1);
  receiver.answer(200);
  exporter.take([span('good')]);
  await exporter.close();
  // One that failed is not tried for ever by a process that ends.
  exporter.take([span('late')]);
  expect(receiver.spans.map(({ name }) => name).filter((name) => name !== 'good')).toEqual([]);
  expect(exporter.stats().dropped).toBe(2);
});

test('a token is read for each batch, and is in no error; nothing that hangs holds up the end', async () => {
  const directory = temporaryDirectory();
  const file = join(directory.path, 'token');
  writeFileSync(file, 'canary-secret-1\n');
  const { errors, exporter } = exporterOf({ bearerToken: { file }, timeoutMs: 200 });
  exporter.take([span('one')]);
  await until('the first', () => receiver.spans.length === 1);
  writeFileSync(file, 'canary-secret-2\n');
  exporter.take([span('two')]);
  await until('the second', () => receiver.spans.length === 2);
  expect(receiver.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer canary-secret-1', 'Bearer canary-secret-2']);
  await receiver.close();
  exporter.take([span('three')]);
  await until('the error', () => errors.length > 0);
  await exporter.close();
  expect(errors.join()).not.toContain('canary-secret');
  directory.remove();
});

const tracerOf = (more: { ratio?: number; fromRequests?: boolean; perSecondMax?: number } = {}, random?: () => number) => {
  const world = { ms: 100 };
  const taken: Span[] = [];
  const clock: Clock = { now: () => ({ earliest: (T0 + world.ms) as Instant, latest: (T0 + world.ms) as Instant, trusted: true }), monotonicMs: () => world.ms };
  const exporter = { take: (spans: readonly Span[]) => void taken.push(...spans), stats: () => ({ dropped: 0, sent: 0 }), close: async () => undefined };
  return { world, taken, tracer: createTracer({ config: configOf({ ratio: 0, ...more }), clock, exporter, ...(random === undefined ? {} : { random }) }) };
};
const evaluation = (traceparent?: string): Evaluation => ({ id: 'd1', arrivedMs: 90, ...(traceparent === undefined ? {} : { traceparent }) }) as unknown as Evaluation;
const record = (result: object): DecisionRecord => ({
  id: 'd1', realm: 'default', protocol: 'forward-auth', pep: 'edge', policy: { revision: 'r1', digest: 'x' }, result, workload: 'spiffe://secret/workload', resource: { type: 'http', id: 'secret/path' }, input: { secret: true },
}) as unknown as DecisionRecord;

test('a sampled request makes a child of its trace; one that is not sampled makes none, at any ratio', () => {
  const { tracer, world, taken } = tracerOf({ ratio: 1 });
  expect(tracer.decision(evaluation(`00-${TRACE}-${PARENT}-00`))).toBeUndefined();
  const watch = tracer.decision(evaluation(`00-${TRACE}-${PARENT}-01`));
  for (const step of ['authenticate', 'gather', 'evaluate', 'guard', 're-check', 'record'] satisfies Step[]) {
    watch?.step(step);
    world.ms += 2;
  }
  watch?.end(record({ allow: true, grant: 'g1' }));
  const [root, ...steps] = taken;
  expect(root).toMatchObject({ name: 'decide', kind: 'server', traceId: TRACE, parentId: PARENT, from: T0 + 90, to: T0 + 112, failed: false, attributes: { 'curfew.decision_id': 'd1', 'curfew.allow': true, 'curfew.grant': 'g1', 'curfew.pep': 'edge' } });
  expect(steps.map(({ name, from, to, parentId }) => [name, from - T0, to - T0, parentId === root?.spanId])).toEqual([
    ['authenticate', 100, 102, true], ['gather', 102, 104, true], ['evaluate', 104, 106, true], ['guard', 106, 108, true], ['re-check', 108, 110, true], ['record', 110, 112, true],
  ]);
  // Who, what and with which content is for the decision log.
  expect(JSON.stringify(taken)).not.toContain('secret');
  expect(new Set(taken.map(({ spanId }) => spanId)).size).toBe(taken.length);
});

test('without a parent the ratio decides; a malformed one is none; requests that all say sampled are bounded', () => {
  const drawn = [0.09, 0.11];
  const { tracer, world } = tracerOf({ ratio: 0.1, perSecondMax: 5 }, () => drawn.shift() ?? 1);
  expect(tracer.decision(evaluation())).toBeDefined();
  expect(tracer.decision(evaluation())).toBeUndefined();
  expect(tracer.decision(evaluation('00-zz-01'))).toBeUndefined();
  const sampled = (): number => Array.from({ length: 20 }, () => tracer.decision(evaluation(`00-${TRACE}-${PARENT}-01`))).filter((watch) => watch !== undefined).length;
  expect(sampled()).toBe(4);
  world.ms += 1_000;
  expect(sampled()).toBe(5);
  const closed = tracerOf({ fromRequests: false, ratio: 0 });
  expect(closed.tracer.decision(evaluation(`00-${TRACE}-${PARENT}-01`))).toBeUndefined();
});

test('a denial that is our fault is an error, one that the caller earned is not', () => {
  for (const [reason, failed] of [['grant.none', false], ['credential.expired', false], ['facts.unavailable', true], ['clock.untrusted', true], ['policy.error', true], ['decision.deadline', true], ['credential.keys_unavailable', true]] as const) {
    const { tracer, taken } = tracerOf({ ratio: 1 });
    tracer.decision(evaluation())?.end(record({ allow: false, reason }));
    expect(taken[0], reason).toMatchObject({ failed, attributes: { 'curfew.reason': reason } });
  }
});
