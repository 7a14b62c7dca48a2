/**
 * From a denial to access, by what the denial says: an application that asks over AuthZEN, a workload that asks for itself where it was told to, a person
 * who approves. Through the client library and the real program. And what a denial does not tell.
 */
import { expect, test } from 'vitest';
import { createCurfewClient, type Question } from '../../../src/client/index.ts';
import type { Decision, Evaluation } from '../../../src/decision/evaluation.ts';
import { createRequestable } from '../../../src/lifecycle/requestable.ts';
import { evaluationOf, T0 } from '../../decision/world.ts';
import { committedPolicy } from '../../lifecycle/world.ts';
import { startCurfew } from '../../runtime/curfew.ts';

const CI = 'spiffe://dev.local/ci/deployer';
const DB = 'spiffe://dev.local/db/migrate';

test('demand(19) demand(36): denied, told where to ask, asked, approved, allowed; its task is over, and so is the access', { timeout: 90_000 }, async () => {
  const curfew = await startCurfew();
  try {
    const base = `http://127.0.0.1:${curfew.ports.http}`;
    const client = createCurfewClient({ url: base, timeoutMs: 20_000 });
    const credential = await curfew.mint(CI);
    const question: Question = { subject: { credential }, action: 'GET', resource: { type: 'http', id: 'shop.local/deploy/42' } };

    const denied = await client.evaluate(question);
    expect(denied).toMatchObject({
      allowed: false, reason: 'grant.none',
      accessRequest: { endpoint: `${base}/self/v1/requests`, expires_at: expect.stringMatching(/Z$/), entitlements: [{ id: 'shop-deploy', model: 'jit', by: ['workload'], reference: 'none', parameters: [], max_ttl_ms: 1_800_000 }] },
    });
    const metadata = (await (await fetch(`${base}/.well-known/authzen-configuration`)).json()) as { capabilities: unknown; access_request_endpoint: unknown };
    expect(metadata).toMatchObject({ capabilities: ['urn:openid:authzen:capability:access-request'], access_request_endpoint: `${base}/self/v1/requests` });

    const [{ id: entitlement } = { id: '' }] = (denied as unknown as { accessRequest: { entitlements: { id: string }[] } }).accessRequest.entitlements;
    const task = (await curfew.admin('POST', '/v1/tasks', { kind: 'ci-run', owner: 'team:shop', reference: 'run-42' })).body.id as string;
    const asked = await client.requestAccess({ entitlement, task, ttlMs: 600_000, justification: 'release 42' }, { credential });
    expect(asked).toMatchObject({ state: 'pending', requester: { kind: 'workload', id: CI } });
    expect((await client.evaluate(question)).allowed, 'asked is not approved').toBe(false);
    // What was asked is no bearer of anything.
    expect((await client.evaluate({ ...question, context: { approval: { id: asked['id'], state: 'approved', approved_until: '2099-01-01T00:00:00Z' } } })).allowed).toBe(false);

    expect(await curfew.admin('POST', `/v1/requests/${String(asked['id'])}/approve`, { digest: asked['digest'] })).toMatchObject({ status: 200, body: { state: 'approved' } });
    expect(await client.evaluate(question)).toMatchObject({ allowed: true });
    await curfew.admin('POST', `/v1/tasks/${task}/close`);
    expect(await client.evaluate(question)).toMatchObject({ allowed: false, reason: 'task.closed', accessRequest: { entitlements: [{ id: 'shop-deploy' }] } });

    await expect(client.requestAccess({ entitlement: 'db-migration', ttlMs: 1_000, justification: 'x', reference: 'CHG-1' }, { credential })).rejects.toThrow('asked for by people');
    await expect(client.requestAccess({ entitlement, ttlMs: 1_000, justification: 'x' }, { credential: 'nobody' })).rejects.toThrow('(401)');
    // Who has no such entitlement is told of none, and a credential that is not right is told nothing.
    const stranger = await curfew.mint('spiffe://dev.local/other/app');
    expect(await client.evaluate({ ...question, subject: { credential: stranger } })).not.toHaveProperty('accessRequest');
    expect(await client.evaluate({ ...question, subject: { credential: `${credential}x` } })).not.toHaveProperty('accessRequest');
    // A host that the request does not say for sure is repeated to nobody.
    await curfew.admin('POST', '/v1/suspensions', { selector: { kind: 'workload', value: CI }, reason: 'x' });
    expect(await client.evaluate(question), 'what was suspended is not mended by asking').toEqual({ allowed: false, reason: 'subject.suspended', decisionId: expect.any(String) });
  } finally {
    await curfew.stop();
  }
});

test('G1: what is offered is for this workload, of this realm, for this question, and never an emergency', async () => {
  const policy = await committedPolicy();
  const offered = (people?: string) => {
    const requestable = createRequestable({ policy: () => policy, realm: 'default', path: '/self/v1/requests', people });
    return (workload: string | undefined, id: string, over: { reason?: string; evaluation?: Partial<Evaluation>; allow?: boolean } = {}) => {
      const decision = { id: 'd', realm: 'default', decidedAt: T0, workload, allow: over.allow ?? false, reason: over.reason ?? 'grant.none' } as unknown as Decision;
      return requestable(evaluationOf({ question: { action: 'GET', resource: { type: 'http', id } }, ...over.evaluation }), decision, 'https://pdp.example');
    };
  };
  const [own, told] = [offered(), offered('https://portal.example/access')];
  expect(own(CI, 'shop.local/deploy/1')).toMatchObject({ endpoint: 'https://pdp.example/self/v1/requests', entitlements: [{ id: 'shop-deploy', by: ['workload'] }] });
  expect(told(DB, 'orders-db.local/schema/x')).toMatchObject({ endpoint: 'https://portal.example/access', person_endpoint: 'https://portal.example/access', entitlements: [{ id: 'db-migration', by: ['person'], reference: 'change' }] });
  expect(told(CI, 'shop.local/deploy/1')).toMatchObject({ endpoint: 'https://pdp.example/self/v1/requests', entitlements: [{ by: ['workload', 'person'] }] });
  const nothing: readonly unknown[] = [
    own(DB, 'orders-db.local/schema/x'), own(CI, 'shop.local/orders/1'), own(CI, 'orders-db.local/schema/x'), own(undefined, 'shop.local/deploy/1'), own('spiffe://dev.local/ci', 'shop.local/deploy/1'), own('spiffe://dev.local/cid/x', 'shop.local/deploy/1'),
    own(CI, 'shop.local/deploy/1', { allow: true }), own(CI, 'shop.local/deploy/1', { evaluation: { realm: 'other' } }),
    ...['subject.revoked', 'subject.suspended', 'policy.denied', 'credential.expired', 'grant.suspended', 'task.paused', 'facts.unavailable', 'realm.suspended', 'request.ambiguous'].map((reason) => own(CI, 'shop.local/deploy/1', { reason })),
    told('spiffe://dev.local/ops/console', 'prod.local/x'),
  ];
  expect(nothing).toEqual(nothing.map(() => undefined));
});
