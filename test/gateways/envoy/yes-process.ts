/** The Envoy gateway as a process of its own that allows everything. Argument: the port to listen on. Prints the port. */
import type { Instant } from '../../../src/domain/instant.ts';
import { envoyGatewayConfig } from '../../../src/gateways/envoy/config.ts';
import { createEnvoyGateway } from '../../../src/gateways/envoy/gateway.ts';
import { startEnvoyGateway } from '../../../src/gateways/envoy/start.ts';

const config = envoyGatewayConfig.parse({ port: Number(process.argv[2]) });
const shaping = { headers: [], responseHeaders: [], removeHeaders: [], setQuery: [], removeQuery: [], obligations: [] };
const gateway = createEnvoyGateway({
  decide: ({ id, realm }) => {
    const decidedAt = Date.now() as Instant;
    return Promise.resolve({ allow: true, id, realm, decidedAt, shaping, policyRevision: 'r', validUntil: (decidedAt + 60_000) as Instant, cacheUntil: decidedAt });
  },
  config,
  pep: () => ({ ok: true, pep: { id: undefined, obligations: [] }, config: undefined }),
  rulesFor: () => ({ routes: [], hosts: 'any' }),
  fineReasons: false,
});
const listeners = await startEnvoyGateway({ config, gateway });
listeners.setServing(true);
process.stdout.write(`${listeners.port}\n`);
