/** I7: what was acknowledged survives `kill -9` at any moment. 40 cycles here; `npm run test:kill` does 200. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openEmbeddedStore } from '../../src/store/embedded/open.ts';
import type { Store } from '../../src/store/port.ts';
import { createClock } from '../../src/time/clock.ts';
import { compile } from './compiled.ts';
import type { WriterOptions } from './writer.ts';

const CYCLES = Number(process.env['CURFEW_KILL_CYCLES'] ?? 40);
/** Numbers of one cycle lie in a range of their own. */
const RANGE = 1_000_000;
const compiled = compile(['test/store/writer.ts']);
const root = mkdtempSync(join(tmpdir(), 'curfew-kill-'));
afterAll(() => {
  compiled.remove();
  rmSync(root, { recursive: true, force: true });
});

const openStore = (path: string): Promise<Store> => openEmbeddedStore({ path, mode: 'development', clock: createClock({ maxClockStepMs: 60_000 }) });

/** Runs a writer and kills it `afterMs` after its start, or its first acknowledgement; what it acknowledged, number -> sequence. */
const killedWriter = async (path: string, options: WriterOptions, from: 'start' | 'first', afterMs: number): Promise<Map<number, number>> => {
  const child = spawn(process.execPath, [compiled.fileOf('test/store/writer.ts'), path, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  const kill = (): unknown => setTimeout(() => child.kill('SIGKILL'), afterMs);
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (from === 'first' && output === '') kill();
    output += text;
  });
  if (from === 'start') kill();
  const signal = await new Promise((resolve) => child.once('close', (_, by) => resolve(by)));
  expect(signal).toBe('SIGKILL');
  // A line that was cut off was not said.
  return new Map([...output.matchAll(/^ack (\d+) (\d+)\n/gm)].map((match) => [Number(match[1]), Number(match[2])]));
};

const lostOf = async (store: Store, acknowledged: ReadonlyMap<number, number>): Promise<number> => {
  const numbers = [...acknowledged.keys()];
  const records = await store.read('default', numbers.map((number) => ({ kind: 'write', id: `${number}` })));
  return records.filter((record, index) => {
    const sequence = acknowledged.get(numbers[index] ?? -1);
    return record === undefined || (sequence !== 0 && record.modified.sequence !== sequence);
  }).length;
};

interface Walked {
  sequence: number;
  endings: number;
  hash: string;
  writes: number;
}

/** Goes on through the log from where it was; throws at a gap, a double or a broken chain. */
const walk = async (store: Store, from: Walked): Promise<void> => {
  for (;;) {
    const events = await store.events('default', { after: from.sequence, limit: 1_000 });
    for (const event of events) {
      if (event.sequence !== from.sequence + 1) throw new Error(`a gap after ${from.sequence}`);
      from.sequence = event.sequence;
      if (event.endingSequence === undefined) continue;
      if (event.endingSequence !== from.endings + 1) throw new Error(`a gap in the endings after ${from.endings}`);
      from.endings = event.endingSequence;
      from.hash = createHash('sha256').update(from.hash).update(event.bytes).digest('hex');
    }
    if (events.length < 1_000) break;
  }
  const { position, endings } = await store.facts({ realm: 'default', keys: [] });
  if (position.sequence !== from.sequence || endings.sequence !== from.endings || endings.hash !== from.hash) throw new Error('the state is not the end of the log');
};

test(`I7: kill -9 in ${CYCLES} cycles loses no acknowledged write, leaves no gap and keeps the endings' chain`, { timeout: 60_000 + CYCLES * 2_000 }, async () => {
  const path = join(root, 'store');
  let store = await openStore(path);
  const walked: Walked = { sequence: 0, endings: 0, hash: '0'.repeat(64), writes: 0 };
  const all = new Map<number, number>();
  let [lost, killedBeforeFirst] = [0, 0];
  for (let cycle = 1; cycle <= CYCLES; cycle += 1) {
    // One in four while it starts and opens, the others at work.
    const [from, afterMs] = cycle % 4 === 0 ? (['start', 60 + Math.random() * 100] as const) : (['first', Math.random() * 60] as const);
    const acknowledged = await killedWriter(path, { first: cycle * RANGE, count: 0, atOnce: 1 + (cycle % 8), early: false }, from, afterMs);
    if (acknowledged.size === 0) killedBeforeFirst += 1;
    for (const [number, sequence] of acknowledged) all.set(number, sequence);
    // The process that stays open must go on as well as one that opens the store anew.
    if (cycle % 5 === 0) {
      await store.close();
      store = await openStore(path);
    }
    lost += await lostOf(store, acknowledged);
    await walk(store, walked);
    const own = await store.commit({ realm: 'default', expect: [], puts: [{ key: { kind: 'write', id: `own-${cycle}` }, value: {} }], increments: [{ key: { kind: 'uses', id: 'all' }, max: 1e9 }], events: [{ type: 'own', about: [], ending: true, data: {} }] });
    expect(own.outcome).toBe('committed');
  }
  await store.close();
  store = await openStore(path);
  lost += await lostOf(store, all);
  await walk(store, walked);
  const writes = [...(await everything(store))];
  expect((await store.read('default', [{ kind: 'uses', id: 'all' }]))[0]?.value).toEqual({ count: writes.length });
  await store.close();
  process.stdout.write(`killed ${CYCLES} times (${killedBeforeFirst} before the first write): ${all.size} acknowledged, ${writes.length} in the store, ${lost} lost\n`);
  expect(lost).toBe(0);
  expect(all.size).toBeGreaterThan(CYCLES);
});

const everything = async (store: Store): Promise<string[]> => {
  const ids: string[] = [];
  let after: string | undefined;
  do {
    const page = await store.list('default', { kind: 'write', limit: 1_000, ...(after === undefined ? {} : { after }) });
    ids.push(...page.items.map(({ key }) => key.id));
    after = page.next;
  } while (after !== undefined);
  return ids;
};

test('control: a writer that acknowledges too early is caught by the same check', { timeout: 120_000 }, async () => {
  const path = join(root, 'early');
  const store = await openStore(path);
  let lost = 0;
  for (let cycle = 1; cycle <= 30 && lost === 0; cycle += 1) {
    lost += await lostOf(store, await killedWriter(path, { first: cycle * RANGE, count: 0, atOnce: 16, early: true }, 'first', Math.random() * 20));
  }
  await store.close();
  expect(lost).toBeGreaterThan(0);
});
