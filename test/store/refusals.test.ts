/** E10: full, read-only, damaged, or of another mode, format, place: the embedded store refuses clearly and loses nothing. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import { openEmbeddedStore, type EmbeddedStore, type EmbeddedStoreOptions } from '../../src/store/embedded/open.ts';
import { placeOf } from '../../src/store/embedded/place.ts';
import { StoreUnavailable, type Commit, type Store } from '../../src/store/port.ts';
import { until } from '../support/until.ts';
import { compile } from './compiled.ts';

const NOW = 1_800_000_000_000 as Instant;
const clock = { now: () => ({ earliest: NOW, latest: NOW, trusted: true }) };
const root = mkdtempSync(join(tmpdir(), 'curfew-refusals-'));
const compiled = compile(['test/store/writer.ts', 'test/store/lock-holder.ts']);
const stores: Store[] = [];
const mounted: string[] = [];
const children: ChildProcess[] = [];

afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await new Promise((resolve) => child.once('exit', resolve));
    }
  }
  for (const path of mounted.splice(0)) expect(spawnSync('umount', [path]).status, `umount ${path}`).toBe(0);
});
afterAll(() => {
  compiled.remove();
  rmSync(root, { recursive: true, force: true });
});

const fresh = (): string => join(mkdtempSync(join(root, 'case-')), 'store');
const openAt = async (path: string, more: Partial<EmbeddedStoreOptions> = {}): Promise<EmbeddedStore> => {
  const store = await openEmbeddedStore({ path, mode: 'production', clock, ...more });
  stores.push(store);
  return store;
};
const closeAll = async (): Promise<void> => {
  for (const store of stores.splice(0)) await store.close();
};
const putOf = (id: string, more: Partial<Commit> = {}): Commit => ({
  realm: 'default',
  expect: [],
  puts: [{ key: { kind: 'thing', id }, value: { id, filling: `filling of ${id} ${'x'.repeat(900)}` } }],
  events: [{ type: 'put', about: [], ending: false, data: { id } }],
  ...more,
});
const ending = (id: string): Commit => putOf(id, { puts: [{ key: { kind: 'ending', id }, value: { id } }], events: [{ type: 'revoked', about: [], ending: true, data: { id } }] });
const made = async (path: string, ids: readonly string[] = ['a', 'b']): Promise<string> => {
  const store = await openAt(path);
  for (const id of ids) await store.commit(putOf(id));
  const { epoch } = store;
  await closeAll();
  return epoch;
};
const refusal = async (work: Promise<unknown> | (() => unknown)): Promise<string> => {
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (error) {
    expect(error).toBeInstanceOf(StoreUnavailable);
    return (error as Error).message;
  }
  throw new Error('it was not refused');
};
const idsOf = async (store: Store): Promise<string[]> => (await store.list('default', { kind: 'thing', limit: 1_000 })).items.map(({ key }) => key.id);

describe('marks', () => {
  test('a store made in development is refused by production, and the reverse; both stay whole', async () => {
    for (const [made, other] of [['development', 'production'], ['production', 'development']] as const) {
      const path = fresh();
      const { epoch } = await openAt(path, { mode: made });
      await stores[0]?.commit(putOf('a'));
      await closeAll();
      expect(await refusal(openAt(path, { mode: other }))).toMatch(made === 'development' ? /made in development mode.*production does not open it/ : /made for production.*development mode does not open it/);
      expect(await refusal(openAt(path, { mode: other, readOnly: true }))).toMatch(/does not open it/);
      const again = await openAt(path, { mode: made });
      expect([again.epoch, await idsOf(again)]).toEqual([epoch, ['a']]);
      await closeAll();
    }
  });

  test('a store of an unknown format is refused before anything in it is touched', async () => {
    const path = fresh();
    mkdirSync(path, { recursive: true });
    const raw = open({ path, noSubdir: false, overlappingSync: false, maxDbs: 8, encoding: 'binary', keyEncoding: 'binary' });
    const state = raw.openDB({ name: 'state', encoding: 'binary', keyEncoding: 'binary' });
    await state.put(Buffer.from('meta'), Buffer.from(JSON.stringify({ format: 4, mode: 'production', epoch: 'x'.repeat(16), more: true })));
    await raw.close();
    const before = readFileSync(join(path, 'data.mdb'));
    expect(await refusal(openAt(path))).toMatch(/format 4, this version of Curfew reads format 3: use the version that wrote it/);
    const tables = open({ path, noSubdir: false, overlappingSync: false, maxDbs: 8, readOnly: true });
    expect([...tables.getKeys()]).toEqual(['state']);
    await tables.close();
    expect(readFileSync(join(path, 'data.mdb')).length).toBe(before.length);
  });

  test('a file of another LMDB format is refused', async () => {
    const path = fresh();
    await made(path);
    patch(path, (bytes) => bytes.writeUInt32LE(1, 28));
    expect(await refusal(openAt(path))).toMatch(/LMDB's format 1; this version of Curfew reads 2/);
  });

  test('directory and files are for their owner only', async () => {
    const path = fresh();
    const mask = process.umask(0);
    try {
      mkdirSync(path, { recursive: true, mode: 0o755 });
      await made(path);
    } finally {
      process.umask(mask);
    }
    expect((statSync(path).mode & 0o777).toString(8)).toBe('700');
    for (const file of ['data.mdb', 'lock.mdb', 'place.json']) expect((statSync(join(path, file)).mode & 0o777).toString(8), file).toBe('600');
  });

  test('processes that make one new store at the same time agree on its epoch', { timeout: 120_000 }, async () => {
    const path = fresh();
    const options = JSON.stringify({ first: 1, count: 1, atOnce: 1, early: false });
    const runs = Array.from({ length: 4 }, (_, index) => spawn(process.execPath, [compiled.fileOf('test/store/writer.ts'), path, options.replace('"first":1', `"first":${index + 1}`)], { stdio: ['ignore', 'pipe', 'pipe'] }));
    const codes = await Promise.all(runs.map((child) => new Promise((resolve) => child.once('exit', resolve))));
    expect(codes).toEqual([0, 0, 0, 0]);
    const store = await openAt(path, { mode: 'development' });
    expect((await store.list('default', { kind: 'write', limit: 9 })).items).toHaveLength(4);
  });
});

describe('clock mark', () => {
  test('I9: it outlives the process that wrote it and never goes back', async () => {
    const path = fresh();
    const store = await openAt(path);
    expect(store.readClockMark()).toBeUndefined();
    await store.writeClockMark((NOW + 5) as Instant);
    await store.writeClockMark(NOW);
    expect(store.readClockMark()).toBe(NOW + 5);
    await closeAll();
    expect((await openAt(path)).readClockMark()).toBe(NOW + 5);
    await expect(stores[0] === undefined ? undefined : (stores[0] as EmbeddedStore).writeClockMark(Number.NaN as Instant)).rejects.toThrow(TypeError);
  });
});

/** Overwrites the data file in place. */
const patch = (path: string, change: (bytes: Buffer) => void): void => {
  const file = join(path, 'data.mdb');
  const bytes = readFileSync(file);
  change(bytes);
  writeFileSync(file, bytes);
};
/** Changes one byte in the middle of every occurrence of `text`; old pages hold copies. */
const flip = (path: string, text: string | Buffer): void =>
  patch(path, (bytes) => {
    let changed = 0;
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) {
      bytes[at + text.length - 1] = (bytes[at + text.length - 1] as number) ^ 1;
      changed += 1;
    }
    expect(changed).toBeGreaterThan(0);
  });

describe('damage', () => {
  test('a beginning that is none, and an end that is missing', async () => {
    const path = fresh();
    await made(path, Array.from({ length: 200 }, (_, index) => `id-${index}`));
    const sound = `${path}-sound`;
    cpSync(path, sound, { recursive: true });
    const cases: Record<string, (file: string) => void> = {
      'does not begin as a store does': (file) => writeFileSync(file, Buffer.alloc(65_536, 'garbage')),
      'does not begin as a store': (file) => writeFileSync(file, readFileSync(file).fill(0, 4_096, 8_192)),
      'begin as a store': (file) => writeFileSync(file, 'short'),
      'its end is missing': (file) => truncateSync(file, 5 * 4_096),
      'is gone or empty': (file) => writeFileSync(file, ''),
      'is gone': (file) => rmSync(file),
    };
    for (const [message, damage] of Object.entries(cases)) {
      rmSync(path, { recursive: true });
      cpSync(sound, path, { recursive: true });
      damage(join(path, 'data.mdb'));
      const said = await refusal(openAt(path));
      expect(said).toContain(message);
      expect(said).toMatch(/restore/);
    }
    rmSync(path, { recursive: true });
    renameSync(sound, path);
    expect(await idsOf(await openAt(path))).toHaveLength(200);
  });

  test('E2: a record whose bytes changed, or that stands under another key, is refused; the others are read', async () => {
    const path = fresh();
    await made(path);
    flip(path, 'filling of a');
    const store = await openAt(path);
    const read = (id: string) => store.facts({ realm: 'default', keys: [{ kind: 'thing', id }] }).records.size;
    expect(await refusal(() => read('a'))).toMatch(/damaged/);
    expect(await refusal(store.list('default', { kind: 'thing', limit: 9 }))).toMatch(/damaged/);
    expect(read('b')).toBe(1);
    await closeAll();

    const swapped = fresh();
    await made(swapped, ['id-1', 'id-2']);
    const raw = open({ path: swapped, noSubdir: false, overlappingSync: false, maxDbs: 8, encoding: 'binary', keyEncoding: 'binary' });
    const records = raw.openDB<Buffer, Buffer>({ name: 'records', encoding: 'binary', keyEncoding: 'binary' });
    const [first, second] = [...records.getRange({ start: Buffer.alloc(1) })] as [{ key: Buffer; value: Buffer }, { key: Buffer; value: Buffer }];
    await Promise.all([records.put(first.key, second.value), records.put(second.key, first.value)]);
    await raw.close();
    const other = await openAt(swapped);
    expect(await refusal(() => other.facts({ realm: 'default', keys: [{ kind: 'thing', id: 'id-1' }] }))).toMatch(/damaged/);
  });

  test("a realm's state, an event and the marks whose bytes changed are refused", async () => {
    const path = fresh();
    const epoch = await made(path);
    const sound = readFileSync(join(path, 'data.mdb'));
    // The state's sequence (2) as it lies in the file, followed by its instant.
    const state = Buffer.alloc(16);
    state.writeDoubleLE(2, 0);
    state.writeDoubleLE(NOW, 8);
    flip(path, state);
    const damagedState = await openAt(path);
    expect(await refusal(() => damagedState.facts({ realm: 'default', keys: [] }))).toMatch(/state is damaged/);
    expect(await refusal(damagedState.commit(putOf('c')))).toMatch(/state is damaged/);
    await closeAll();

    writeFileSync(join(path, 'data.mdb'), sound);
    flip(path, '"id":"a"},"sequence"');
    const damagedEvent = await openAt(path);
    expect(await refusal(damagedEvent.events('default', { after: 0, limit: 9 }))).toMatch(/event is damaged/);
    await closeAll();

    writeFileSync(join(path, 'data.mdb'), sound);
    flip(path, '"mode":"productio');
    expect(await refusal(openAt(path))).toMatch(/marks of the store are damaged/);

    writeFileSync(join(path, 'data.mdb'), sound);
    expect((await openAt(path)).epoch).toBe(epoch);
  });

  test('a data file that was replaced by another store, and a damaged place file', async () => {
    const [path, other] = [fresh(), fresh()];
    await made(path);
    await made(other);
    cpSync(join(other, 'data.mdb'), join(path, 'data.mdb'));
    expect(await refusal(openAt(path))).toMatch(/replaced by another one/);
    writeFileSync(join(other, 'place.json'), '{');
    expect(await refusal(openAt(other))).toMatch(/place\.json is damaged; if no process uses this store, delete that file/);
    rmSync(join(other, 'place.json'));
    expect(await idsOf(await openAt(other))).toEqual(['a', 'b']);
  });
});

describe('room', () => {
  test('a store at its cap takes endings for a while, then nothing, says so, loses nothing, and goes on with a higher cap', { timeout: 120_000 }, async () => {
    const path = fresh();
    const mapSizeBytes = 4 * 2 ** 20;
    const store = await openAt(path, { mapSizeBytes });
    const refusedAt = async (commitOf: (id: string) => Commit, prefix: string): Promise<{ readonly ids: string[]; readonly said: string }> => {
      const ids: string[] = [];
      for (let round = 0; round < 200; round += 1) {
        const batch = Array.from({ length: 50 }, (_, index) => `${prefix}-${round}-${index}`);
        const outcomes = await Promise.allSettled(batch.map((id) => store.commit(commitOf(id))));
        ids.push(...batch.filter((_, index) => outcomes[index]?.status === 'fulfilled'));
        const failed = outcomes.find((outcome) => outcome.status === 'rejected');
        if (failed !== undefined) return { ids, said: String(failed.reason) };
      }
      throw new Error('it never became full');
    };
    const things = await refusedAt(putOf, 'thing');
    expect(things.said).toMatch(/StoreUnavailable: the store is full \(4194304 bytes\): raise store.mapSizeBytes and restart/);
    expect(await store.health()).toMatchObject({ readable: true, writable: false, detail: expect.stringContaining('full') });
    const endings = await refusedAt(ending, 'ending');
    expect(endings.ids.length).toBeGreaterThan(20);
    expect(statSync(join(path, 'data.mdb')).size).toBeLessThanOrEqual(mapSizeBytes);
    await closeAll();
    const again = await openAt(path, { mapSizeBytes: 2 * mapSizeBytes });
    const keys = [...things.ids.map((id) => ({ kind: 'thing', id })), ...endings.ids.map((id) => ({ kind: 'ending', id }))];
    expect((await again.read('default', keys)).filter((record) => record === undefined)).toEqual([]);
    expect((await again.commit(putOf('more'))).outcome).toBe('committed');
    expect(await again.health()).toEqual({ readable: true, writable: true });
  });

  test('a full disk: what was acknowledged stays, the refusal says what to do, and it goes on once there is room', { timeout: 120_000 }, async (context) => {
    const disk = mkdtempSync(join(root, 'disk-'));
    context.skip(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', disk]).status !== 0, 'mounting a small file system needs root');
    mounted.push(disk);
    const path = join(disk, 'store');
    const store = await openAt(path);
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(3 * 2 ** 20));
    const acknowledged: string[] = [];
    let said = '';
    for (let round = 0; round < 500 && said === ''; round += 1) {
      // Alone, and several that share a transaction.
      const batch = Array.from({ length: 1 + (round % 20) }, (_, index) => `id-${round}-${index}`);
      const outcomes = await Promise.allSettled(batch.map((id) => store.commit(putOf(id))));
      for (const [index, outcome] of outcomes.entries()) {
        if (outcome.status === 'fulfilled') acknowledged.push(batch[index] ?? '');
        else said = String(outcome.reason);
      }
    }
    expect(said).toMatch(/StoreUnavailable: .*disk is full: free space on it/);
    expect(acknowledged.length).toBeGreaterThan(50);
    expect(await store.health()).toMatchObject({ readable: true, writable: false });
    const all = async (from: Store): Promise<number> => (await from.read('default', acknowledged.map((id) => ({ kind: 'thing', id })))).filter((record) => record !== undefined).length;
    expect(await all(store)).toBe(acknowledged.length);
    rmSync(join(disk, 'ballast'));
    expect((await store.commit(putOf('later'))).outcome).toBe('committed');
    expect(await store.health()).toMatchObject({ writable: true });
    await closeAll();
    const again = await openAt(path);
    expect(await all(again)).toBe(acknowledged.length);
    const events = await again.events('default', { after: 0, limit: 1_000 });
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
    await closeAll();
  });

  test('a directory that cannot be written, or is none', async (context) => {
    const path = fresh();
    writeFileSync(path, '');
    expect(await refusal(openAt(path))).toMatch(/cannot be used/);
    const directory = mkdtempSync(join(root, 'readonly-'));
    await made(join(directory, 'store'));
    if (process.getuid?.() === 0) {
      const bound = spawnSync('mount', ['--bind', directory, directory]).status === 0;
      if (bound) mounted.push(directory);
      context.skip(!bound || spawnSync('mount', ['-o', 'remount,ro,bind', directory]).status !== 0, 'root can write anywhere, and mounting read-only is not allowed here');
    } else chmodSync(join(directory, 'store'), 0o500);
    expect(await refusal(openAt(join(directory, 'store')))).toMatch(/cannot be used.*cannot be written by this user/);
    expect(await refusal(openAt(join(directory, 'new')))).toMatch(/cannot be used|cannot be written/);
    expect(await refusal(openAt(join(directory, 'store'), { readOnly: true }))).toMatch(/cannot be written by this user/);
    if (process.getuid?.() !== 0) chmodSync(join(directory, 'store'), 0o700);
  });

  test('a store opened for reading sees what others commit, and writes nothing', async () => {
    const path = fresh();
    expect(await refusal(openAt(join(path, 'absent'), { readOnly: true }))).toMatch(/cannot be used|no store/);
    const writer = await openAt(path);
    const reader = await openAt(path, { readOnly: true });
    await writer.commit(putOf('a'));
    expect(reader.facts({ realm: 'default', keys: [{ kind: 'thing', id: 'a' }] }).records.size).toBe(1);
    expect(await refusal(reader.commit(putOf('b')))).toMatch(/for reading only/);
    expect(await refusal(reader.writeClockMark(NOW))).toMatch(/for reading only/);
    expect(await reader.health()).toMatchObject({ readable: true, writable: false });
  });
});

describe('other processes', () => {
  test('one that stands still while it holds the lock: reads go on, writes are unknown, and go on once it is gone', { timeout: 120_000 }, async () => {
    const path = fresh();
    await made(path, ['a']);
    const store = await openAt(path, { writePatienceMs: 300 });
    const holder = spawn(process.execPath, [compiled.fileOf('test/store/lock-holder.ts'), path], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(holder);
    await new Promise((resolve) => holder.stdout?.once('data', resolve));
    expect(await refusal(store.commit(putOf('b')))).toMatch(/not answered within 300 ms; its outcome is unknown/);
    expect(store.facts({ realm: 'default', keys: [{ kind: 'thing', id: 'a' }] }).records.size).toBe(1);
    expect(await store.health()).toMatchObject({ readable: true, writable: false });
    holder.kill('SIGKILL');
    await new Promise((resolve) => holder.once('exit', resolve));
    let outcome: string | undefined;
    for (let round = 0; round < 50 && outcome === undefined; round += 1) outcome = await store.commit(putOf('c')).then((committed) => committed.outcome, () => undefined);
    expect(outcome).toBe('committed');
    expect(await store.health()).toEqual({ readable: true, writable: true });
    // What was unknown happened whole, or not at all.
    const events = await store.events('default', { after: 0, limit: 99 });
    expect(events.map(({ data }) => data['id'])).toEqual((await idsOf(store)).length === 3 ? ['a', 'b', 'c'] : ['a', 'c']);
  });
});

describe('place', () => {
  /** A writer in a PID namespace of its own, where it is process 1; resolves once it has written. */
  const elsewhere = async (path: string, first: number): Promise<ChildProcess> => {
    const options = JSON.stringify({ first, count: 0, atOnce: 1, early: false });
    const child = spawn('unshare', ['--pid', '--fork', '--kill-child', '--mount-proc', process.execPath, compiled.fileOf('test/store/writer.ts'), path, options], { stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text));
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => resolve());
      child.once('exit', () => reject(new Error(errors)));
    });
    return child;
  };
  const canUnshare = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0;

  test('a store in use in another PID namespace is refused, and taken over once nothing there lives', { timeout: 120_000 }, async (context) => {
    context.skip(!canUnshare, 'making a PID namespace needs root');
    const path = fresh();
    const child = await elsewhere(path, 1);
    expect(await refusal(openAt(path, { mode: 'development' }))).toMatch(/open in another container or PID namespace.*Stop Curfew there first/);
    // In a third namespace the process number is the same as that of the one that has it open.
    const started = Date.now();
    await expect(elsewhere(path, 1_000_000)).rejects.toThrow(/open in another container or PID namespace/);
    // Nobody is waited for: what takes the time is starting a process.
    expect(Date.now() - started).toBeLessThan(20_000);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    // The kernel ends the namespace's processes a moment after the one that holds it.
    const store = await until('the store', () => openAt(path, { mode: 'development' }).catch(() => undefined));
    expect((await store.list('default', { kind: 'write', limit: 9 })).items.length).toBeGreaterThan(0);
    expect((await store.commit(putOf('mine'))).outcome).toBe('committed');
  });

  test('on a network file system a store last used by another host is refused; on a local one an earlier boot is over', async () => {
    const path = fresh();
    await made(path);
    const here = placeOf(path);
    const other = { ...here, boot: '00000000-0000-4000-8000-000000000000', host: 'other-host' };
    expect(await refusal(openAt(path, { place: { ...other, shared: true } }))).toMatch(/last used on host ".+", on a network file system.*delete .*place\.json/);
    const moved = await openAt(path, { place: other });
    expect(await idsOf(moved)).toEqual(['a', 'b']);
    await closeAll();
    expect(JSON.parse(readFileSync(join(path, 'place.json'), 'utf8'))).toMatchObject({ boot: other.boot, host: 'other-host' });
    expect(await idsOf(await openAt(path))).toEqual(['a', 'b']);
  });
});
