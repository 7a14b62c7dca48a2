/** The log of events: a closed catalogue, in which every change is told once and endings have their own sequence. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimFor } from '../../src/decision/claim.ts';
import type { Evaluation, Identity } from '../../src/decision/evaluation.ts';
import * as alerts from '../../src/domain/alert.ts';
import * as catalogue from '../../src/domain/event-types.ts';
import type { Grant } from '../../src/domain/grant.ts';
import type { Instant } from '../../src/domain/instant.ts';
import { createForgetter, FORGET_AFTER_MS } from '../../src/lifecycle/forget.ts';
import { renderAlerts } from '../../scripts/reference/alerts.mjs';
import { renderEvents } from '../../scripts/reference/events.mjs';
import { repositoryRoot } from '../parts.ts';
import { sourceFiles } from '../tidy/source-files.ts';
import { CALL, createWorld, terms, WORKLOAD, type World } from './world.ts';

const { EVENT_TYPES, isEnding } = catalogue;
let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
});

test('demand(24): every command tells its own event, endings as endings, under gapless positions', async () => {
  const { lifecycle } = world;
  const id = async (executed: ReturnType<typeof lifecycle.openTask>, member: string): Promise<string> => {
    const done = await executed;
    if (!done.ok) throw new Error(done.failure.detail);
    return (done.reply[member] as { id: string }).id;
  };
  const task = await id(lifecycle.openTask(CALL, { kind: 'agent', owner: 'team:ai', heartbeatMs: 60_000 }), 'task');
  world.at.now += 30_000;
  await lifecycle.beatTask(CALL, task);
  await lifecycle.pauseTask(CALL, task);
  await lifecycle.resumeTask(CALL, task);
  const grant = await lifecycle.issueGrant(CALL, terms({ uses: 3, task, model: 'jit', reference: undefined }));
  if (!grant.ok) throw new Error(grant.failure.detail);
  const used = claimFor(
    { id: 'decision-1', realm: 'default', pep: { id: 'gw', obligations: [] } } as unknown as Evaluation,
    { credential: { oneTime: 'jti-1', expiresAt: (world.at.now + 60_000) as Instant } } as unknown as Identity,
    { fact: { grant: grant.reply['grant'] as unknown as Grant } } as never,
    world.at.now as Instant,
  );
  if (used === undefined) throw new Error('nothing to claim');
  expect(await world.store.commit(used)).toMatchObject({ outcome: 'committed' });
  await lifecycle.revoke(CALL, { selector: { kind: 'workload', value: WORKLOAD }, reason: 'leak' }, true);
  const suspension = await id(lifecycle.suspend(CALL, { selector: { kind: 'workload', value: WORKLOAD }, reason: 'odd' }, true), 'suspension');
  await lifecycle.lift(CALL, { id: suspension, persons: [] });
  await lifecycle.setOperator(CALL, 'user:alice', ['issuer']);
  await lifecycle.closeTask(CALL, task);
  await lifecycle.testAlert(CALL);
  await lifecycle.resetClock(CALL, { reason: 'set by hand', behindMs: 0 });
  world.at.now += 60_000 + FORGET_AFTER_MS;
  await createForgetter({ ...world, realms: ['default'], pauseMs: 1, onError: () => undefined }).forget();

  const events = await world.store.events('default', { after: 0, limit: 100 });
  expect(events.map(({ type }) => type)).toEqual([
    'task.opened', 'task.beat', 'task.paused', 'task.resumed', 'grant.issued', 'credential.used', 'grant.used', 'revocation.placed', 'suspension.placed',
    'suspension.lifted', 'operator.configured', 'task.closed', 'alert.raised', 'clock.reset', 'credential.forgotten',
  ]);
  expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
  const endings = events.filter(({ type }) => isEnding(type as catalogue.EventType));
  expect(endings.map(({ endingSequence }) => endingSequence)).toEqual([1, 2, 3, 4]);
  expect(events.filter(({ endingSequence }) => endingSequence !== undefined)).toEqual(endings);
  expect(events.at(-1)?.data).toEqual({ count: 1 });
  for (const { type, data } of events.slice(0, -1)) expect(type.endsWith('.used') ? data['decision'] : data['by'], type).toBe(type.endsWith('.used') ? 'decision-1' : CALL.actor.id);
  // The bootstrap credential is made where a store is opened for production, not by a command; what housekeeping, emergencies and sources outside tell has tests of its own.
  const elsewhere = EVENT_TYPES.filter((type) => ['emergency.', 'signal.', 'records.', 'record.', 'audit.', 'alert.', 'endings.', 'store.', 'use.', 'manual.', 'group.', 'nodes.', 'lease.', 'feed.', 'command.', 'canary.'].some((family) => type.startsWith(family)));
  // So have people, workloads and requests.
  const directory = EVENT_TYPES.filter((type) => /^(?:person|workload|request)\.|^grant\.(?:delegated|graced|recertified)$/.test(type));
  expect(new Set([...events.map(({ type }) => type), 'credential.forgotten', 'bootstrap.made', ...elsewhere, ...directory])).toEqual(new Set(EVENT_TYPES));
});

test('no event is made outside the catalogue, nor an alert outside of theirs', () => {
  const made = sourceFiles().filter(({ path }) => !path.startsWith('src/store/')).flatMap(({ path, text }) =>
    [...text.matchAll(/\btype: '([a-z]+\.[a-z]+)'/g)].map(([, type]) => `${path}: ${type}`));
  const known = [...EVENT_TYPES, ...alerts.ALERT_TYPES];
  expect(made.filter((line) => !known.some((type) => line.endsWith(`: ${type}`)))).toEqual([]);
  expect(made.length).toBeGreaterThan(8);
});

test('alerts.md is the catalogue of alerts (`npm run docs`)', () => {
  expect(readFileSync(join(repositoryRoot, 'docs/reference/alerts.md'), 'utf8')).toBe(renderAlerts(alerts));
});

test('events.md is the catalogue (`npm run docs`)', () => {
  expect(readFileSync(join(repositoryRoot, 'docs/reference/events.md'), 'utf8')).toBe(renderEvents(catalogue));
});
