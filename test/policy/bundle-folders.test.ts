/** A folder as a bundle: what is taken from it, and that every way of saving is noticed. */
import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BundleSource } from '../../src/policy/source/bundle-source.ts';
import { createDirectorySource } from '../../src/policy/source/directory-source.ts';
import { readFolder } from '../../src/policy/source/read-folder.ts';
import { watchFolders } from '../../src/policy/source/watch-folders.ts';
import { SourcesRefused } from '../../src/policy/toolchain/fault.ts';
import { until } from '../support/until.ts';

let base: string;
let folder: string;
const write = (name: string, text = 'package a\n'): void => {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
};
const namesOf = async (): Promise<readonly string[]> => [...(await readFolder(folder)).files.keys()];
const refusal = async (work: Promise<unknown>): Promise<SourcesRefused> => {
  const error = await work.then(() => undefined, (cause: unknown) => cause);
  expect(error).toBeInstanceOf(SourcesRefused);
  return error as SourcesRefused;
};

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'curfew-folder-')));
  folder = join(base, 'policies');
  mkdirSync(folder);
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

describe('reading a folder', () => {
  test('takes Rego, data, manifest and signatures of every level, and nothing else', async () => {
    for (const name of ['a.rego', 'b/b_test.rego', 'data.json', 'b/data.yaml', '.manifest', '.signatures.json']) write(name);
    for (const name of ['README.md', '.a.rego.swp', 'a.rego~', '.git/x.rego', 'node_modules/x/x.rego', 'b/other.json', 'b/.manifest', '4913']) write(name);
    expect(await namesOf()).toEqual(['.manifest', '.signatures.json', 'a.rego', 'b/b_test.rego', 'b/data.yaml', 'data.json']);
  });

  test('D5: links are followed inside of it, as mounts of Kubernetes have them', async () => {
    write('..2026_11/a.rego', 'package mounted\n');
    symlinkSync('..2026_11', join(folder, '..data'));
    symlinkSync('..data/a.rego', join(folder, 'a.rego'));
    const { files } = await readFolder(folder);
    expect([...files].map(([name, bytes]) => [name, Buffer.from(bytes).toString()])).toEqual([['a.rego', 'package mounted\n']]);
  });

  test.each(['file', 'folder', 'absolute'])('D5: a link out of it refuses it, by name (%s)', async (kind) => {
    write('a.rego');
    mkdirSync(join(base, 'outside'));
    writeFileSync(join(base, 'outside', 'x.rego'), 'package x\n');
    symlinkSync({ file: '../outside/x.rego', folder: '../outside', absolute: join(base, 'outside/x.rego') }[kind] as string, join(folder, kind === 'folder' ? 'lib' : 'x.rego'));
    expect((await refusal(readFolder(folder))).faults).toMatchObject([{ file: kind === 'folder' ? 'lib' : 'x.rego', message: 'is a link out of the folder' }]);
  });

  test('D5: a folder whose name begins like the policy folder is outside of it', async () => {
    write('a.rego');
    mkdirSync(`${folder}-old`);
    writeFileSync(join(`${folder}-old`, 'x.rego'), 'package x\n');
    symlinkSync(`${folder}-old/x.rego`, join(folder, 'x.rego'));
    expect((await refusal(readFolder(folder))).message).toContain('x.rego:1:1: is a link out of the folder');
  });

  test('a link in a circle, a link to nothing, a missing folder, a file and an empty folder are refused', async () => {
    write('b/a.rego');
    symlinkSync('..', join(folder, 'b/loop'));
    expect((await refusal(readFolder(folder))).message).toMatch(/folders deep|link out of/);
    unlinkSync(join(folder, 'b/loop'));
    symlinkSync('nothing.rego', join(folder, 'x.rego'));
    expect((await refusal(readFolder(folder))).message).toContain('x.rego:1:1: is a link to nothing');
    expect((await refusal(readFolder(join(base, 'nowhere')))).message).toContain('is not there');
    expect((await refusal(readFolder(join(folder, 'b/a.rego')))).message).toContain('is not a folder');
    mkdirSync(join(base, 'empty'));
    expect((await refusal(readFolder(join(base, 'empty')))).message).toContain('has neither Rego nor data');
  });
});

describe('watching a folder', () => {
  let source: BundleSource;
  let told: number;
  /** Reads at each change, as the supervisor does. */
  const start = async (intervalMs = 0): Promise<void> => {
    source = createDirectorySource({ name: 'bundle', path: folder, intervalMs });
    await source.read();
    told = 0;
    let latest: Promise<unknown> = Promise.resolve();
    source.watch(() => {
      told += 1;
      latest = latest.then(() => source.read()).catch(() => undefined);
    });
    // What happened before it was watched is looked at once.
    await until('the first look', () => told > 0);
    await latest;
  };
  const noticed = async (what: string, save: () => void): Promise<void> => {
    const before = told;
    save();
    await until(what, () => told > before);
  };
  afterEach(() => source.close());

  test('every way of saving is noticed: writing, renaming over, deleting, new folders and what is in them', async () => {
    write('a.rego');
    await start();
    await noticed('a file written', () => write('a.rego', 'package b\n'));
    writeFileSync(join(base, 'a.rego.new'), 'package c\n');
    await noticed('a file renamed over another', () => renameSync(join(base, 'a.rego.new'), join(folder, 'a.rego')));
    // The file is another one now; it is still watched.
    await noticed('the new file written', () => write('a.rego', 'package d\n'));
    await noticed('a new folder', () => write('sub/deep/x.rego'));
    await until('its file to be read', async () => (await source.read()).files.has('sub/deep/x.rego'));
    await noticed('a file in the new folder', () => write('sub/deep/x.rego', 'package y\n'));
    await noticed('a file deleted', () => unlinkSync(join(folder, 'sub/deep/x.rego')));
  });

  test('a folder that vanishes and comes back is noticed, and watched again', async () => {
    write('a.rego');
    await start(50);
    await noticed('the folder moved away', () => renameSync(folder, `${folder}.old`));
    await until('that it is missed', async () => (await source.read().catch((error: Error) => error)) instanceof Error);
    await noticed('the folder back', () => renameSync(`${folder}.old`, folder));
    await until('that it is read again', () => source.read().then(() => true, () => false));
    await noticed('a file in it', () => write('a.rego', 'package again\n'));
  });

  test('a mount that is swapped by its link is noticed', async () => {
    for (const version of ['1', '2']) write(`..v${version}/a.rego`, `package v${version}\n`);
    symlinkSync('..v1', join(folder, '..data'));
    symlinkSync('..data/a.rego', join(folder, 'a.rego'));
    await start();
    symlinkSync('..v2', join(folder, '..data_tmp'));
    await noticed('the swap', () => renameSync(join(folder, '..data_tmp'), join(folder, '..data')));
    await until('the new file', async () => Buffer.from((await source.read()).files.get('a.rego') ?? []).toString() === 'package v2\n');
  });

  test('a burst is told a few times, not at every write, and its end is not missed', async () => {
    write('a.rego');
    await start();
    const before = told;
    for (let index = 0; index < 300; index += 1) write('a.rego', `package a\n\nx := ${index}\n`);
    await until('the last write', async () => Buffer.from((await source.read()).files.get('a.rego') ?? []).toString().includes('x := 299') && told > before);
    expect(told - before).toBeLessThan(20);
  });

  test('a stream of writes is told before it ends', async () => {
    write('a.rego');
    let changes = 0;
    const watched = watchFolders(() => { changes += 1; }, { quietMs: 200, latestMs: 300 });
    watched.follow(new Map([[folder, '1']]));
    await until('a change while writes go on', async () => {
      write('a.rego', `package a # ${changes}\n`);
      return changes > 1;
    });
    watched.close();
    source = createDirectorySource({ name: 'bundle', path: folder, intervalMs: 0 });
  });
});
