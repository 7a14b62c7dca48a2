/** Rolling upgrade by one version: nodes of the previous build and of this one side by side on one Redis. `npm run test:rolling`. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../parts.ts';
import { runCurfew, type Curfew } from '../runtime/curfew.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { startFleet, type Fleet } from './fleet.ts';

const PREVIOUS = process.env['CURFEW_TEST_PREVIOUS'];

describeWith(['redis'], 'the previous version and this one on one Redis', () => {
  let server: RedisServer;
  let fleet: Fleet;
  let replaced = false;
  beforeAll(async () => {
    if (PREVIOUS === undefined) throw new Error('run it by `npm run test:rolling`, which builds the previous version');
    server = await startRedis();
    fleet = await startFleet(`{port: ${server.port}}`, 2, { limits: 'maxFactsAgeMs: 1000', entry: (index) => (index === 0 && !replaced ? PREVIOUS : undefined) });
  });
  afterAll(async () => {
    await fleet?.stop();
    await server?.stop();
  });
  const node = (index: number): Curfew => fleet.nodes[index] as Curfew;
  const both = async (): Promise<readonly number[]> => [await fleet.ask(node(0)), await fleet.ask(node(1))];

  test('what either issues both allow, what either revokes both deny when revoke returns', { timeout: 120_000 }, async () => {
    for (let round = 0; round < 6; round += 1) {
      const [here, there] = round % 2 === 0 ? [node(0), node(1)] : [node(1), node(0)];
      const grant = await fleet.issue(here);
      expect(await both()).toEqual([200, 200]);
      expect((await fleet.revoke(round % 3 === 0 ? here : there, grant)).status).toBe(201);
      expect(await both()).toEqual([403, 403]);
    }
  });
  test('the old node is replaced in its directory: what lives goes on, what ended stays so, and copies are made', { timeout: 120_000 }, async () => {
    const [kept, ended] = [await fleet.issue(node(0)), await fleet.issue(node(1))];
    expect((await fleet.revoke(node(0), ended)).status).toBe(201);
    await node(0).stop();
    replaced = true;
    await fleet.restart(0);
    expect(await both()).toEqual([200, 200]);
    expect((await fleet.read(node(0), `/grants/${ended}`)).body.state).toBe('ended');
    const directory = fleet.directory(1);
    expect(await runCurfew(['backup', '--config', 'curfew.yaml', '--out', join(directory, 'backup')], { directory })).toMatchObject({ code: 0 });
    expect((await fleet.revoke(node(1), kept)).status).toBe(201);
    expect(await both()).toEqual([403, 403]);
  });
});
