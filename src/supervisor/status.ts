/** What `curfew status` shows, put together from those who know. Reading it costs a few reads of the store and one question to each worker. */
import type { NodeStatus } from '../admin/status.ts';
import type { Rollback } from '../audit/record/rollback.ts';
import type { Clock } from '../decision/ports.ts';
import type { IdentityAuthenticator } from '../identity/authenticator.ts';
import { toRfc3339, type Instant } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import { formatPosition } from '../domain/position.ts';
import { createRounds, type Rounds } from '../lifecycle/rounds.ts';
import type { Store } from '../store/port.ts';
import type { MetricsJson } from '../telemetry/metrics.ts';
import type { AdjustableClock } from '../time/clock.ts';
import { countsOf, createDecisionRates, SAMPLE_EVERY_MS, type DecisionRates } from './decision-rates.ts';
import type { WorkerHealth } from './messages.ts';

export interface NodeFacts {
  readonly version: string;
  readonly startedAt: Instant;
  readonly health: () => Promise<WorkerHealth>;
  readonly workersWanted: () => number;
  readonly bundle: () => { readonly revision: string; readonly digest: string };
  /** Of all processes of the node together. */
  readonly metrics: () => Promise<MetricsJson>;
}

export interface NodeWatch extends NodeFacts, Rounds {
  /** Since when this bundle decides, to within a sample. */
  readonly bundleSince: () => Instant;
  readonly rates: DecisionRates;
}

/** Looks at the node again and again, so that what is asked can be told as of lately. */
export const watchNode = (node: NodeFacts, clock: Clock, onError: (error: unknown) => void): NodeWatch => {
  const rates = createDecisionRates(clock.monotonicMs);
  let bundle = { digest: node.bundle().digest, since: node.startedAt };
  const bundleSince = (): Instant => {
    const { digest } = node.bundle();
    if (digest !== bundle.digest) bundle = { digest, since: clock.now().latest };
    return bundle.since;
  };
  const look = async (): Promise<void> => {
    bundleSince();
    rates.sample(countsOf(await node.metrics()));
  };
  return { ...node, rates, bundleSince, ...createRounds({ round: look, pauseMs: () => SAMPLE_EVERY_MS, monotonicMs: clock.monotonicMs, onError }) };
};

export interface StatusDeps {
  readonly rollback: Rollback;
  readonly node: NodeWatch;
  readonly clock: Pick<AdjustableClock, 'now' | 'behindMs'>;
  readonly store: Pick<Store, 'facts' | 'health' | 'list'>;
  readonly authenticator: Pick<IdentityAuthenticator, 'status'>;
}

const SUSPENSIONS_LOOKED_AT = 1_000;

const suspensionsOf = async (store: StatusDeps['store'], realm: string): Promise<JsonObject> => {
  const { items, next } = await store.list(realm, { kind: 'suspension', limit: SUSPENSIONS_LOOKED_AT });
  return { standing: items.filter(({ value }) => value['lifted'] === undefined).length, atLeast: next !== undefined };
};

const storeOf = async (store: StatusDeps['store'], realm: string): Promise<JsonObject> => {
  const { readable, writable, detail } = await store.health();
  const told = { readable, writable, ...(detail === undefined ? {} : { detail }) };
  const { position, endings } = await store.facts({ realm, keys: [] });
  return { ...told, position: formatPosition(position), endings: endings.sequence };
};

export const createStatus = ({ node, clock, store, authenticator, rollback }: StatusDeps): NodeStatus => async (realm) => {
  const [{ ready, faults }, metrics, stored, suspensions] = await Promise.all([node.health(), node.metrics(), storeOf(store, realm), suspensionsOf(store, realm)]);
  const counts = countsOf(metrics);
  const lately = node.rates.lately(counts);
  return {
    ready, faults,
    now: toRfc3339(clock.now().latest),
    version: node.version,
    startedAt: toRfc3339(node.startedAt),
    workers: { wanted: node.workersWanted(), ready: counts.workersReady, restarts: counts.restarts, quarantined: counts.quarantined },
    bundle: { ...node.bundle(), since: toRfc3339(node.bundleSince()) },
    clock: { trusted: clock.now().trusted, behindMs: clock.behindMs() },
    store: stored,
    decisions: { allow: counts.allow, deny: counts.deny, unrecorded: counts.unrecorded, ...(lately === undefined ? {} : { lately: { ...lately, reasons: [...lately.reasons] } }) },
    issuers: authenticator.status().map(({ issuer, keys }) => ({ issuer, ...(keys === undefined ? {} : { keys }) })),
    rollback, suspensions,
  };
};
