/** A migration of a database's schema in announced windows: what it reaches, when, and that one window's approval is no other's. Over both stores. */
import { expect, test } from 'vitest';
import type { Executed } from '../../src/lifecycle/execute.ts';
import { onBothStores } from '../support/both-stores.ts';
import { CALL, createPeopleWorld, T0 } from './world.ts';

const HOUR = 3_600_000;
const MIGRATE = 'spiffe://dev.local/db/migrate';
const person = (name: string, team: string) => ({ realm: 'default', actor: { kind: 'operator', id: `user:${name}`, names: [`user:${name}`, team] } }) as const;
const [DATA, DBA, SRE] = [person('dora', 'team:data'), person('dan', 'team:dba'), person('sue', 'team:sre')];
const must = (executed: Executed) => {
  if (!executed.ok) throw new Error(executed.failure.detail);
  return executed.reply['request'] as { id: string; digest: string; grant: string };
};

onBothStores('migration', (open) => {
  test('demand(64) demand(18) demand(14): it reaches the schema and no rows, within its window and not before or after; the next window takes an approval of its own', async () => {
    const { at, ask, requests, directory } = await createPeopleWorld(open);
    await directory.setWorkload(CALL, { id: MIGRATE, kind: 'batch', owner: 'team:data', fallbackOwner: 'team:platform', tier: 'sensitive', aliases: [], active: true });
    const windowAt = async (notBefore: number) => must(await requests.create(DATA, { entitlement: 'db-migration', workload: MIGRATE, notBefore, expiresAt: notBefore + HOUR, justification: 'adds a column', reference: 'CHG-7' }, 'request'));
    const [first, next] = [await windowAt(T0 + 2 * HOUR), await windowAt(T0 + 26 * HOUR)];
    const schema = () => ask(MIGRATE, 'orders-db.local/schema/orders/add-column');
    must(await requests.approve(DBA, first.id, first.digest));
    at.now = T0 + 2 * HOUR;
    expect(await schema(), 'one of two approvals').toBe('grant.none');
    at.now = T0 + HOUR;
    must(await requests.approve(SRE, first.id, first.digest));
    at.now = T0 + 2 * HOUR - 1;
    expect(await schema()).toBe('grant.not_yet');
    at.now = T0 + 2 * HOUR;
    expect(await schema()).toBe('allow');
    for (const beyond of ['orders-db.local/rows/orders/1', 'orders-db.local/query', 'orders-db.local/schemas/x', 'customers-db.local/schema/x']) expect(await ask(MIGRATE, beyond), beyond).toBe('grant.none');
    at.now = T0 + 3 * HOUR - 1;
    expect(await schema()).toBe('allow');
    at.now = T0 + 3 * HOUR;
    expect(await schema()).toBe('grant.expired');
    // The next window: not by what was approved for the first one.
    at.now = T0 + 26 * HOUR;
    expect(await schema()).not.toBe('allow');
    expect(await requests.approve(SRE, next.id, first.digest)).toMatchObject({ ok: false });
    expect(await requests.approve(DBA, first.id, first.digest)).toMatchObject({ ok: false });
    expect(await requests.approve(DBA, next.id, next.digest), 'and no longer once nobody decided in time').toMatchObject({ ok: false });
    expect(await schema()).not.toBe('allow');
  });
});
