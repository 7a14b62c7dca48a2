/** Picks what only a worker needs: its gateways, and the engine that its policy runs in. The supervisor does not load it. */
import { readFileSync } from 'node:fs';
import type { Config } from './config/schema.ts';
import type { Decider } from './decision/decide.ts';
import { createAdmission, type ShedCause } from './gateways/admission.ts';
import { createAuthzen } from './gateways/authzen/gateway.ts';
import { createEnvoyGateway } from './gateways/envoy/gateway.ts';
import type { GrpcBodies } from './gateways/envoy/grpc-body.ts';
import { startEnvoyGateway, type EnvoyListeners } from './gateways/envoy/start.ts';
import type { HttpApi } from './gateways/http/api.ts';
import { createEmission } from './gateways/http/emission.ts';
import { createHttpGateway, type RunningHttpGateway } from './gateways/http/gateway.ts';
import type { ListenersTls } from './supervisor/listener-tls.ts';
import { httpRules } from './gateways/http-question.ts';
import { createKubernetes } from './gateways/kubernetes/gateway.ts';
import { createOpa } from './gateways/opa/gateway.ts';
import type { TraceDeps } from './gateways/opa/trace.ts';
import { servesNode } from './gateways/opa/node.ts';
import { createPepAuthenticator, type PepAuthenticator } from './gateways/pep.ts';
import { OWN_REQUESTS_PATH, type SelfServiceDeps } from './gateways/self-service/routes.ts';
import { createAdmit } from './lifecycle/admit.ts';
import { createDelegation } from './lifecycle/delegation.ts';
import { createInspect } from './lifecycle/inspect.ts';
import { scopesOf } from './lifecycle/scopes-of.ts';
import { createLifecycle, type LifecycleDeps } from './lifecycle/lifecycle.ts';
import { createRequestable } from './lifecycle/requestable.ts';
import { createRequests } from './lifecycle/requests.ts';
import { createSelfService } from './lifecycle/self-service.ts';
import { loadPolicy, type LoadedPolicy } from './policy/load-policy.ts';
import { defaultRealm, lifecycleDeps, policyOptions, type Core } from './compose.ts';

/** The realm in which workloads help themselves. */
const selfRealm = (config: Config): string => config.http.realm ?? defaultRealm(config);

const composeSelfService = (core: Core, policy: LifecycleDeps['policy']): SelfServiceDeps => {
  const { store, clock, authenticator, config, mode } = core;
  const deps = lifecycleDeps(core, policy);
  return {
    service: createSelfService(createLifecycle(deps), createInspect({ store, clock, policy }), { requests: createRequests(deps), delegation: createDelegation(deps) }),
    admit: createAdmit({ store, credentialSkewMs: config.limits.credentialSkewMs }),
    authenticator, clock,
    realm: selfRealm(config),
    fineReasons: mode === 'development',
  };
};

export interface Gateways {
  readonly http: RunningHttpGateway;
  readonly grpc: EnvoyListeners;
  /** Reads certificates and keys again, for new connections. Throws, and changes nothing more, when they can't be read. `cut` ends the open ones. */
  reloadTls(cut?: boolean): void;
  close(): Promise<void>;
}

/** Loads what reads them only where they are configured. */
const readDescriptorSet = async ({ bodies: { descriptorSet } }: Config['grpc']): Promise<GrpcBodies | undefined> =>
  descriptorSet === undefined ? undefined : (await import('./gateways/envoy/grpc-body.ts')).grpcBodies(readFileSync(descriptorSet));

export interface GatewayParts extends Decider {
  readonly ready: () => { readonly ready: boolean; readonly detail?: string };
  readonly policy: () => LoadedPolicy | undefined;
  readonly tls: ListenersTls;
  readonly version: string;
  /** Of the whole node, as Prometheus reads it; rejects when it can't be had. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  /** OPA's trace of a rule, for an operator. */
  readonly trace: TraceDeps['trace'];
  /** A Kubernetes review was left to the other authorizers. */
  readonly onNoOpinion: () => void;
  /** A question was refused for want of room or time. */
  readonly onShed: (protocol: string, cause: ShedCause) => void;
  /** The answer to this decision could not be sent. */
  readonly notEmitted: (decision: string) => void;
}

/** Protocols that ask in JSON on the HTTP listener. */
const composeApis = ({ config, clock, store, mode }: Core, { decide, explain, policy, ready, version, metrics, trace, onNoOpinion, notEmitted }: GatewayParts, peps: PepAuthenticator): readonly HttpApi[] => {
  const common = { decide, notEmitted, emitted: createEmission(notEmitted), peps, rulesFor: httpRules(config.routes), realm: config.http.realm, fineReasons: mode === 'development', monotonicMs: clock.monotonicMs };
  const search = { data: () => policy()?.data, scopesOf: scopesOf(store, clock) };
  const offer = createRequestable({ policy, realm: selfRealm(config), path: OWN_REQUESTS_PATH, people: config.authzen.accessRequests.people });
  const node = { version, ready, metrics, bundle: policy, serves: servesNode };
  return [
    ...(config.authzen.enabled ? [createAuthzen({ ...common, explain, config: config.authzen, search, ...(config.authzen.accessRequests.enabled ? { accessRequests: { path: OWN_REQUESTS_PATH, offer } } : {}) })] : []),
    ...(config.kubernetes.enabled ? [createKubernetes({ ...common, config: config.kubernetes, onNoOpinion })] : []),
    ...(config.opa.enabled ? [createOpa({ ...common, config: config.opa, node, tracing: { explain, trace } })] : []),
  ];
};

/** Listens; rejects, with nothing left open, when an address can't be had. */
export const startGateways = async (core: Core, parts: GatewayParts): Promise<Gateways> => {
  const { config, mode } = core;
  const { decide, ready, policy, tls } = parts;
  const peps = createPepAuthenticator(config.peps, { readFile: (path) => readFileSync(path, 'utf8'), env: (name) => process.env[name] });
  const fineReasons = mode === 'development';
  const selfService = composeSelfService(core, policy);
  const admission = createAdmission({ underWayMax: config.limits.questionsMax, turnMsMax: config.limits.decisionDeadlineMs, monotonicMs: core.clock.monotonicMs, onShed: parts.onShed });
  const counted: Decider['decide'] = (evaluation, write) => admission.during(decide(evaluation, write));
  const httpPeps = tls.guarded(peps, config.http.tls);
  const http = await createHttpGateway({ decide, admission, emitted: createEmission(parts.notEmitted), ready, selfService, config: config.http, peps: httpPeps, tls: tls.read, routes: config.routes, fineReasons, apis: composeApis(core, { ...parts, decide: counted }, httpPeps) }).listen();
  try {
    const gateway = createEnvoyGateway({ decide, admission, notEmitted: parts.notEmitted, config: config.grpc, pep: tls.guarded(peps, config.grpc.tls), rulesFor: httpRules(config.routes), fineReasons, grpcBodies: await readDescriptorSet(config.grpc), patience: { monotonicMs: core.clock.monotonicMs, deadlineMs: config.limits.decisionDeadlineMs } });
    const grpc = await startEnvoyGateway({ config: config.grpc, gateway, tls: config.grpc.tls && tls.read(config.grpc.tls) });
    return {
      http, grpc,
      reloadTls: (cut) => {
        http.reloadTls(cut);
        if (config.grpc.tls !== undefined) grpc.reloadTls(tls.read(config.grpc.tls), cut);
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
