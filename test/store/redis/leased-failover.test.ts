/** I2, E5: after a failover what was read from the old primary counts no more, also where the new one has come just as far, with other commits. */
import { expect, test } from 'vitest';
import { openLeasedStore } from '../../../src/store/leased/open.ts';
import type { Commit, NodeStore } from '../../../src/store/port.ts';
import { redisStoreConfig } from '../../../src/store/redis/config.ts';
import { openRedisStore } from '../../../src/store/redis/open.ts';
import { createClock } from '../../../src/time/clock.ts';
import { describeWith } from '../../parts.ts';
import { until } from '../../support/until.ts';
import { opening } from './opening.ts';

const clock = createClock({ maxClockStepMs: 60_000 });
const { cleanups, pairBehindAddress } = opening(clock);
const put = (id: string, n: number, ending: boolean): Commit => ({
  realm: 'default', expect: [], puts: [{ key: { kind: 'thing', id }, value: { n } }], events: [{ type: 'noted', about: [], ending, data: {} }],
});
const A = { realm: 'default', keys: [{ kind: 'thing', id: 'a' }] } as const;

describeWith(['redis'], 'a leased process behind an address that moves', () => {
  const openAt = async (port: number, more: object): Promise<NodeStore> => {
    const store = await openRedisStore({
      config: redisStoreConfig.parse({ port, leaseMs: 4_000, connectTimeoutMs: 2_000, ...more }),
      mode: 'production', clock, secrets: { readFile: () => '', env: () => undefined }, lookEveryMs: 50, decides: 'mode' in more,
    });
    cleanups.push(() => store.close());
    return store;
  };

  test('what it had read of a commit that was lost hides nothing of what the new primary has at that position', async () => {
    const { old, next, wire, address } = await pairBehindAddress();
    const opened = await until('a lease', () => openAt(address.port, { mode: 'leased', durability: { replicated: 1 } }).catch(() => undefined));
    const leased = openLeasedStore(opened, { clock, bytesMax: 2 ** 20 });
    cleanups.push(() => leased.close());
    const read = async (): Promise<unknown> => (await Promise.resolve(leased.facts(A)).catch(() => undefined))?.records.get('thing/a')?.value['n'];

    const there = await openAt(old.port, { durability: 'memory' });
    await there.commit(put('a', 1, false));
    await until('the commit at the replica', async () => (await next.send('HGET cf:{default}:state sequence')).includes('\r\n1\r\n'));
    await until('an answer from memory', async () => (await Promise.resolve(leased.facts(A)).catch(() => undefined))?.holds !== undefined);
    wire.down = 'hold';
    // It ends nothing, so no hash of endings tells of it.
    await there.commit(put('lost', 1, false));
    await until('memory as far as the lost commit', async () => {
      const facts = await Promise.resolve(leased.facts(A)).catch(() => undefined);
      return facts?.holds !== undefined && facts.position.sequence === 2;
    });
    await next.send('REPLICAOF NO ONE');
    await old.send(`REPLICAOF 127.0.0.1 ${next.port}`);
    await until('the new replica', async () => (await next.send('INFO replication')).includes('state=online'), 60_000);
    const elsewhere = await openAt(next.port, { durability: 'memory' });
    const ended = await elsewhere.commit(put('a', 2, true));
    expect(ended).toMatchObject({ outcome: 'committed', position: { sequence: 2 } });
    address.targetPort = next.port;
    address.reset();
    // Its lease of the old primary may last a little longer: an ending waits for that.
    await until('what the new primary has', async () => (await read()) === 2);
    await until('an answer from memory', async () => (await Promise.resolve(leased.facts(A)).catch(() => undefined))?.holds !== undefined);
    expect(await read()).toBe(2);
  });
});
