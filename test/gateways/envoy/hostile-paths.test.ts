import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Evaluation } from '../../../src/decision/evaluation.ts';
import { describeWith } from '../../parts.ts';
import { connectionManager, extAuthz, shippedConfiguration, startEnvoy, type EnvoyConfiguration } from '../../support/envoy.ts';
import { hostilePaths } from '../../support/paths.ts';
import { openHttp2 } from '../../support/raw-http2.ts';
import { rawGet, rawRequest } from '../../support/raw-http.ts';
import { startService, type Hit, type Service } from '../../support/service.ts';
import { allowed, startGateway, unlessRefused, type RunningGateway } from './harness.ts';

/** What a service makes of a target: path without query, decoded once, split. */
const asServiceReads = (target: string): string[] => decodeURIComponent(target.split(/[?#]/, 1)[0] as string).slice(1).split('/');

/** How the request that reached the service differs from the one that was judged; `undefined` when it does not. */
const mismatch = (hit: Hit, evaluation: Evaluation | undefined): string | undefined => {
  const http = (evaluation?.input['attributes'] as any)?.request?.http;
  if (evaluation?.question === undefined || http === undefined) return 'nothing was judged';
  if (http.path !== hit.target) return `judged ${http.path}`;
  if (http.method !== hit.method || evaluation.question.action !== hit.method) return `judged ${evaluation.question.action}`;
  const resource = evaluation.question.resource.id;
  return resource === [hit.headers.host, ...asServiceReads(hit.target)].join('/') ? undefined : `judged ${resource}`;
};

/** Turns off whatever Envoy does to a path by itself. */
const untidy = (config: EnvoyConfiguration): void => {
  const manager = connectionManager(config);
  manager.normalize_path = false;
  manager.merge_slashes = false;
  manager.path_with_escaped_slashes_action = 'KEEP_UNCHANGED';
};

describeWith(['envoy'], 'B1: what reaches the service is what was judged', () => {
  let service: Service;
  let gateway: RunningGateway;
  const paths = hostilePaths();

  beforeAll(async () => {
    service = await startService();
    gateway = await startGateway(unlessRefused((evaluation) => allowed(evaluation)));
  });
  afterAll(async () => {
    await gateway?.close();
    await service?.close();
  });

  /** Sends every path; all that Curfew does not refuse by itself is allowed. */
  const sendAll = async (protocol: 'HTTP/1.1' | 'HTTP/2', change: (config: EnvoyConfiguration) => void): Promise<{ reached: number; mismatches: string[] }> => {
    const config = shippedConfiguration({ curfew: gateway.port as number, service: service.port });
    change(config);
    // Only so that the test need not wait a second for each connection that Envoy gives up.
    connectionManager(config).delayed_close_timeout = '0.001s';
    const envoy = await startEnvoy(config);
    const http2 = openHttp2(envoy.port());
    service.hits.length = 0;
    gateway.evaluations.length = 0;
    const mismatches: string[] = [];
    try {
      for (const path of paths) {
        const before = service.hits.length;
        const status = protocol === 'HTTP/2' ? await http2.send({ ':path': path }) : (await rawRequest(envoy.port(), rawGet(path)).catch(() => ({ status: 0 }))).status;
        if (status === 200 && service.hits.length === before) mismatches.push(`${JSON.stringify(path)}: 200 without a hit`);
        for (const hit of service.hits.slice(before)) {
          const id = hit.headers['x-curfew-decision-id'];
          const wrong = mismatch(hit, gateway.evaluations.find((evaluation) => evaluation.id === id));
          if (wrong !== undefined) mismatches.push(`${JSON.stringify(path)} reached as ${hit.target}, ${wrong}`);
        }
      }
    } finally {
      http2.close();
      await envoy.stop();
    }
    return { reached: service.hits.length, mismatches };
  };

  const variants: readonly (readonly [name: string, change: (config: EnvoyConfiguration) => void])[] = [
    ['the shipped configuration', () => undefined],
    ['an Envoy that tidies nothing up', untidy],
    ['one that also merges headers before it asks', (config) => {
      untidy(config);
      delete extAuthz(config).encode_raw_headers;
    }],
  ];
  for (const protocol of ['HTTP/1.1', 'HTTP/2'] as const) {
    test.each(variants)(`over 500 hostile paths in ${protocol}, through %s`, async (_name, change) => {
      expect(paths.length).toBeGreaterThanOrEqual(500);
      const { reached, mismatches } = await sendAll(protocol, change);
      expect(mismatches).toEqual([]);
      // A gateway that refuses everything would prove nothing.
      expect(reached).toBeGreaterThan(10);
    }, 120_000);
  }

  test('the check notices an Envoy that rewrites paths after it has asked', async () => {
    const { mismatches } = await sendAll('HTTP/1.1', (config) => {
      connectionManager(config).route_config.virtual_hosts[0].routes[0].route.prefix_rewrite = '/rewritten/';
    });
    expect(mismatches.length).toBeGreaterThan(10);
  }, 120_000);
});
