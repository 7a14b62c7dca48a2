/** I6: what a server lost is accepted by its name, by somebody, once; until then real nodes deny, and no other loss is excused by it. */
import { cpSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { startFleet, type Fleet } from '../fleet/fleet.ts';
import { describeWith } from '../parts.ts';
import { runCurfew, type Curfew } from '../runtime/curfew.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

describeWith(['redis'], 'a server that lost what it had confirmed', () => {
  const start = async (): Promise<{ readonly server: RedisServer; readonly fleet: Fleet; readonly node: (index: number) => Curfew }> => {
    const server = await startRedis();
    cleanups.push(server.stop);
    const fleet = await startFleet(`{port: ${server.port}, waitAtStartMs: 20000}`, 2, { limits: 'maxFactsAgeMs: 1000' });
    cleanups.push(fleet.stop);
    return { server, fleet, node: (index) => fleet.nodes[index] as Curfew };
  };
  const data = ({ directory }: RedisServer): readonly [now: string, earlier: string] => [join(directory, 'appendonlydir'), join(directory, 'earlier')];
  const keep = async (server: RedisServer, fleet: Fleet): Promise<void> => {
    await server.kill();
    cpSync(...data(server), { recursive: true });
    await server.start();
    for (const node of fleet.nodes) await until('administration', () => fleet.administers(node));
  };
  const putBack = async (server: RedisServer): Promise<void> => {
    const [now, earlier] = data(server);
    await server.kill();
    rmSync(now, { recursive: true });
    renameSync(earlier, now);
    await server.start();
  };
  const accept = async (fleet: Fleet, index: number, ...more: readonly string[]): Promise<{ readonly code: number | null; readonly said: string }> => {
    const { code, stdout, stderr } = await runCurfew(['endings', 'accept-loss', '--config', 'curfew.yaml', '--by', 'user:alice', '--reason', 'the disk was lost', ...more], { directory: fleet.directory(index) });
    return { code, said: stdout + stderr };
  };
  /** Connections are being made again: what fails then is asked again. */
  const issueAt = (fleet: Fleet, node: Curfew): Promise<string> => until('a grant', () => fleet.issue(node).catch(() => undefined));
  const revokeAt = (fleet: Fleet, node: Curfew, grant: string): Promise<boolean> => until('a revocation', async () => (await fleet.revoke(node, grant)).status === 201);
  /** Each node has written down that it knows so many endings. */
  const known = (fleet: Fleet, endings: number) =>
    until('nodes to know', () => [0, 1].every((index) => {
      const { realms } = JSON.parse(readFileSync(join(fleet.directory(index), '.curfew/store/redis-seen.json'), 'utf8')) as { readonly realms: readonly { readonly endings: { readonly sequence: number } }[] };
      return (realms[0]?.endings.sequence ?? 0) >= endings;
    }));
  const nameIn = (said: string): string => /--loss ([0-9a-f]{12})/.exec(said)?.[1] ?? '';
  const allows = (fleet: Fleet, node: Curfew) => until('access', async () => (await fleet.ask(node)) === 200);
  const reasons = async (fleet: Fleet, node: Curfew): Promise<string | undefined> => {
    if ((await fleet.ask(node)) === 200) return 'allowed';
    return fetch(`http://127.0.0.1:${node.ports.admin}/health/ready`).then((answer) => answer.text(), () => '');
  };

  test('it is denied until the loss is accepted by its name; then nothing from before counts, or, where somebody says so, grants do; another loss is another one', { timeout: 240_000 }, async () => {
    const { server, fleet, node } = await start();
    const kept = await issueAt(fleet, node(0));
    await allows(fleet, node(0));
    await allows(fleet, node(1));
    // As soon as it has written down what it knows.
    await until('nothing lost', async () => /its server lost nothing/.test((await accept(fleet, 0)).said));
    expect(await accept(fleet, 0)).toMatchObject({ code: 2, said: expect.stringMatching(/its server lost nothing/) });
    await keep(server, fleet);
    await allows(fleet, node(0));
    await revokeAt(fleet, node(1), await issueAt(fleet, node(1)));
    await known(fleet, 1);
    await putBack(server);
    for (const index of [0, 1]) await until('a denial for good', async () => /curfew endings accept-loss/.test((await reasons(fleet, node(index))) ?? ''));
    const told = await accept(fleet, 0);
    expect(told).toMatchObject({ code: 1, said: expect.stringMatching(/has lost what this node knew:\n {2}default: known up to event \d+ with \d+ endings/) });
    expect(await accept(fleet, 0, '--loss', 'ffffffffffff')).toMatchObject({ code: 1 });
    expect(await accept(fleet, 0, '--loss', nameIn(told.said), '--by', 'the night shift')).toMatchObject({ code: 1, said: expect.stringMatching(/--by must be a person/) });
    expect([await fleet.ask(node(0)), await fleet.ask(node(1))]).toEqual([403, 403]);
    const done = await accept(fleet, 0, '--loss', nameIn(told.said), '--keep-grants');
    expect(done).toMatchObject({ code: 0, said: expect.stringMatching(/go on counting/) });
    // Those that run know another store.
    expect([await fleet.ask(node(0)), await fleet.ask(node(1))]).toEqual([403, 403]);
    const restart = async (): Promise<void> => {
      await Promise.all([0, 1].map((index) => node(index).stop()));
      await Promise.all([0, 1].map((index) => fleet.restart(index)));
    };
    await restart();
    await allows(fleet, node(0));
    await allows(fleet, node(1));
    expect((await fleet.read(node(0), `/grants/${kept}`)).body.state).toBe('active');
    // Somebody hears of it: who said so, and as whom and where it was run.
    const alerts = (await fleet.read(node(1), '/alerts')).body.items.filter(({ type }: { type: string }) => type === 'loss.accepted');
    expect(alerts).toMatchObject([{ severity: 'critical', data: { realm: 'default', keepsGrants: true, by: 'user:alice', reason: 'the disk was lost', ranAs: `${userInfo().username}@${hostname()}` } }]);
    // As soon as it has written down what it knows of the new epoch.
    await until('nothing lost', async () => /lost nothing/.test((await accept(fleet, 1)).said));
    expect(await accept(fleet, 1)).toMatchObject({ code: 2 });

    // The same again: what was accepted excuses nothing.
    await keep(server, fleet);
    await allows(fleet, node(0));
    await revokeAt(fleet, node(0), await issueAt(fleet, node(0)));
    await known(fleet, 2);
    await putBack(server);
    for (const index of [0, 1]) await until('a denial for good', async () => /curfew endings accept-loss/.test((await reasons(fleet, node(index))) ?? ''));
    const again = await accept(fleet, 1);
    expect(nameIn(again.said)).not.toBe(nameIn(told.said));
    expect(await accept(fleet, 1, '--loss', nameIn(again.said))).toMatchObject({ code: 0, said: expect.stringMatching(/nothing issued before now counts/) });
    await restart();
    for (const index of [0, 1]) await until('nodes that answer', () => fleet.administers(node(index)));
    expect([await fleet.ask(node(0)), await fleet.ask(node(1))]).toEqual([403, 403]);
  });

  test('a server that was emptied', { timeout: 120_000 }, async () => {
    const { server, fleet, node } = await start();
    await issueAt(fleet, node(0));
    await allows(fleet, node(1));
    await revokeAt(fleet, node(0), await issueAt(fleet, node(0)));
    await known(fleet, 1);
    await server.send('FLUSHALL');
    await until('a denial', async () => (await fleet.ask(node(1))) === 403);
    await Promise.all([0, 1].map((index) => node(index).stop()));
    const told = await accept(fleet, 0);
    expect(told).toMatchObject({ code: 1, said: expect.stringMatching(/there are 0 events/) });
    expect(await accept(fleet, 0, '--loss', nameIn(told.said))).toMatchObject({ code: 0 });
    await Promise.all([0, 1].map((index) => fleet.restart(index)));
    expect([await fleet.ask(node(0)), await fleet.ask(node(1))]).toEqual([403, 403]);
  });
});
