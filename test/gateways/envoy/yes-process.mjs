// The Envoy gateway as a process of its own that allows everything: node yes-process.mjs <dist folder> <port>. Prints its port.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [dist, port] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(join(dist, file)).href);
const { createEnvoyGateway } = await load('gateways/envoy/gateway.js');
const { envoyGatewayConfig } = await load('gateways/envoy/config.js');
const { startEnvoyGateway } = await load('gateways/envoy/start.js');

const config = envoyGatewayConfig.parse({ port: Number(port) });
const shaping = { headers: [], responseHeaders: [], removeHeaders: [], setQuery: [], removeQuery: [], obligations: [] };
const gateway = createEnvoyGateway({
  decide: async ({ id, realm }) => {
    const decidedAt = Date.now();
    return { allow: true, id, realm, decidedAt, shaping, policyRevision: 'r', validUntil: decidedAt + 60_000, cacheUntil: decidedAt };
  },
  config,
  pep: () => ({ ok: true, pep: { id: undefined, obligations: [] }, config: undefined }),
  rulesFor: () => ({ routes: [], hosts: 'any' }),
  fineReasons: false,
});
const listeners = await startEnvoyGateway({ config, gateway });
listeners.setServing(true);
process.stdout.write(`${listeners.port}\n`);
