/** `grpc.health.v1.Health`: one answer for the server (empty name) and each of its services. */
import { encoder, messageType } from './proto/schema.ts';
import type { GrpcMethod, StreamAnswers } from './method.ts';
import { GRPC_STATUS, GrpcFault } from './status.ts';

const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;
const WATCHERS_MAX = 1_000;

export interface HealthService {
  readonly methods: readonly (readonly [path: string, method: GrpcMethod])[];
  /** Tells watchers too. */
  setServing(serving: boolean): void;
}

/** `services`: full names, such as `envoy.service.auth.v3.Authorization`. Starts as not serving. */
export const createHealthService = (services: readonly string[]): HealthService => {
  const request = messageType('grpc.health.v1.HealthCheckRequest');
  const response = encoder('grpc.health.v1.HealthCheckResponse');
  const known = new Set(['', ...services]);
  const watchers = new Set<StreamAnswers>();
  let serving = false;

  const current = (): Uint8Array => response({ status: serving ? SERVING : NOT_SERVING });
  const nameIn = (message: Buffer): string => {
    try {
      return (request.decode(message) as unknown as { service: string }).service;
    } catch {
      throw new GrpcFault(GRPC_STATUS.INVALID_ARGUMENT, 'the request could not be read');
    }
  };

  const check: GrpcMethod = {
    kind: 'unary',
    handle: (message) => {
      if (!known.has(nameIn(message))) throw new GrpcFault(GRPC_STATUS.NOT_FOUND, 'no such service');
      return current();
    },
  };
  const watch: GrpcMethod = {
    kind: 'stream',
    open: (_call, answers) => ({
      message: (message) => {
        const name = nameIn(message);
        if (watchers.size >= WATCHERS_MAX) throw new GrpcFault(GRPC_STATUS.RESOURCE_EXHAUSTED, 'too many watchers');
        if (!known.has(name)) return answers.send(response({ status: SERVICE_UNKNOWN }));
        watchers.add(answers);
        answers.send(current());
      },
      ended: () => undefined,
      closed: () => watchers.delete(answers),
    }),
  };

  return {
    methods: [['/grpc.health.v1.Health/Check', check], ['/grpc.health.v1.Health/Watch', watch]],
    setServing: (now) => {
      if (now === serving) return;
      serving = now;
      for (const watcher of watchers) watcher.send(current());
    },
  };
};
