/** The only place that picks implementations. Gives a worker what it decides with, and the supervisor what it administers with. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { passes } from './alerts/channel.ts';
import { openDecisionSink } from './audit/open-sink.ts';
import type { LineSink } from './audit/line-sink.ts';
import type { Config } from './config/schema.ts';
import { createDecider, type Decider, type FactsStore } from './decision/decide.ts';
import type { Clock, DecisionLimits, DecisionSink, Policy, Quarantine } from './decision/ports.ts';
import { alertSeverity } from './domain/alert.ts';
import type { DurationMs, Instant } from './domain/instant.ts';
import { createAuthzen } from './gateways/authzen/gateway.ts';
import { createEnvoyGateway } from './gateways/envoy/gateway.ts';
import type { GrpcBodies } from './gateways/envoy/grpc-body.ts';
import { startEnvoyGateway, type EnvoyListeners } from './gateways/envoy/start.ts';
import type { HttpApi } from './gateways/http/api.ts';
import { createHttpGateway, type RunningHttpGateway } from './gateways/http/gateway.ts';
import type { GrpcTls } from './grpc/server.ts';
import { httpRules } from './gateways/http-question.ts';
import { createKubernetes } from './gateways/kubernetes/gateway.ts';
import { createOpa } from './gateways/opa/gateway.ts';
import { servesNode } from './gateways/opa/node.ts';
import { createPepAuthenticator, type PepAuthenticator } from './gateways/pep.ts';
import type { SelfServiceDeps } from './gateways/self-service/routes.ts';
import { createAuthenticator, type IdentityAuthenticator } from './identity/authenticator.ts';
import { developmentIssuer, readDevelopmentKey } from './identity/development.ts';
import { createAdmit } from './lifecycle/admit.ts';
import { createDelegation } from './lifecycle/delegation.ts';
import { createInspect } from './lifecycle/inspect.ts';
import { scopesOf } from './lifecycle/scopes-of.ts';
import { createLifecycle, type LifecycleDeps } from './lifecycle/lifecycle.ts';
import { createNoteRefusal } from './lifecycle/note-refusals.ts';
import { createRequests } from './lifecycle/requests.ts';
import { createSelfService } from './lifecycle/self-service.ts';
import { loadPolicy, type LoadedPolicy, type LoadPolicyOptions } from './policy/load-policy.ts';
import { createCheckReference } from './signals/check-reference.ts';
import type { NodeStore } from './store/port.ts';
import type { Mode } from './supervisor/messages.ts';
import { errorText, type Log } from './telemetry/log.ts';
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
}

/** What every process of one node has. */
export interface Core {
  readonly config: Config;
  readonly mode: Mode;
  readonly clock: AdjustableClock;
  readonly store: NodeStore;
  /** Of the same store; may answer from memory. */
  readonly decidesBy: FactsStore;
  readonly authenticator: IdentityAuthenticator;
  close(): Promise<void>;
}

const openAuthenticator = async ({ config, mode, log, developmentDir }: CoreOptions, clock: Clock): Promise<IdentityAuthenticator> => {
  // Development identities exist here and nowhere else.
  const issuers = mode === 'development' && developmentDir !== undefined
    ? [...config.identity.issuers, developmentIssuer(readDevelopmentKey(developmentDir))]
    : config.identity.issuers;
  const authenticator = createAuthenticator({ ...config.identity, issuers }, {
    clock,
    onEvent: ({ kind, issuer, detail }) => log[kind === 'keys.loaded' ? 'debug' : 'warn']('identity keys', { kind, issuer, detail }),
  });
  await authenticator.ready();
  return authenticator;
};

/** Each brings its own library, which is loaded where it is used. */
const openStore = async ({ config: { store, realms }, mode, clockMark }: CoreOptions, clock: Clock): Promise<NodeStore> => {
  if (store.kind === 'embedded') {
    const { path, mapSizeBytes, memoBytesMax } = store;
    return (await import('./store/embedded/open.ts')).openEmbeddedStore({ path, mapSizeBytes, memoBytesMax, mode, clock, realms });
  }
  const secrets = { readFile: (path: string) => readFileSync(path, 'utf8'), env: (name: string) => process.env[name] };
  return (await import('./store/redis/open.ts')).openRedisStore({
    config: store.redis, mode, clock, secrets, realms,
    decides: clockMark !== undefined,
    // The supervisor, which is started without a mark, keeps it.
    memory: { path: join(store.path, 'redis-seen.json'), keeper: clockMark === undefined, realms },
  });
};

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
  const leased = store.leases === undefined ? undefined : (await import('./store/leased/open.ts')).openLeasedStore(store, { clock, bytesMax: config.store.redis.memoBytesMax });
  return {
    config, mode, clock, store, authenticator,
    decidesBy: leased ?? store,
    close: async () => {
      authenticator.close();
      await (leased ?? store).close();
    },
  };
};

/** The same store and clock under another configuration. `close` the old authenticator when the new core is in use. */
export const reconfigure = async (core: Core, options: CoreOptions): Promise<Core> => {
  const authenticator = await openAuthenticator(options, core.clock);
  return {
    ...core, config: options.config, authenticator,
    close: async () => {
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
  createDecider({
    ...parts,
    clock: core.clock,
    store: core.decidesBy,
    authenticator: core.authenticator,
    entrypoint: core.config.policy.entrypoint,
    limits: decisionLimits(core.config),
    realms: new Set(core.config.realms),
    standing: core.config.standing,
  });

export const lifecycleDeps = ({ store, clock, config, mode }: Core, policy: LifecycleDeps['policy']): LifecycleDeps => ({
  store, clock, policy,
  config: config.lifecycle,
  development: mode === 'development',
  enforcementMs: config.limits.maxFactsAgeMs + config.limits.pepCacheMaxMs,
  pepCacheMs: config.limits.pepCacheMaxMs,
  peps: new Set(config.peps.map(({ id }) => id)),
  noteRefusal: createNoteRefusal({ store, clock }),
  taskSources: new Set([...config.signals.hooks, ...config.signals.pollers].map(({ id }) => id)),
  checkReference: createCheckReference(config.signals.pollers, { secrets: { env: (name) => process.env[name] }, timeoutMs: config.signals.timeoutMs, signal: AbortSignal.any([]) }),
  emergencyChannels: config.alerts.channels.filter((channel) => passes(channel)({ type: 'break-glass.used', severity: alertSeverity('break-glass.used') })).length,
});

const composeSelfService = (core: Core, policy: LifecycleDeps['policy']): SelfServiceDeps => {
  const { store, clock, authenticator, config, mode } = core;
  const deps = lifecycleDeps(core, policy);
  return {
    service: createSelfService(createLifecycle(deps), createInspect({ store, clock, policy }), { requests: createRequests(deps), delegation: createDelegation(deps) }),
    admit: createAdmit({ store, credentialSkewMs: config.limits.credentialSkewMs }),
    authenticator, clock,
    realm: config.http.realm ?? defaultRealm(config),
    fineReasons: mode === 'development',
  };
};

export const openLog = (config: Config, log: Log): LineSink =>
  openDecisionSink(config.decisionLog, (error) => log.error('the decision log can not be written', { detail: errorText(error) }));

export interface Gateways {
  readonly http: RunningHttpGateway;
  readonly grpc: EnvoyListeners;
  /** Reads certificates and keys again, for new connections. Throws, and changes nothing more, when they can't be read. */
  reloadTls(): void;
  close(): Promise<void>;
}

const readGrpcTls = ({ tls }: Config['grpc']): GrpcTls | undefined =>
  tls && { cert: readFileSync(tls.cert), key: readFileSync(tls.key), ...(tls.clientCa === undefined ? {} : { clientCa: readFileSync(tls.clientCa) }) };

/** Loads what reads them only where they are configured. */
const readDescriptorSet = async ({ bodies: { descriptorSet } }: Config['grpc']): Promise<GrpcBodies | undefined> =>
  descriptorSet === undefined ? undefined : (await import('./gateways/envoy/grpc-body.ts')).grpcBodies(readFileSync(descriptorSet));

export interface GatewayParts extends Decider {
  readonly ready: () => { readonly ready: boolean; readonly detail?: string };
  readonly policy: () => LoadedPolicy | undefined;
  readonly version: string;
  /** Of the whole node, as Prometheus reads it; rejects when it can't be had. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  /** A Kubernetes review was left to the other authorizers. */
  readonly onNoOpinion: () => void;
}

/** Protocols that ask in JSON on the HTTP listener. */
const composeApis = ({ config, clock, store, mode }: Core, { decide, explain, policy, ready, version, metrics, onNoOpinion }: GatewayParts, peps: PepAuthenticator): readonly HttpApi[] => {
  const common = { decide, peps, rulesFor: httpRules(config.routes), realm: config.http.realm, fineReasons: mode === 'development', monotonicMs: clock.monotonicMs };
  const search = { data: () => policy()?.data, scopesOf: scopesOf(store, clock) };
  const node = { version, ready, metrics, bundle: policy, serves: servesNode };
  return [
    ...(config.authzen.enabled ? [createAuthzen({ ...common, explain, config: config.authzen, search })] : []),
    ...(config.kubernetes.enabled ? [createKubernetes({ ...common, config: config.kubernetes, onNoOpinion })] : []),
    ...(config.opa.enabled ? [createOpa({ ...common, config: config.opa, node })] : []),
  ];
};

/** Listens; rejects, with nothing left open, when an address can't be had. */
export const startGateways = async (core: Core, parts: GatewayParts): Promise<Gateways> => {
  const { config, mode } = core;
  const { decide, ready, policy } = parts;
  const peps = createPepAuthenticator(config.peps, { readFile: (path) => readFileSync(path, 'utf8'), env: (name) => process.env[name] });
  const fineReasons = mode === 'development';
  const selfService = composeSelfService(core, policy);
  const http = await createHttpGateway({ decide, ready, selfService, config: config.http, peps, routes: config.routes, fineReasons, apis: composeApis(core, parts, peps) }).listen();
  try {
    const gateway = createEnvoyGateway({ decide, config: config.grpc, pep: peps, rulesFor: httpRules(config.routes), fineReasons, grpcBodies: await readDescriptorSet(config.grpc), patience: { monotonicMs: core.clock.monotonicMs, deadlineMs: config.limits.decisionDeadlineMs } });
    const grpc = await startEnvoyGateway({ config: config.grpc, gateway, tls: readGrpcTls(config.grpc) });
    return {
      http, grpc,
      reloadTls: () => {
        http.reloadTls();
        const tls = readGrpcTls(config.grpc);
        if (tls !== undefined) grpc.reloadTls(tls);
      },
      close: async () => void (await Promise.all([http.close(), grpc.close()])),
    };
  } catch (error) {
    await http.close();
    throw error;
  }
};

export const activatePolicy = ({ config, clock }: Pick<Core, 'config' | 'clock'>, bundle: Uint8Array): Promise<LoadedPolicy> =>
  loadPolicy(bundle, { ...policyOptions(config), monotonicMs: clock.monotonicMs });
