import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startCurfew, temporaryDirectory, type Curfew } from '../runtime/curfew.ts';

const WORKLOAD = 'spiffe://dev.local/ci/restored';

test('docs/guides/operations.md: a restored backup has forgotten a revocation; revoking the realm ends what was issued before, and new grants count', async () => {
  const folder = temporaryDirectory();
  const [store, backup] = [join(folder.path, '.curfew/store'), join(folder.path, 'backup')];
  let curfew: Curfew | undefined;
  const start = async (): Promise<Curfew> => (curfew = await startCurfew({ directory: folder.path }));
  const answer = async (running: Curfew): Promise<string | null> => {
    const { status, reason } = await running.ask(await running.mint(WORKLOAD));
    return status === 200 ? 'allow' : reason;
  };
  try {
    const first = await start();
    const { id } = await first.grant(WORKLOAD);
    await first.stop();
    cpSync(store, backup, { recursive: true });

    const second = await start();
    expect((await second.admin('POST', '/v1/revocations', { selector: { kind: 'grant', value: id }, reason: 'test' })).status).toBe(201);
    expect(await answer(second)).toBe('grant.revoked');
    await second.stop();
    rmSync(store, { recursive: true });
    cpSync(backup, store, { recursive: true });

    const third = await start();
    expect(await answer(third)).toBe('allow');
    expect((await third.admin('POST', '/v1/revocations', { selector: { kind: 'realm', value: 'default' }, reason: 'restored from a backup' })).status).toBe(201);
    const { body } = await third.admin('GET', `/v1/grants/${id}`);
    expect(body).toMatchObject({ state: 'ended', endedBecause: 'grant.revoked' });
    await third.grant(WORKLOAD);
    // Tokens made within the allowance for skew after the revocation are covered too.
    await expect.poll(() => answer(third), { timeout: 40_000, interval: 500 }).toBe('allow');
  } finally {
    await curfew?.stop();
    folder.remove();
  }
}, 60_000);
