/** E5, E13: a server whose file lost its last bytes, or was put back to an older one, comes up without a revocation that had returned: running nodes, and one that is started anew, say no. */
import { copyFileSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readWitnessFile } from '../../src/store/redis/witness-file.ts';
import { describeWith } from '../parts.ts';
import type { Curfew } from '../runtime/curfew.ts';
import { FSYNC, MEMORY, startRedis, type RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startFleet, type Fleet } from './fleet.ts';

interface Loss {
  readonly name: string;
  readonly mode: 'strict' | 'leased';
  readonly args: readonly string[];
  readonly settings: string;
  /** Before the revocation; resolves to what makes the stopped server forget it. */
  prepare(server: RedisServer): Promise<() => void>;
}

const LOSSES: readonly Loss[] = [
  {
    name: 'the append-only file is cut off', mode: 'strict', args: FSYNC, settings: '',
    prepare: async ({ directory }) => {
      const folder = join(directory, 'appendonlydir');
      const file = join(folder, readdirSync(folder).find((name) => name.endsWith('.incr.aof')) ?? '');
      const { size } = statSync(file);
      return () => truncateSync(file, size);
    },
  },
  {
    name: 'an older snapshot is put back', mode: 'leased', args: MEMORY, settings: ', durability: memory',
    prepare: async (server) => {
      const [file, kept] = [join(server.directory, 'dump.rdb'), join(server.directory, 'kept.rdb')];
      expect(await server.send('SAVE')).toContain('OK');
      copyFileSync(file, kept);
      return () => {
        rmSync(file);
        copyFileSync(kept, file);
      };
    },
  },
];
const ASKED = 40;

describeWith(['redis'], 'a server that lost a revocation', () => {
  test.each(LOSSES.map((loss) => [loss.name, loss] as const))('E5: %s: nothing that was revoked is allowed again', { timeout: 180_000 }, async (_name, { args, mode, settings, prepare }) => {
    const server = await startRedis(args);
    let fleet: Fleet | undefined;
    try {
      fleet = await startFleet(`{port: ${server.port}, mode: ${mode}${settings}}`);
      const { ask, nodes } = fleet;
      const grant = await fleet.issue(nodes[0] as Curfew);
      for (const node of nodes) await until('an allow', async () => (await ask(node)) === 200);
      const lose = await prepare(server);
      expect((await fleet.revoke(nodes[1] as Curfew, grant)).status).toBe(201);
      for (const node of nodes) expect(await ask(node)).toBe(403);
      // A node that is started anew knows what its predecessor wrote down.
      const seen = join(fleet.directory(0), '.curfew/store/redis-seen.json');
      await until('it to be written down', () => (readWitnessFile(seen)?.realms.get('default')?.endings.sequence ?? 0) >= 1);

      await server.kill();
      lose();
      await server.start();
      // It was really lost.
      expect(await server.send('HGET cf:{default}:state endings')).toMatch(/\r\n0\r\n/);
      const answers: number[] = [];
      for (let round = 0; round < ASKED; round += 1) answers.push(...(await Promise.all(nodes.map(ask))));
      for (const node of nodes) {
        await until('it to say so', async () => (await (await fetch(`http://127.0.0.1:${node.ports.admin}/health/ready`)).text()).includes('accept-loss'));
        answers.push(await ask(node));
      }
      await (nodes[0] as Curfew).stop();
      const again = await fleet.restart(0).then(async () => ask(fleet?.nodes[0] as Curfew), () => 'does not start');
      expect([...answers, again].filter((answer) => answer === 200)).toEqual([]);
    } finally {
      await fleet?.stop();
      await server.stop();
    }
  });
});
