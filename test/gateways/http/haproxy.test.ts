/** Behind the shipped HAProxy configuration and its Lua. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { repositoryRoot } from '../../parts.ts';
import { describeShipped } from './shipped-gateway.ts';

describeShipped('behind the shipped HAProxy configuration', {
  part: 'haproxy',
  prepare: ({ folder, port, curfew, service }) => {
    const shipped = (name: string): string => readFileSync(join(repositoryRoot, 'deploy/haproxy', name), 'utf8');
    const lua = shipped('curfew.lua');
    expect(lua).toContain('PATIENCE_MS = 300');
    writeFileSync(join(folder, 'curfew.lua'), lua.replace('PATIENCE_MS = 300', 'PATIENCE_MS = 10000'));
    const text = shipped('haproxy.cfg').replace('127.0.0.1:8000', `127.0.0.1:${port}`).replace('127.0.0.1:8181', `127.0.0.1:${curfew}`).replace('127.0.0.1:8080', `127.0.0.1:${service}`);
    writeFileSync(join(folder, 'haproxy.cfg'), text);
    return { args: ['-db', '-f', join(folder, 'haproxy.cfg')] };
  },
  planted: [
    ['asks about the path as HAProxy has decoded it', 'curfew.lua', '{ txn.f:pathq() }', '{ txn.c:url_dec(txn.f:pathq()) }'],
    ['asks about the path as it has tidied it up', 'curfew.lua', '{ txn.f:pathq() }', '{ (txn.f:pathq():gsub("//+", "/"):gsub("/%.%.?/", "/")) }'],
    ['rewrites the path once it has asked', 'haproxy.cfg', '    default_backend service', '    http-request replace-path /public/(.*) /\\1\n    default_backend service'],
  ],
  isRefusal: (status) => status === 403,
});
