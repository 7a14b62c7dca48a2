/** What the shadow holds is bounded, whatever the decisions are, and it takes a sample where it is told to. The built module, since it starts a thread. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import type { DecisionRecord } from '../../src/decision/record.ts';
import type { Instant } from '../../src/domain/instant.ts';
import type { Shadow, ShadowOptions } from '../../src/supervisor/shadow.ts';
import { sampleRecord } from '../audit/sample-record.ts';
import { repositoryRoot } from '../parts.ts';
import { until } from '../support/until.ts';
import { ENTRY } from './curfew.ts';

const BUNDLE = readFileSync(join(repositoryRoot, 'bundles/curfew.tar.gz'));
const silent = () => undefined;
let shadow: Shadow | undefined;
afterEach(async () => {
  await shadow?.close();
});

const open = async (over: Partial<ShadowOptions> = {}): Promise<Shadow> => {
  const { createShadow } = (await import(pathToFileURL(join(dirname(ENTRY), 'supervisor/shadow.js')).href)) as { createShadow: (options: ShadowOptions) => Shadow };
  const opened = createShadow({
    entrypoint: 'curfew/access/decision', load: { entrypoints: ['curfew/access/decision'] }, budgetMs: 10_000, sample: 1, processorShare: 1,
    envelope: () => ({ policyMaySet: [], obligations: [] }),
    clock: { now: () => ({ earliest: 0 as Instant, latest: 0 as Instant, trusted: true }), monotonicMs: () => performance.now() },
    log: { debug: silent, info: silent, warn: silent, error: silent },
    ...over,
  });
  shadow = opened;
  return opened;
};

const record = (input: object = {}): DecisionRecord => ({
  ...sampleRecord('r', { ...input, curfew: { now_ms: 1_764_000_000_000, action: 'GET', resource: { type: 'http', id: 'shop.local/1' }, grants: [], tasks: [] } }),
  policy: { revision: 'r', digest: 'd', result: { allow: false, reasons: ['no grant covers this'] } },
});
const counts = async (of: Shadow, name: string): Promise<number> =>
  ((await of.metrics()).find((metric) => metric.name === name)?.values ?? []).reduce((sum, { value }) => sum + value, 0);
const skipped = async (of: Shadow, cause: string): Promise<number> =>
  ((await of.metrics()).find(({ name }) => name === 'curfew_shadow_skipped_total')?.values ?? []).filter(({ labels }) => labels['cause'] === cause).reduce((sum, { value }) => sum + value, 0);

test('no more than its list holds waits; the rest is counted, and nothing is judged in the tick of an answer', async () => {
  const opened = await open();
  opened.offer(record());
  await opened.replace(BUNDLE);
  for (let offered = 0; offered < 1_000; offered += 1) opened.offer(record());
  expect([await skipped(opened, 'busy'), await counts(opened, 'curfew_shadow_decisions_total')]).toEqual([1_000 - 256, 0]);
  await until('all that waited to be judged', async () => (await counts(opened, 'curfew_shadow_decisions_total')) === 256);
});

test('large bodies are not held, nor decisions in which no policy was asked', async () => {
  const opened = await open();
  await opened.replace(BUNDLE);
  opened.offer(record({ attributes: { request: { http: { body: 'x'.repeat(65_537) } } } }));
  opened.offer(sampleRecord('unasked', {}));
  opened.offer({ ...record(), policy: { revision: 'r', digest: 'd', fault: 'policy.quarantined' } });
  opened.offer(record({ attributes: { request: { http: { body: 'x'.repeat(65_536) } } } }));
  await until('one to be judged', async () => (await counts(opened, 'curfew_shadow_decisions_total')) === 1);
  expect(await skipped(opened, 'large')).toBe(1);
});

test('a sample is a sample', async () => {
  const opened = await open({ sample: 0.1 });
  await opened.replace(BUNDLE);
  for (let offered = 0; offered < 1_000; offered += 1) opened.offer(record());
  await until('some to be judged', async () => (await counts(opened, 'curfew_shadow_decisions_total')) >= 50);
  // About a hundred; all of them would not have found room.
  expect(await skipped(opened, 'busy')).toBe(0);
});

test('a bundle that can not be loaded leaves nothing in the shadow, and another one is taken', async () => {
  const told: string[] = [];
  const opened = await open({ log: { debug: silent, info: silent, warn: silent, error: (message) => void told.push(message) } });
  await opened.replace(Buffer.from('no bundle'));
  expect(told).toEqual(['the shadow policy can not be loaded']);
  opened.offer(record());
  await opened.replace(BUNDLE);
  opened.offer(record());
  await until('one to be judged', async () => (await counts(opened, 'curfew_shadow_decisions_total')) === 1);
  await opened.replace(undefined);
  expect(await counts(opened, 'curfew_shadow_bundle')).toBe(0);
});
