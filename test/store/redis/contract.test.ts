/** The contract of every store, on a real Redis server. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../../parts.ts';
import { ACL_PASSWORD, guideAcl, writeAclFile } from '../../support/redis-acl.ts';
import { MEMORY, startRedis, type RedisServer } from '../../support/redis.ts';
import { compile } from '../compiled.ts';
import { storeContract } from '../contract.ts';
import { openTestLeased, openTestProven, openTestRedis } from '../redis-location.ts';

describeWith(['redis'], 'Redis', () => {
  let server: RedisServer;
  let places = 0;
  const folder = mkdtempSync(join(tmpdir(), 'curfew-acl-'));
  process.env['TEST_REDIS_PASSWORD'] = ACL_PASSWORD;
  const compiled = compile(['test/store/peer.ts']);
  beforeAll(async () => {
    server = await startRedis([...MEMORY, '--databases', '200', '--aclfile', writeAclFile(folder)]);
  });
  afterAll(async () => {
    compiled.remove();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const place = (): string => {
    places += 1;
    return JSON.stringify({ port: server.port, database: places, username: 'curfew', password: { env: 'TEST_REDIS_PASSWORD' } });
  };
  storeContract({ driver: 'redis', place, open: openTestRedis, peerFile: compiled.fileOf('test/store/peer.ts') });
  storeContract({ driver: 'proven', place, open: openTestProven, peerFile: compiled.fileOf('test/store/peer.ts') });
  // While this process stands still the other one waits for its whole lease.
  storeContract({ driver: 'leased', place, open: openTestLeased, stillCycles: 3, peerFile: compiled.fileOf('test/store/peer.ts') });

  test('E1: it all ran as a user who may do what the guide lists and nothing else', async () => {
    const login = `tests ${ACL_PASSWORD}`;
    expect(await server.send('ACL GETUSER default', login)).toMatch(/off/);
    expect(await server.send('ACL LOG', login)).toMatch(/^\*0/);
    expect(await server.send('ACL DRYRUN curfew FLUSHALL', login)).toMatch(/no permissions/);
    expect(await server.send('ACL DRYRUN curfew GET other', login)).toMatch(/no permissions/);
    const used = await server.send('INFO commandstats', login);
    const names = [...used.matchAll(/^cmdstat_([a-z|]+):/gm)].map(([, name]) => name).filter((name) => !/^(?:acl|auth|quit|ping|hello)/.test(name ?? ''));
    const allowed = [...guideAcl().matchAll(/\+([a-z|]+)/g)].map(([, name]) => name);
    expect(names.filter((name) => !allowed.includes(name))).toEqual([]);
  });
});
