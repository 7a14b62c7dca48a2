/** Picks implementations, as `compose-worker.ts` does for what only workers need; nothing else does. Gives a worker what it decides with, and the supervisor what it administers with. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { passes } from './alerts/channel.ts';
import { keepLimits, type KeptLimits } from './config/kept-limits.ts';
import { longestLimits } from './config/longest-limits.ts';
import type { Config } from './config/schema.ts';
import { createDecider, type Decider, type FactsStore } from './decision/decide.ts';
import { together } from './decision/loop-turns.ts';
import type { Clock, DecisionLimits, DecisionSink, Policy, Quarantine } from './decision/ports.ts';
import { recorded } from './decision/recorded.ts';
import { alertSeverity } from './domain/alert.ts';
import type { DurationMs, Instant } from './domain/instant.ts';
import { createAuthenticator, type IdentityAuthenticator } from './identity/authenticator.ts';
import { developmentIssuer, readDevelopmentKey } from './identity/development.ts';
import type { OnIdentityEvent } from './identity/events.ts';
import type { Deciders } from './lifecycle/deciders.ts';
import type { LifecycleDeps } from './lifecycle/lifecycle.ts';
import type { LoadPolicyOptions } from './policy/load-policy.ts';
import { createNoteRefusal } from './lifecycle/note-refusals.ts';
import { createCheckReference } from './signals/check-reference.ts';
import type { Longest } from './store/longest.ts';
import type { NodeStore } from './store/port.ts';
import type { Mode } from './supervisor/messages.ts';
import type { Log } from './telemetry/log.ts';
import { openTracer } from './telemetry/traces/open-tracer.ts';
import type { Tracer } from './telemetry/traces/tracer.ts';
import { authorityClock } from './time/authority-clock.ts';
import { createClock, type AdjustableClock } from './time/clock.ts';

export interface CoreOptions {
  readonly config: Config;
  readonly mode: Mode;
  readonly log: Log;
  /** Absent: what the store remembers. */
  readonly clockMark?: Instant;
  /** Development: where the key of the identities lies. */
  readonly developmentDir?: string | undefined;
  /** Of the program, for traces. */
  readonly version?: string;
  /** What was allowed by earlier configurations of this node. */
  readonly longest?: Longest | undefined;
}

/** What every process of one node has. */
export interface Core {
  readonly config: Config;
  readonly mode: Mode;
  /** Of all its configurations, one object for all of them. Absent: nothing but `config` has counted. */
  readonly longest?: Longest;
  /** What keeps them across restarts. Only in the process that workers are started by, and where no store knows. */
  readonly keptLimits?: KeptLimits | undefined;
  readonly clock: AdjustableClock;
  readonly store: NodeStore;
  /** Of the same store; may answer from memory. */
  readonly decidesBy: FactsStore;
  readonly authenticator: IdentityAuthenticator;
  /** Where all processes that decide by this store can be asked. */
  readonly deciders?: Deciders | undefined;
  /** Absent where none are configured. */
  readonly traces?: Tracer | undefined;
  close(): Promise<void>;
}

export const identityLog = (log: Log): OnIdentityEvent => ({ kind, issuer, detail }) => log[kind === 'keys.loaded' ? 'debug' : 'warn']('identity keys', { kind, issuer, detail });

const openAuthenticator = async ({ config, mode, log, developmentDir }: CoreOptions, clock: Clock): Promise<IdentityAuthenticator> => {
  // Development identities exist here and nowhere else.
  const issuers = mode === 'development' && developmentDir !== undefined
    ? [...config.identity.issuers, developmentIssuer(readDevelopmentKey(developmentDir))]
    : config.identity.issuers;
  const authenticator = createAuthenticator({ ...config.identity, issuers }, {
    clock,
    onEvent: identityLog(log),
  });
  await authenticator.ready();
  return authenticator;
};

/** Each brings its own library, which is loaded where it is used. */
const openStore = async ({ config: { store, realms, limits }, mode, clockMark }: CoreOptions, clock: Clock): Promise<NodeStore> => {
  if (store.kind === 'embedded') {
    const { path, mapSizeBytes, memoBytesMax } = store;
    return (await import('./store/embedded/open.ts')).openEmbeddedStore({ path, mapSizeBytes, memoBytesMax, mode, clock, realms });
  }
  const secrets = { readFile: (path: string) => readFileSync(path, 'utf8'), env: (name: string) => process.env[name] };
  return (await import('./store/redis/open.ts')).openRedisStore({
    config: store.redis, mode, clock, secrets, realms,
    decides: clockMark !== undefined,
    ...(clockMark === undefined ? {} : { limits: longestLimits(limits) }),
    // The supervisor, which is started without a mark, keeps it.
    memory: { path: join(store.path, 'redis-seen.json'), keeper: clockMark === undefined, realms },
  });
};

const openTraces = ({ config: { traces }, log, version = 'unknown' }: CoreOptions, clock: Clock): Tracer | undefined =>
  traces && openTracer(traces, { clock, version, onError: (detail) => log.warn('traces are not sent now', { detail }) });

export const openCore = async (options: CoreOptions): Promise<Core> => {
  const { config, mode, clockMark } = options;
  let own = createClock({ maxClockStepMs: config.limits.maxClockStepMs });
  const current: Clock = { now: () => own.now(), monotonicMs: () => own.monotonicMs() };
  const store = await openStore(options, current);
  const mark = clockMark ?? (await store.readClockMark());
  own = createClock({ maxClockStepMs: config.limits.maxClockStepMs, ...(mark === undefined ? {} : { mark }) });
  const { authority } = store;
  const clock = authority === undefined ? own : authorityClock(own, authority, config.store.redis.maxClockSkewMs);
  const authenticator = await openAuthenticator(options, clock);
  const remembering = store.changes === undefined ? store : (await import('./store/leased/remembering.ts')).openRememberingStore(store, { clock, bytesMax: config.store.redis.memoBytesMax });
  const traces = openTraces(options, clock);
  // Before any worker decides by them.
  const keptLimits = clockMark === undefined && config.store.kind === 'embedded' ? keepLimits(join(config.store.path, 'limits.json'), config.limits) : undefined;
  return {
    config, mode, clock, store, authenticator, traces, keptLimits,
    longest: keptLimits?.longest ?? longestLimits(config.limits, options.longest),
    decidesBy: remembering,
    close: async () => {
      keptLimits?.close();
      await traces?.close();
      authenticator.close();
      await remembering.close();
    },
  };
};

/** The same store and clock under another configuration. `close` the old authenticator when the new core is in use. */
export const reconfigure = async (core: Core, options: CoreOptions): Promise<Core> => {
  const authenticator = await openAuthenticator(options, core.clock);
  const traces = openTraces(options, core.clock);
  // Also if it is refused later: some worker may have decided under it.
  if (core.keptLimits !== undefined) core.keptLimits.note(options.config.limits);
  else if (core.longest !== undefined) Object.assign(core.longest, longestLimits(options.config.limits, core.longest));
  return {
    ...core, config: options.config, authenticator, traces,
    close: async () => {
      core.keptLimits?.close();
      await traces?.close();
      authenticator.close();
      await core.store.close();
    },
  };
};

/** Of requests that name none. */
export const defaultRealm = ({ realms }: Config): string => (realms.includes('default') ? 'default' : (realms[0] ?? 'default'));

/** Rules that the bundle must have. */
export const entrypointsOf = ({ policy, grpc }: Config): readonly string[] => [...new Set([policy.entrypoint, ...grpc.policies])];

export const policyOptions = (config: Config): LoadPolicyOptions => ({
  entrypoints: entrypointsOf(config),
  opaBuiltins: true,
  engine: { memoryBytesMax: config.policy.memoryMaxBytes, inputBytesMax: config.policy.inputMaxBytes },
});

const decisionLimits = ({ limits }: Config): DecisionLimits => ({
  decisionDeadlineMs: limits.decisionDeadlineMs as DurationMs,
  maxFactsAgeMs: limits.maxFactsAgeMs as DurationMs,
  credentialSkewMs: limits.credentialSkewMs,
  pepCacheMaxMs: limits.pepCacheMaxMs,
  policyMaySet: limits.policyMaySet,
});

export const composeDecider = (core: Core, parts: { readonly policy: () => Policy | undefined; readonly sink: DecisionSink; readonly quarantine: Quarantine }): Decider =>
  recorded(parts.sink, core.clock, createDecider({
    ...parts,
    clock: core.clock,
    store: core.decidesBy,
    authenticator: core.authenticator,
    entrypoint: core.config.policy.entrypoint,
    limits: decisionLimits(core.config),
    realms: new Set(core.config.realms),
    standing: core.config.standing,
    watch: core.traces?.decision,
    together,
  }));

/** Where it is said who there is, names that the configuration uses are known too. */
const knownOwners = (config: Config, mode: Mode): NonNullable<LifecycleDeps['knownOwners']> => {
  const { lifecycle: { directory }, signals, admin: { operators } } = config;
  const named = (realm: string): ReadonlySet<string> =>
    new Set([...Object.values(operators.persons), ...Object.values(operators.groups).flatMap(({ team, realms }) => (team === undefined || realms?.includes(realm) === false ? [] : [team]))]);
  return (realm) => (directory.knownOwners ?? (mode !== 'development' && (directory.file !== undefined || signals.scim.some((feed) => (feed.realm ?? defaultRealm(config)) === realm))) ? named(realm) : undefined);
};

export const lifecycleDeps = ({ store, clock, config, mode, traces, deciders, longest = longestLimits(config.limits) }: Core, policy: LifecycleDeps['policy']): LifecycleDeps => ({
  store, clock, policy, deciders, watch: traces?.command,
  config: config.lifecycle,
  development: mode === 'development',
  get enforcementMs() { return longest.factsAgeMs + longest.pepCacheMs; },
  get pepCacheMs() { return longest.pepCacheMs; },
  knownOwners: knownOwners(config, mode),
  peps: new Set(config.peps.map(({ id }) => id)),
  noteRefusal: createNoteRefusal({ store, clock }),
  taskSources: new Set([...config.signals.hooks, ...config.signals.pollers].map(({ id }) => id)),
  checkReference: createCheckReference(config.signals.pollers, { secrets: { env: (name) => process.env[name] }, timeoutMs: config.signals.timeoutMs, signal: AbortSignal.any([]) }, config.signals.strictReferences),
  emergencyChannels: config.alerts.channels.filter((channel) => passes(channel)({ type: 'break-glass.used', severity: alertSeverity('break-glass.used') })).length,
});

