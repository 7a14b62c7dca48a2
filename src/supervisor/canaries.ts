/** Canary grants on their schedule, as a piece of housekeeping: one node of a fleet runs each, and what came of it is in the record, the metrics and, where it went wrong, an alert. */
import { readFileSync } from 'node:fs';
import { readSecret } from '../alerts/secret.ts';
import { getStatus } from '../bounded/post.ts';
import type { CanaryConfig } from '../canary/config.ts';
import { runCanary, type Asked, type Issued } from '../canary/run-canary.ts';
import type { Core } from '../compose.ts';
import { canaryRef, readCanary } from '../domain/lifecycle/canary-rules.ts';
import type { Instant } from '../domain/instant.ts';
import { isJsonObject } from '../domain/json.ts';
import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import { newId } from '../lifecycle/new-id.ts';
import { createRounds, type Rounds } from '../lifecycle/rounds.ts';
import type { SupervisorMetrics } from '../telemetry/metrics.ts';

const ACTOR = { kind: 'system', id: 'system:canary' } as const;
/** At once: each waits most of the time. */
const AT_ONCE = 16;
/** A node that stopped gives way to another after so long beyond the longest run. */
const TURN_MS = 60_000;
const LOOK_MS = 1_000;

const askOf = (config: CanaryConfig): (() => Promise<Asked>) => async () => {
  const { url, headers, credential, client, ca, timeoutMs, refusedBy } = config;
  try {
    const token = credential === undefined ? undefined : readSecret(credential, { env: (name) => process.env[name] });
    if (credential !== undefined && token === undefined) return { was: 'unclear', detail: 'its credential can not be read' };
    const answer = await getStatus({
      url: new URL(url), timeoutMs, headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      ...(ca === undefined ? {} : { ca: readFileSync(ca, 'utf8') }),
      ...(client === undefined ? {} : { client: { cert: readFileSync(client.cert, 'utf8'), key: readFileSync(client.key, 'utf8') } }),
    });
    if ('fault' in answer) return { was: 'unclear', detail: `the gateway ${answer.fault}` };
    if (answer.status >= 200 && answer.status < 300) return { was: 'open' };
    return refusedBy.includes(answer.status) ? { was: 'refused' } : { was: 'unclear', detail: `the gateway answered ${answer.status}` };
  } catch {
    // Of files and headers; what they hold is nobody's business.
    return { was: 'unclear', detail: 'the question can not be put: a file can not be read, or a header not be sent' };
  }
};

const issueBy = (lifecycle: Pick<Lifecycle, 'issueGrant'>, config: CanaryConfig) => async (): Promise<Issued> => {
  const { realm, workload, action, resource, ttlMs, owner, reference, entitlement, pep, id } = config;
  const executed = await lifecycle.issueGrant({ realm, actor: ACTOR }, {
    workload, model: 'time-boxed', scopes: [{ actions: [action], resource }], ttlMs, owner, reference, justification: `canary ${id}: shows that access through ${pep} ends`,
    conditions: { pep: [pep] }, ...(entitlement === undefined ? {} : { entitlement }),
  });
  if (!executed.ok) return { fault: executed.failure.detail };
  const { grant } = executed.reply;
  const [named, expiresAt] = isJsonObject(grant) ? [grant['id'], grant['expiresAt']] : [];
  return typeof named === 'string' && typeof expiresAt === 'number' ? { grant: named, expiresAt: expiresAt as Instant } : { fault: 'it was issued and not told' };
};

export interface CanariesDeps {
  readonly lifecycle: Pick<Lifecycle, 'issueGrant' | 'noteCanary'>;
  readonly metrics: SupervisorMetrics['canaries'];
  readonly onError: (error: unknown) => void;
}

/** Nothing where none is configured. */
export const openCanaries = ({ config: { canaries }, clock, store }: Pick<Core, 'config' | 'clock' | 'store'>, { lifecycle, metrics, onError }: CanariesDeps): readonly Rounds[] => {
  if (canaries.length === 0) return [];
  const holder = newId(clock.now().latest);
  const stopping = new AbortController();
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => {
    if (stopping.signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      stopping.signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    stopping.signal.addEventListener('abort', done);
  });
  const busy = new Set<string>();

  const run = async (canary: CanaryConfig): Promise<void> => {
    const { id, pep, realm, ttlMs, watchMs, everyMs, timeoutMs } = canary;
    const now = clock.now();
    const [record] = await store.read(realm, [canaryRef(id)]);
    const before = readCanary(record?.value);
    if (!now.trusted || (before !== undefined && now.latest < before.at + everyMs)) return;
    // As long as the longest run takes.
    if ((await store.takeTurn?.(`canary/${realm}/${id}`, holder, TURN_MS + 2 * (ttlMs + watchMs) + 4 * timeoutMs)) === false) return;
    const ran = await runCanary({ config: canary, clock, sleep, ask: askOf(canary), issue: issueBy(lifecycle, canary), stopping: () => stopping.signal.aborted });
    if (ran === undefined) return;
    metrics.runs.inc({ canary: id, pep, result: ran.result });
    if (ran.flipMs !== undefined) metrics.flip.set({ canary: id, pep }, ran.flipMs / 1_000);
    if (ran.result === 'ended') metrics.lastEnded.set({ canary: id, pep }, clock.now().latest / 1_000);
    const noted = await lifecycle.noteCanary({ realm, actor: ACTOR }, { id, pep }, ran);
    if (!noted.ok) throw new Error(`what became of canary ${id} was not noted: ${noted.failure.detail}`);
  };
  const underWay = new Set<Promise<void>>();
  // A canary that takes long, or can't be run, keeps no other.
  const round = async (): Promise<void> => {
    for (const canary of canaries) {
      const key = `${canary.realm}/${canary.id}`;
      if (busy.has(key) || busy.size >= AT_ONCE || stopping.signal.aborted) continue;
      busy.add(key);
      const running: Promise<void> = run(canary).catch(onError).finally(() => {
        busy.delete(key);
        underWay.delete(running);
      });
      underWay.add(running);
    }
  };
  const rounds = createRounds({ round, pauseMs: () => LOOK_MS, monotonicMs: clock.monotonicMs, onError });
  return [{
    start: rounds.start,
    stop: async () => {
      stopping.abort();
      await rounds.stop();
      await Promise.all(underWay);
    },
  }];
};
