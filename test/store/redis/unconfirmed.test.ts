/**
 * L1, I6: what a process read that no replica had yet was confirmed to nobody. When a failover loses it the process goes on by itself; whoever
 * keeps it puts it back.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lifecycleConfig } from '../../../src/lifecycle/config.ts';
import { createLifecycle } from '../../../src/lifecycle/lifecycle.ts';
import { createMender } from '../../../src/lifecycle/mend.ts';
import type { NodeStore } from '../../../src/store/port.ts';
import { redisStoreConfig } from '../../../src/store/redis/config.ts';
import { openRedisStore } from '../../../src/store/redis/open.ts';
import { createWitness } from '../../../src/store/redis/witness.ts';
import { createClock } from '../../../src/time/clock.ts';
import { describeWith } from '../../parts.ts';
import { until } from '../../support/until.ts';
import { opening } from './opening.ts';

const clock = createClock({ maxClockStepMs: 60_000 });
const { cleanups, pairBehindAddress } = opening(clock);
const ending = (value: string) => ({ realm: 'default', keys: [{ kind: 'ending', id: `workload:${value}` }] });
const [KEPT, LOST] = ['spiffe://example.org/kept', 'spiffe://example.org/lost'];

describeWith(['redis'], 'an ending that only the old primary had', () => {
  const openAt = async (port: number, more: object, keeperAt?: string, lookEveryMs = 20): Promise<NodeStore> => {
    const store = await openRedisStore({
      config: redisStoreConfig.parse({ port, leaseMs: 4_000, connectTimeoutMs: 2_000, readTimeoutMs: 1_000, commitTimeoutMs: 2_000, ...more }),
      mode: 'production', clock, secrets: { readFile: () => '', env: () => undefined }, lookEveryMs,
      ...(keeperAt === undefined ? {} : { memory: { path: keeperAt, keeper: true, realms: ['default'] } }),
    });
    cleanups.push(() => store.close());
    return store;
  };
  const revoke = async (store: NodeStore, value: string): Promise<void> => {
    const lifecycle = createLifecycle({ store, clock, config: lifecycleConfig.parse({}), policy: () => undefined, development: true, enforcementMs: 0, settle: async () => undefined });
    expect((await lifecycle.revoke({ realm: 'default', actor: { kind: 'operator', id: 'user:rita' } }, { selector: { kind: 'workload', value }, reason: 'over' }, true)).ok).toBe(true);
  };
  const found = async (store: NodeStore, value: string): Promise<number | string> =>
    Promise.resolve(store.facts(ending(value))).then(({ records }) => records.size, (error: { readonly reason?: string; readonly message: string }) => error.reason ?? error.message);

  test.each([['nobody keeps it', false], ['a node keeps it', true]])('%s: who read it allows again by itself', { timeout: 120_000 }, async (_name, kept) => {
    const { old, next, wire, address } = await pairBehindAddress();
    const path = join(mkdtempSync(join(tmpdir(), 'curfew-unconfirmed-')), 'seen.json');
    cleanups.push(() => rmSync(join(path, '..'), { recursive: true, force: true }));
    const worker = await until('a lease', () => openAt(address.port, { durability: { replicated: 1 } }).catch(() => undefined));
    const keeper = kept ? await openAt(address.port, { durability: { replicated: 1 } }, path) : undefined;
    const there = await openAt(old.port, { durability: 'memory' });
    await revoke(there, KEPT);
    await until('the first ending at the replica', async () => (await next.send('HGET cf:{default}:state endings')).includes('\r\n1\r\n'));
    expect(await found(worker, KEPT)).toBe(1);
    if (kept) await until('the keeper to have looked', () => existsSync(`${path}.endings`));
    wire.down = 'hold';
    await revoke(there, LOST);
    expect(await found(worker, LOST)).toBe(1);
    if (kept) await until('the keeper to know', () => readFileSync(`${path}.endings`, 'utf8').includes(LOST));
    await next.send('REPLICAOF NO ONE');
    await old.send(`REPLICAOF 127.0.0.1 ${next.port}`);
    await until('the new replica', async () => (await next.send('INFO replication')).includes('state=online'), 40_000);
    address.targetPort = next.port;
    address.reset();
    await until('L1: the worker answers again', async () => (await found(worker, KEPT)) === 1, 5_000);
    if (keeper === undefined) return expect(await found(worker, LOST)).toBe(0);
    const mender = createMender({ store: keeper, clock, realms: ['default'], intervalMs: 20, onMended: () => undefined, onError: () => undefined });
    mender.start();
    cleanups.push(() => mender.stop());
    await until('all to know', async () => (await found(worker, LOST)) === 1 && (await found(keeper, LOST)) === 1);
    // The keeper goes on keeping.
    await until('what came later', async () => {
      // It may have begun anew in between.
      await revoke(keeper, 'spiffe://example.org/later');
      return readFileSync(`${path}.endings`, 'utf8').includes('spiffe://example.org/later');
    });
  });
});

test('only what was told before a write that was confirmed, on one connection, is sure; and what is sure is never taken back', () => {
  let generation = 1;
  const witness = createWitness(undefined, () => generation);
  const seen = (sequence: number, endings: number) => ({ sequence, endings: { sequence: endings, hash: endings === 0 ? '' : `h${endings}` } });
  const tell = (sequence: number, endings: number): void => witness.see('r', undefined, seen(sequence, endings), '');
  tell(1, 1);
  const turn = witness.turn();
  tell(2, 2);
  witness.confirmed(turn, generation);
  expect(witness.sure().get('r')).toEqual(seen(1, 1));
  expect(witness.revert('r')).toBe(true);
  expect(witness.known('r')).toEqual(seen(1, 1));
  expect(witness.revert('r')).toBe(false);
  // Told by one server, confirmed by those of another.
  tell(3, 2);
  const later = witness.turn();
  generation = 2;
  witness.confirmed(later, generation);
  expect(witness.sure().get('r')).toEqual(seen(1, 1));
  tell(4, 2);
  witness.confirmed(witness.turn(), generation);
  expect(witness.sure().get('r')).toEqual(seen(4, 2));
  expect(() => witness.see('r', witness.known('r'), seen(3, 2), 'h2')).toThrow(/knows less/);
  expect(createWitness().revert('r')).toBe(false);
});
