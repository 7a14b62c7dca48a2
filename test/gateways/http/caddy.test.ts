/** Behind the shipped Caddyfile. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { repositoryRoot } from '../../parts.ts';
import { describeShipped } from './shipped-gateway.ts';

describeShipped('behind the shipped Caddyfile', {
  part: 'caddy',
  prepare: ({ folder, port, curfew, service }) => {
    const text = readFileSync(join(repositoryRoot, 'deploy/caddy/Caddyfile'), 'utf8')
      .replaceAll(':8000', `:${port}`).replace('127.0.0.1:8181', `127.0.0.1:${curfew}`).replace('127.0.0.1:8080', `127.0.0.1:${service}`);
    // On a busy machine an answer may take longer than a gateway waits in earnest.
    const patient = text.replace('dial_timeout 200ms', 'dial_timeout 20s').replace('response_header_timeout 300ms', 'response_header_timeout 20s');
    expect(patient).not.toMatch(/timeout \d+ms/);
    writeFileSync(join(folder, 'Caddyfile'), patient);
    return { args: ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')], env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder } };
  },
  planted: [
    ['asks about the path as Caddy has decoded it', 'Caddyfile', 'uri /forward-auth', 'uri /forward-auth\n\t\t\theader_up X-Forwarded-Uri {http.request.uri.path}'],
    ['rewrites the path once it has asked', 'Caddyfile', '\t\treverse_proxy ', '\t\turi strip_prefix /public\n\t\treverse_proxy '],
    ['passes on a path as Caddy has decoded it', 'Caddyfile', '\t\treverse_proxy ', '\t\trewrite * {http.request.uri.path}/\n\t\treverse_proxy '],
  ],
  isRefusal: (status) => status !== undefined && status >= 500,
});
