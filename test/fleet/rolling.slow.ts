/** Rolling upgrade by one version: nodes of the previous build and of this one side by side on one Redis. `npm run test:rolling`. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../parts.ts';
import { runCurfew, type Curfew } from '../runtime/curfew.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { startFleet, type Fleet, type FleetOptions } from './fleet.ts';

/** A setting that the old version does not have. */
const OLD_SETTINGS = (isOld: (index: number) => boolean): Pick<FleetOptions, 'ofNode'> => ({ ofNode: (index) => (isOld(index) ? '' : 'lifecycle: {directory: {required: false}}') });
const PREVIOUS = process.env['CURFEW_TEST_PREVIOUS'];

describeWith(['redis'], 'the previous version and this one on one Redis', () => {
  let server: RedisServer;
  let fleet: Fleet;
  let replaced = false;
  beforeAll(async () => {
    if (PREVIOUS === undefined) throw new Error('run it by `npm run test:rolling`, which builds the previous version');
    server = await startRedis();
    const isOld = (index: number): boolean => index === 0 && !replaced;
    // The store is one that the old version made.
    fleet = await startFleet(`{port: ${server.port}}`, 2, {
      limits: 'maxFactsAgeMs: 1000', inTurns: true, entry: (index) => (isOld(index) ? PREVIOUS : undefined), ...OLD_SETTINGS(isOld),
    });
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
  test('a store that this version made is refused by the old one, by its format', { timeout: 120_000 }, async () => {
    const empty = await startRedis();
    try {
      const made = startFleet(`{port: ${empty.port}}`, 2, { inTurns: true, entry: (index) => (index === 1 ? PREVIOUS : undefined), ...OLD_SETTINGS((index) => index === 1) });
      await expect(made).rejects.toThrow(/the store has format 3, this version of Curfew reads format \d: use the version that wrote it/);
    } finally {
      await empty.stop();
    }
  });
});
