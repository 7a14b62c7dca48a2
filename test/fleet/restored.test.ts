/** E13: yesterday's backup under a real node, with the commands that an operator has; and a move of its realm into a directory. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeWith } from '../parts.ts';
import { runCurfew, startCurfew, type Curfew } from '../runtime/curfew.ts';
import { writeAclFile, ACL_PASSWORD } from '../support/redis-acl.ts';
import { FSYNC, startRedis } from '../support/redis.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { startFleet } from './fleet.ts';

describeWith(['redis'], 'a node and its store, lost and restored', () => {
  test('E13: what was issued before a restore is denied until the endings since are imported; then the node answers again; then the realm moves house', { timeout: 120_000 }, async () => {
    const acls = mkdtempSync(join(tmpdir(), 'curfew-acl-'));
    const server = await startRedis([...FSYNC, '--aclfile', writeAclFile(acls)]);
    // As the user of the guide, and sealed.
    Object.assign(process.env, { TEST_REDIS_PASSWORD: ACL_PASSWORD, TEST_REDIS_KEY: 'an integrity key of thirty-two characters' });
    const fleet = await startFleet(`{port: ${server.port}, username: curfew, password: {env: TEST_REDIS_PASSWORD}, integrityKey: {env: TEST_REDIS_KEY}}`, 1);
    const [node] = fleet.nodes as [Curfew];
    const { directory } = node;
    const running: Curfew[] = [];
    const run = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await runCurfew(args, { directory });
      return code === 0 ? stdout : `${code}: ${stderr}`;
    };
    const operator = (...args: string[]) => run(...args, '--config', 'curfew.yaml');
    try {
      const [kept, ended] = [await fleet.issue(node), await fleet.issue(node)];
      expect(await operator('backup', '--out', 'backup')).toMatch(/default: \d+ events, 0 endings/);
      expect((await fleet.revoke(node, ended)).status).toBe(201);
      expect(await operator('endings', 'export', '--since-backup', 'backup', '--out', 'since')).toMatch(/1 endings/);
      expect(await operator('backup', '--out', 'backup')).toMatch(/^2: the file is there already/);
      await node.stop();
      await server.send('FLUSHALL', `tests ${ACL_PASSWORD}`);

      expect(await operator('restore', '--from', 'backup')).toMatch(/Everything is denied/);
      const config = readFileSync(join(directory, 'curfew.yaml'), 'utf8');
      const restored = await startCurfew({ directory, config });
      running.push(restored);
      expect(await fleet.ask(restored)).toBe(403);
      const ready = await fetch(`http://127.0.0.1:${restored.ports.admin}/health/ready`);
      expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining('endings import')]);
      // Records are written after their answers, and segments of the log's chain stand between them.
      await expect.poll(() => readFileSync(join(directory, 'decisions.jsonl'), 'utf8'), { timeout: 40_000 }).toContain('"facts.restored"');
      expect((await fleet.read(restored, '/grants')).status).toBe(503);

      expect(await operator('endings', 'import', '--from', 'since')).toMatch(/required option '--by/);
      expect(await operator('endings', 'import', '--from', 'since', '--by', 'user:alice', '--reason', 'the server was lost')).toMatch(/1 endings and uses/);
      await expect.poll(() => fleet.ask(restored), { timeout: 40_000 }).toBe(200);
      expect((await fleet.read(restored, `/grants/${ended}`)).body).toMatchObject({ state: 'ended', endedBecause: 'grant.revoked' });
      expect((await fleet.read(restored, `/grants/${kept}`)).body.state).toBe('active');
      await restored.stop();

      // From Redis into a directory of this machine.
      writeFileSync(join(directory, 'new.yaml'), config.replace(/^store: .*$/m, 'store: {path: embedded}'));
      expect(await operator('migrate', '--to', 'new.yaml')).toMatch(/Moved:\n {2}default: \d+ events/);
      const old = await startCurfew({ directory, config }).catch((error: Error) => error.message);
      expect(old).toMatch(/were moved to another store/);
      const moved = await startCurfew({ directory, config: readFileSync(join(directory, 'new.yaml'), 'utf8') });
      running.push(moved);
      expect(await fleet.ask(moved)).toBe(200);
      expect((await fleet.read(moved, `/grants/${ended}`)).body).toMatchObject({ state: 'ended', endedBecause: 'grant.revoked' });
      expect((await fleet.revoke(moved, kept)).status).toBe(201);
      expect(await fleet.ask(moved)).toBe(403);
    } finally {
      delete process.env['TEST_REDIS_PASSWORD'];
      delete process.env['TEST_REDIS_KEY'];
      for (const one of running) await one.stop();
      await fleet.stop();
      await server.stop();
      rmSync(acls, { recursive: true, force: true });
    }
  });
});
