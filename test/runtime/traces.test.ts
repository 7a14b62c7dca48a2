/** Traces of a real node at a real receiver: a decision as a child of its request's trace, step by step; a revocation from command to enforced. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { onBothNodeStores, type NodeStore } from '../support/node-stores.ts';
import { startOtlpReceiver, type OtlpReceiver, type ReceivedSpan } from '../support/otlp-receiver.ts';
import { until } from '../support/until.ts';
import { startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const WORKLOAD = 'spiffe://dev.local/ci/traced';
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const CANARY = 'CANARY-SECRET-7731';
onBothNodeStores([], 'traces', (openStore) => {
  const directory = temporaryDirectory();
  let receiver: OtlpReceiver;
  let curfew: Curfew;
  let store: NodeStore;
  beforeAll(async () => {
    receiver = await startOtlpReceiver();
    store = await openStore();
    writeFileSync(join(directory.path, 'traces.yaml'), `${store.yaml}traces: {url: '${receiver.url}', insecureLoopback: true, ratio: 0, everyMs: 50}\n`);
    curfew = await startCurfew({ directory: directory.path, args: ['--config', 'traces.yaml'] });
  }, 120_000);
  afterAll(async () => {
    await curfew?.stop();
    await receiver?.close();
    await store?.stop();
    directory.remove();
  });
  const below = (root: ReceivedSpan): readonly ReceivedSpan[] => receiver.spans.filter(({ parentSpanId }) => parentSpanId === root.spanId);

  test('a sampled decision is a child of its request, step by step in order; one that is not sampled is none', async () => {
    const token = await curfew.mint(WORKLOAD);
    const { id } = await curfew.grant(WORKLOAD);
    expect((await curfew.ask(token, '/orders/1', { traceparent: `00-${'c'.repeat(32)}-${PARENT}-00` })).status).toBe(200);
    expect((await curfew.ask(token, '/orders/1')).status).toBe(200);
    const asked = await curfew.ask(token, `/orders/1?key=${CANARY}`, { traceparent: `00-${TRACE}-${PARENT}-01`, cookie: CANARY, 'x-forwarded-for': '192.0.2.77' });
    expect(asked.status).toBe(200);
    const root = await until('the span', () => receiver.spans.find(({ name }) => name === 'decide'));
    expect(root).toMatchObject({ traceId: TRACE, parentSpanId: PARENT, kind: 2, failed: false, attributes: { 'curfew.allow': true, 'curfew.grant': id, 'curfew.decision_id': asked.headers.get('x-curfew-decision-id'), 'curfew.protocol': 'forward-auth' } });
    expect(root.resource).toMatchObject({ 'service.name': 'curfew' });
    const steps = below(root);
    expect(steps.map(({ name }) => name)).toEqual(['authenticate', 'gather', 'evaluate', 'guard', 're-check', 'record']);
    for (const [index, step] of steps.entries()) {
      expect(step.traceId).toBe(TRACE);
      expect(step.from).toBeGreaterThanOrEqual(index === 0 ? root.from : (steps[index - 1] as ReceivedSpan).from);
      expect(step.to).toBeLessThanOrEqual(root.to);
    }
    expect(receiver.spans.filter(({ name }) => name === 'decide')).toHaveLength(1);
  }, 60_000);

  test('demand(49): a revocation is traced from the command to the instant from which it is enforced, and its own steps are told apart', async () => {
    const { id } = await curfew.grant(WORKLOAD);
    const admin = readFileSync(join(directory.path, '.curfew/admin-token'), 'utf8').trim();
    const answer = await fetch(`http://127.0.0.1:${curfew.ports.admin}/v1/revocations`, {
      method: 'POST', headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json', traceparent: `00-${'d'.repeat(32)}-${PARENT}-01` },
      body: JSON.stringify({ selector: { kind: 'grant', value: id }, reason: CANARY }),
    });
    expect(answer.status).toBe(201);
    const told = (await answer.json()) as { id: string; position: string; effectiveAt: string; enforcedAt: string };
    const root = await until('the span', () => receiver.spans.find(({ name }) => name === 'revoke'));
    expect(root).toMatchObject({ traceId: 'd'.repeat(32), parentSpanId: PARENT, failed: false, attributes: { 'curfew.ending': told.id, 'curfew.position': told.position, 'curfew.waited': true } });
    const [commit, enforce, ...more] = below(root);
    expect([commit?.name, enforce?.name, more.length]).toEqual(['commit', 'enforce', 0]);
    // The commit lies within its span, and the answer leaves when it is enforced.
    const ms = (at: bigint | undefined): number => Number((at ?? 0n) / 1_000n) / 1_000;
    expect(ms(commit?.from)).toBeLessThanOrEqual(Date.parse(told.effectiveAt) + store.skewMs);
    expect(ms(enforce?.from)).toBeGreaterThanOrEqual(Date.parse(told.effectiveAt) - store.skewMs);
    expect(ms(enforce?.to)).toBeGreaterThanOrEqual(Date.parse(told.enforcedAt) - store.skewMs);

    const refused = await curfew.admin('POST', '/v1/tasks/nothing-of-this-name/close', {});
    expect(refused.status).toBe(404);
    expect(await until('the refusal', () => receiver.spans.find(({ name }) => name === 'task.close'))).toMatchObject({ failed: true, attributes: { 'curfew.failure': 'not-found' } });
  }, 60_000);

  test('G4: no secret, and nothing of what was asked, is in a trace; everything was OTLP', () => {
    const all = receiver.requests.map(({ text }) => text).join('\n');
    expect(all.length).toBeGreaterThan(1_000);
    for (const word of [CANARY, '/orders', '192.0.2.77', WORKLOAD]) expect(all).not.toContain(word);
    expect(receiver.faults).toEqual([]);
  });
});
