/** Somebody, or some workload, is gone: the whole program behind the shipped nginx. What they held is refused at the next request, and who has to tell other systems is told. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../parts.ts';
import { startCurfew, type Curfew } from '../runtime/curfew.ts';
import { freePorts } from '../support/free-ports.ts';
import { shippedNginx, startNginx, type RunningNginx } from '../support/nginx.ts';
import { askOnce, requestText } from '../support/raw-socket.ts';
import { startService, type Service } from '../support/service.ts';
import { until } from '../support/until.ts';

const TOKEN = 'a-token-that-both-sides-know';
const [HERS, THEIRS, MIGRATE] = ['spiffe://dev.local/ci/hers', 'spiffe://dev.local/ci/theirs', 'spiffe://dev.local/db/migrate'];

describeWith(['nginx'], 'offboarding, behind nginx', () => {
  let service: Service;
  let curfew: Curfew;
  let nginx: RunningNginx;
  let scimPort = 0;
  const tokens = new Map<string, string>();

  beforeAll(async () => {
    [scimPort = 0] = await freePorts(1);
    service = await startService();
    curfew = await startCurfew({ workers: 2, env: {
      OFFBOARDING_TOKEN: TOKEN, CURFEW_SIGNALS_PORT: String(scimPort), CURFEW_SIGNALS_SCIM: '[{id: idp, token: {env: OFFBOARDING_TOKEN}, accounts: ["oidc:idp.example/{externalId}"]}]',
      CURFEW_LIFECYCLE_MANUAL_SYSTEMS: '{orders-db: {assignee: "team:dba", withinMs: 3600000}}', CURFEW_LIFECYCLE_SURVEY_MS: '1000',
    } });
    nginx = await startNginx(shippedNginx({ curfew: curfew.ports.http, service: service.port }));
    for (const workload of [HERS, THEIRS]) tokens.set(workload, await curfew.mint(workload));
  });
  afterAll(async () => {
    await nginx?.stop();
    await curfew?.stop();
    await service?.close();
  });

  const scim = async (method: string, path: string, body: object): Promise<any> => {
    const response = await fetch(`http://127.0.0.1:${scimPort}/scim/idp/v2${path}`, { method, body: JSON.stringify(body), headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/scim+json' } });
    expect(response.status).toBeLessThan(300);
    return response.json();
  };
  const askWith = async (line: string): Promise<readonly [number | undefined, string | undefined]> => {
    const answer = await askOnce(nginx.port, requestText('/orders/1', ['Host: shop.local', line]));
    return [answer?.status, answer?.headers.get('x-curfew-reason')?.[0]];
  };
  const get = (workload: string) => askWith(`Authorization: Bearer ${tokens.get(workload)}`);
  const register = (id: string, active: boolean) => curfew.admin('PUT', `/v1/workloads/${encodeURIComponent(id)}`, { kind: 'ci', owner: 'team:shop', fallbackOwner: 'team:platform', active });

  test('demand(33): a static secret is nobody, in whatever form it comes, beside the live grant of the workload that it is said to be', async () => {
    const grant = await curfew.grant(HERS, { ttlMs: 600_000 });
    expect(await get(HERS)).toEqual([200, undefined]);
    const hits = service.hits.length;
    for (const line of ['Authorization: Bearer 3f9d2c1b8a7e6f5d4c3b2a19', 'Authorization: Basic ZGFuOnNlY3JldA==', 'X-Api-Key: 3f9d2c1b8a7e6f5d4c3b2a19', `X-Workload: ${HERS}`, `Authorization: Bearer ${HERS}`]) {
      expect([line, (await askWith(line))[0]]).toEqual([line, 401]);
    }
    expect(service.hits).toHaveLength(hits);
    expect((await curfew.admin('POST', '/v1/revocations', { selector: { kind: 'grant', value: grant.id }, reason: 'over' })).status).toBe(201);
  });

  test('demand(67) demand(34) demand(46): a person is deactivated at the identity provider: the next request is refused, a step by hand is opened for what must be told by hand; then a workload is no more', async () => {
    const { id } = await scim('POST', '/Users', { userName: 'dan', externalId: 'd1' });
    await curfew.grant(HERS, { owner: 'user:dan', ttlMs: 600_000 });
    await curfew.grant(THEIRS, { ttlMs: 600_000 });
    const scopes = [{ actions: ['GET'], resource: { type: 'http', id: 'orders-db.local/schema/x' } }];
    const migration = await curfew.grant(MIGRATE, { entitlement: 'db-migration', owner: 'user:dan', scopes, reference: 'CHG-1', ttlMs: 600_000 });
    expect([await get(HERS), await get(THEIRS)]).toEqual([[200, undefined], [200, undefined]]);
    await scim('PATCH', `/Users/${id}`, { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations: [{ op: 'Replace', path: 'active', value: 'False' }] });
    expect([await get(HERS), await get(THEIRS)]).toEqual([[403, 'grant.revoked'], [200, undefined]]);
    expect((await curfew.admin('GET', `/v1/grants/${migration.id}`)).body).toMatchObject({ state: 'ended', endedBecause: 'grant.revoked' });
    const steps = async () => (await curfew.admin('GET', '/v1/manual-revocations?state=open')).body.items as readonly object[];
    await until('the step by hand', async () => (await steps()).length > 0, 60_000);
    expect(await steps()).toMatchObject([{ grant: migration.id, system: 'orders-db', assignee: 'team:dba', state: 'open' }]);
    const alerts = async () => ((await curfew.admin('GET', '/v1/alerts?limit=100')).body.items as readonly { type: string }[]).filter(({ type }) => type === 'revocation.manual');
    expect(await alerts()).toHaveLength(1);

    expect((await register(THEIRS, true)).status).toBe(200);
    expect(await get(THEIRS)).toEqual([200, undefined]);
    expect((await register(THEIRS, false)).status).toBe(200);
    expect(await get(THEIRS)).toEqual([403, expect.stringMatching(/revoked$/)]);
    const hits = service.hits.length;
    expect([await get(HERS), await get(THEIRS)]).toEqual([[403, 'grant.revoked'], [403, expect.stringMatching(/revoked$/)]]);
    expect(service.hits).toHaveLength(hits);
  });
});
