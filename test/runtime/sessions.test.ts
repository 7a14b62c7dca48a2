/** A credential's life and an access's life are two things, over the real program: neither's end is taken for the other's, and the shorter one is what an answer says. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { startCurfew, type Curfew } from './curfew.ts';

let curfew: Curfew;
beforeAll(async () => {
  curfew = await startCurfew();
});
afterAll(() => (curfew as Curfew | undefined)?.stop());

const state = async (id: string): Promise<string> => (await curfew.admin('GET', `/v1/grants/${id}`)).body.state;

test('demand(12): when a session is over its access is not: a new session has it, and is refused once the access itself has ended', async () => {
  const workload = 'spiffe://dev.local/ci/session';
  const { id } = await curfew.grant(workload, { ttlMs: 600_000 });
  const short = await curfew.mint(workload, ['--ttl', '3s']);
  const gone = await until('the end of the session', async () => { const answer = await curfew.ask(short); return answer.status !== 200 && answer; });
  expect([gone.status, gone.reason]).toEqual([401, 'credential.expired']);
  expect(await state(id), 'nobody takes it for ended').toBe('active');
  const next = await curfew.mint(workload);
  expect((await curfew.ask(next)).status).toBe(200);
  expect((await curfew.admin('POST', '/v1/revocations', { selector: { kind: 'grant', value: id }, reason: 'over' })).status).toBe(201);
  // The session goes on, and has nothing.
  for (const token of [next, await curfew.mint(workload)]) expect((await curfew.ask(token)).reason).toBe('grant.revoked');
  expect(await state(id)).toBe('ended');
});

test('demand(13): a credential that lives longer than the access is cut to it: the answer says the end of the access, and then it is refused', async () => {
  const workload = 'spiffe://dev.local/ci/longer';
  const token = await curfew.mint(workload, ['--ttl', '1h']);
  const { expiresAt } = await curfew.grant(workload, { ttlMs: 8_000 });
  const allowed = await curfew.ask(token);
  expect(allowed.status).toBe(200);
  expect(allowed.headers.get('x-curfew-valid-until')).toBe(expiresAt);
  const refused = await until('the end of the access', async () => { const answer = await curfew.ask(token); return answer.status !== 200 && answer; });
  expect([refused.status, refused.reason]).toEqual([403, 'grant.expired']);
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expiresAt) - 1_000);
  // The credential itself still lives: with new access it is let through, to the end of that.
  const again = await curfew.grant(workload, { ttlMs: 600_000 });
  expect((await curfew.ask(token)).headers.get('x-curfew-valid-until')).toBe(again.expiresAt);
});

test('demand(13): and where the credential ends first, its end is what the answer says', async () => {
  const workload = 'spiffe://dev.local/ci/shorter';
  const { expiresAt } = await curfew.grant(workload, { ttlMs: 3_600_000 });
  const answer = await curfew.ask(await curfew.mint(workload, ['--ttl', '60s']));
  expect(answer.status).toBe(200);
  expect(Date.parse(answer.headers.get('x-curfew-valid-until') ?? '')).toBeLessThan(Date.parse(expiresAt) - 3_000_000);
});
