/** Demand 8: which enforcement points used a grant, first and last, and one grant's whole story with what nothing proves yet. */
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { runCurfew, startCurfew, temporaryDirectory, type Curfew } from './curfew.ts';

const WORKLOAD = 'spiffe://dev.local/ci/used';
const directory = temporaryDirectory();
let curfew: Curfew;
beforeAll(async () => {
  writeFileSync(join(directory.path, 'more.yaml'), `lifecycle: {useNotesMs: 1000}
record: {sealEveryMs: 3600000}
peps:
  - {id: edge, token: {file: edge.token}, hosts: [shop.local]}
  - {id: mesh, token: {file: mesh.token}, hosts: [shop.local]}
`);
  for (const name of ['edge', 'mesh']) writeFileSync(join(directory.path, `${name}.token`), `token-of-${name}-0123456789`);
  curfew = await startCurfew({ directory: directory.path, args: ['--config', 'more.yaml'] });
});
afterAll(async () => {
  await curfew?.stop();
  directory.remove();
});

test('demand(8) demand(21) demand(24): uses by enforcement point on the grant, and its timeline from issue to the first denial', async () => {
  const { id } = await curfew.grant(WORKLOAD);
  const token = await curfew.mint(WORKLOAD);
  const ask = (pep: string) => curfew.ask(token, '/orders/1', { 'x-curfew-pep-token': `token-of-${pep}-0123456789` });
  expect((await ask('edge')).status).toBe(200);
  expect((await ask('mesh')).status).toBe(200);
  expect((await ask('edge')).status).toBe(200);
  const used = await until('the notes', async () => {
    const { body } = await curfew.admin('GET', `/v1/grants/${id}`);
    return body.used?.peps.length === 2 && body.used;
  });
  expect(used.peps.map(({ pep }: { pep: string }) => pep).toSorted()).toEqual(['edge', 'mesh']);
  for (const { firstAt, lastAt } of [...used.peps, used]) expect(Date.parse(firstAt)).toBeLessThanOrEqual(Date.parse(lastAt));

  await curfew.admin('POST', '/v1/revocations', { selector: { kind: 'workload', value: WORKLOAD }, reason: 'over' });
  expect((await ask('edge')).status).toBe(403);
  const log = join(directory.path, '.curfew/decisions.jsonl');
  const told = await until('the denial in the log', async () => {
    const ran = await runCurfew(['audit', 'timeline', id, '--decisions', log, '--server', `http://127.0.0.1:${curfew.ports.admin}`, '--json'], { directory: directory.path });
    expect(ran.code, ran.stderr).toBe(0);
    const { items } = JSON.parse(ran.stdout) as { items: { what: string; by?: string; sealed?: boolean }[] };
    return items.some(({ what }) => what.startsWith('first denial')) && items;
  });
  const order = told.map(({ what }) => what);
  expect(order[0]).toBe('grant.issued');
  for (const wanted of ['first use', 'last use of 2', 'revocation.placed']) expect(order).toContain(wanted);
  expect(order.indexOf('revocation.placed')).toBeLessThan(order.findIndex((what) => what.startsWith('first denial')));
  // The tail that no seal covers is shown as such.
  expect(told.find(({ what }) => what === 'revocation.placed')?.sealed).toBe(false);
  const text = await runCurfew(['audit', 'timeline', id, '--server', `http://127.0.0.1:${curfew.ports.admin}`], { directory: directory.path });
  expect(text.stdout).toMatch(/grant\.issued .*not sealed/);
  expect((await runCurfew(['audit', 'timeline', 'nobody', '--server', `http://127.0.0.1:${curfew.ports.admin}`], { directory: directory.path })).code).toBe(1);
}, 120_000);
