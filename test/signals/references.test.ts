/** References are what their source says of them, when access is asked for and again when it is approved; refusals are on record. A real small ticket system over HTTP. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Executed } from '../../src/lifecycle/execute.ts';
import type { Call } from '../../src/lifecycle/lifecycle.ts';
import { createCheckReference } from '../../src/signals/check-reference.ts';
import { signalsConfig } from '../../src/signals/config.ts';
import { createWorld, type World } from '../lifecycle/world.ts';

const WORKLOAD = 'spiffe://dev.local/db/migrate';
const person = (name: string, ...names: readonly string[]): Call => ({ realm: 'default', actor: { kind: 'operator', id: `user:${name}`, names: [`user:${name}`, ...names] } });
const [CONFIGURER, DATA, DBA, SRE] = [person('carl'), person('dora', 'team:data'), person('dan', 'team:dba'), person('sue', 'team:sre')];
const said = (executed: Executed): string => (executed.ok ? 'ok' : `${executed.failure.code}: ${executed.failure.detail}`);

let tickets: Record<string, string | number>;
let server: Server;
let world: World;
const asked: string[] = [];

const open = async (strict = false): Promise<void> => {
  tickets = { 'CHG-1': 'open', 'CHG-2': 'closed', 'CHG-5': 500 };
  asked.length = 0;
  server = createServer((request, response) => {
    const id = decodeURIComponent((request.url ?? '').slice('/t/'.length));
    asked.push(id);
    const state = tickets[id] ?? 404;
    if (typeof state === 'number') response.writeHead(state).end('{}');
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ state }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { pollers } = signalsConfig.parse({ pollers: [{ kind: 'ticket', id: 'itsm', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/t/{id}`, insecureLoopback: true, owner: 'team:sre', references: 'CHG-' }] });
  world = await createWorld({
    development: false, noted: true,
    checkReference: createCheckReference(pollers, { secrets: { env: () => undefined }, timeoutMs: 5_000, signal: AbortSignal.any([]) }, strict),
  });
  await world.directory.setWorkload(CONFIGURER, { id: WORKLOAD, kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform', tier: 'sensitive', aliases: [], active: true });
};
beforeEach(() => open());
afterEach(async () => {
  await world.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const ask = (reference: string | undefined) =>
  world.requests.create(DATA, { entitlement: 'db-migration', workload: WORKLOAD, ttlMs: 60_000, justification: 'adds a column', reference }, 'request');
const refusals = async () => (await world.store.events('default', { after: 0, limit: 1_000 })).filter(({ type }) => type === 'command.refused').map(({ data }) => [data['command'], data['by'], data['code']]);

describe('demand(22): a reference', () => {
  test.each([['closed', 'CHG-2', 'invalid'], ['unknown', 'CHG-3', 'invalid'], ['none', undefined, 'invalid'], ['one whose source fails', 'CHG-5', 'unavailable'], ['one that would lead elsewhere', 'CHG-../../admin', 'invalid']])('%s is refused', async (_name, reference, code) => {
    expect(said(await ask(reference))).toContain(code);
    expect(await refusals()).toEqual(code === 'invalid' ? [['request.create', 'user:dora', 'invalid']] : []);
    expect((await world.store.list('default', { kind: 'request', limit: 10 })).items).toEqual([]);
    expect(asked.every((id) => id.startsWith('CHG-'))).toBe(true);
    expect(said(await ask('CHG-1')), 'the control').toBe('ok');
  });

  test('that was closed while the request waited gives nobody access, also not with the last approval', async () => {
    const executed = await ask('CHG-1');
    if (!executed.ok) throw new Error(said(executed));
    const { id, digest } = executed.reply['request'] as { id: string; digest: string };
    expect(said(await world.requests.approve(DBA, id, digest))).toBe('ok');
    tickets['CHG-1'] = 'closed';
    expect(said(await world.requests.approve(SRE, id, digest))).toContain('/reference is closed at its source');
    expect((await world.store.list('default', { kind: 'grant', limit: 10 })).items).toEqual([]);
    expect(await refusals()).toEqual([['request.approve', 'user:sue', 'invalid']]);
    tickets['CHG-1'] = 'open';
    expect(said(await world.requests.approve(SRE, id, digest)), 'the control').toBe('ok');
  });

  test('that no source is configured for is unknown where references must be known', async () => {
    expect(said(await ask('TKT-1'))).toBe('ok');
    await world.close();
    server.close();
    await open(true);
    expect(said(await ask('TKT-1'))).toContain('/reference is not known');
    expect(said(await ask('CHG-1')), 'the control').toBe('ok');
  });
});
