/**
 * A whole decision point for one story: test issuer, embedded store in a folder of its own, lifecycle, `decide` with guard and
 * claim, the policy, the sweeper. Everything is what a running Curfew has but the clock, which the story moves, and ids, which count
 * up so that two runs give the same. Not there: listeners, operators' roles, and the deadline of a decision, which no virtual time measures.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDecider, type Decider } from '../decision/decide.ts';
import type { Policy } from '../decision/ports.ts';
import type { DurationMs, Instant } from '../domain/instant.ts';
import { taskRef } from '../domain/grant-refs.ts';
import { readTask } from '../domain/records.ts';
import { taskHoldsUntil } from '../domain/task.ts';
import { createAuthenticator } from '../identity/authenticator.ts';
import { identityConfig } from '../identity/config.ts';
import { createInspect, type Inspect } from '../lifecycle/inspect.ts';
import { createLifecycle, type Lifecycle, type LifecycleDeps } from '../lifecycle/lifecycle.ts';
import { createRequests } from '../lifecycle/requests.ts';
import { createSweeper } from '../lifecycle/sweeper.ts';
import { openEmbeddedStore } from '../store/embedded/open.ts';
import type { TimelineHead } from './schema.ts';
import { createTestIssuer, type Subject, type TestIssuer } from './test-issuer.ts';
import { createVirtualClock } from './virtual-clock.ts';

export const REALM = 'default';
const ENTRYPOINT = 'curfew/access/decision';
const MIB = 2 ** 20;
/** Real time; on a machine under load a step may take long, and that is no fault of the policy. */
const DEADLINE_MS = 120_000 as DurationMs;

export interface Pdp {
  readonly lifecycle: Lifecycle;
  readonly inspect: Inspect;
  readonly decide: Decider['decide'];
  readonly mint: (subject: Subject) => ReturnType<TestIssuer['mint']>;
  /** Epoch milliseconds. */
  now(): Instant;
  /** Goes on to `instant`; housekeeping does what is due before it. `tasks`: those there are. */
  advanceTo(instant: Instant, tasks: readonly string[]): Promise<void>;
  nextId(): string;
  close(): Promise<void>;
}

export interface PdpOptions {
  readonly head: Pick<TimelineHead, 'start' | 'development' | 'config'>;
  readonly subjects: readonly Subject[];
  readonly policy: Policy;
}

/** The form of an id that Curfew makes, in order of the calls. */
const createIds = (): ((now: Instant) => string) => {
  let count = 0;
  return (now) => {
    count += 1;
    const [time, rest] = [now.toString(16).padStart(12, '0'), count.toString(16).padStart(12, '0')];
    return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${rest}`;
  };
};

export const openPdp = async ({ head: { start, development, config }, subjects, policy }: PdpOptions): Promise<Pdp> => {
  const path = mkdtempSync(join(tmpdir(), 'curfew-timeline-'));
  const clock = createVirtualClock(start);
  const remove = (): void => rmSync(path, { recursive: true, force: true });
  try {
    const issuer = createTestIssuer(subjects);
    const newId = createIds();
    const mode = development ? 'development' : 'production';
    const store = await openEmbeddedStore({ path, mode, clock, mapSizeBytes: 256 * MIB, memoBytesMax: 4 * MIB });
    const authenticator = createAuthenticator({ ...identityConfig.parse({}), issuers: [...issuer.issuers] }, { clock });
    await authenticator.ready();
    const { maxFactsAgeMs, pepCacheMaxMs } = config.limits;
    const deps: LifecycleDeps = {
      store, clock, policy: () => policy, config: config.lifecycle, development, directEmergencies: true, newId,
      enforcementMs: maxFactsAgeMs + pepCacheMaxMs,
      // Time goes on when the story says so.
      settle: () => Promise.resolve(),
    };
    const lifecycle = createLifecycle(deps);
    const sweeper = createSweeper({ store, clock, lifecycle, requests: createRequests(deps), realms: [REALM], intervalMs: config.lifecycle.sweepIntervalMs, onError: () => undefined });
    const { decide } = createDecider({
      clock, store, authenticator, policy: () => policy, entrypoint: ENTRYPOINT,
      sink: { write: () => undefined },
      quarantine: { enter: () => true, leave: () => undefined },
      limits: { ...config.limits, decisionDeadlineMs: DEADLINE_MS, maxFactsAgeMs: maxFactsAgeMs as DurationMs, pepCacheMaxMs },
      realms: new Set([REALM]),
      standing: config.standing,
    });

    /** When housekeeping has something to do next: it closes tasks that are over. */
    const nextDue = async (tasks: readonly string[]): Promise<number> => {
      const records = await store.read(REALM, tasks.map(taskRef));
      const due = records.flatMap((record) => {
        const task = record === undefined ? undefined : readTask(record.value);
        if (task === undefined || task.state === 'closed') return [];
        return [task.state === 'paused' ? task.deadline : taskHoldsUntil(task)];
      });
      return Math.min(Number.POSITIVE_INFINITY, ...due);
    };
    const { sweepIntervalMs } = config.lifecycle;
    let lastRound = 0;
    return {
      lifecycle, decide,
      inspect: createInspect({ store, clock, policy: () => policy }),
      mint: (subject) => issuer.mint(subject, newId(clock.now().latest), clock.now().latest),
      now: () => clock.now().latest,
      advanceTo: async (instant, tasks) => {
        for (;;) {
          // Its rounds come every so often from the start, after what the story does at that instant; only those that find something matter.
          const next = Math.max(await nextDue(tasks), clock.now().latest);
          const round = Math.max(Math.ceil((next - start) / sweepIntervalMs), lastRound + 1);
          const at = start + round * sweepIntervalMs;
          if (!(at < instant)) break;
          clock.advanceTo(at as Instant);
          lastRound = round;
          if ((await sweeper.sweep()) === 0) break;
        }
        clock.advanceTo(instant);
      },
      nextId: () => newId(clock.now().latest),
      close: async () => {
        authenticator.close();
        await store.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
};
