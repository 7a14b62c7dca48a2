/** Settings that a running supervisor can't change, because they are the ground it stands on. */
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/schema.ts';

export const needsRestart = (before: Config, after: Config): readonly string[] => {
  const fixed: readonly (readonly [name: string, of: (config: Config) => unknown])[] = [
    ['store', ({ store }) => store],
    ['record', ({ record }) => record],
    ['admin.host', ({ admin }) => admin.host],
    ['admin.port', ({ admin }) => admin.port],
    ['admin.tls, whether there is any', ({ admin }) => admin.tls === undefined],
    ['admin.tls.workloadApi', ({ admin: { tls } , identity }) => (tls?.workloadApi === true ? identity.workloadApi : undefined)],
    ['http.host', ({ http }) => http.host],
    ['http.port', ({ http }) => http.port],
    ['grpc.host', ({ grpc }) => grpc.host],
    ['grpc.port', ({ grpc }) => grpc.port],
    ['signals.host', ({ signals }) => signals.host],
    ['signals.port', ({ signals }) => signals.port],
    ['signals.tls', ({ signals }) => signals.tls],
    ['limits.maxClockStepMs', ({ limits }) => limits.maxClockStepMs],
    ['log', ({ log }) => log],
  ];
  return fixed.filter(([, of]) => !isDeepStrictEqual(of(before), of(after))).map(([name]) => name);
};
