/** A bundle in one file: what is no file of a bounded size is refused at once, whatever reading it would do. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BUNDLE_LIMITS } from '../../src/policy/bundle/limits.ts';
import { createFileSource } from '../../src/policy/source/file-source.ts';
import { repositoryRoot } from '../parts.ts';

let folder: string;
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'curfew-bundle-file-')); });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = (path: string) => createFileSource({ name: 'b', path, intervalMs: 0 }).read();

test('D5, B8: a device that never ends, a pipe that nobody writes to, a folder and a file that is too large', async () => {
  await expect(read('/dev/zero')).rejects.toThrow('/dev/zero is not a regular file');
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  await expect(read(pipe)).rejects.toThrow(`${pipe} is not a regular file`);
  await expect(read(folder)).rejects.toThrow(/not a regular file|EISDIR/);
  const large = join(folder, 'large');
  writeFileSync(large, '');
  truncateSync(large, BUNDLE_LIMITS.archiveBytesMax + 1);
  await expect(read(large)).rejects.toThrow(/larger than/);
  await expect(read(join(folder, 'none'))).rejects.toThrow(/ENOENT/);
});

test('a file, and a link to it as mounts of Kubernetes have them, are read', async () => {
  const link = join(folder, 'link.tar.gz');
  symlinkSync(join(repositoryRoot, 'bundles/curfew.tar.gz'), link);
  for (const path of [join(repositoryRoot, 'bundles/curfew.tar.gz'), link]) await expect(read(path)).resolves.toBeDefined();
});
