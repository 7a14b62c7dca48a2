/** I7, E10, E13: files that are deleted or replaced under the running program. What it then wrote would be gone with its process, so it is not acknowledged. */
import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Instant } from '../../src/domain/instant.ts';
import { openEmbeddedStore, type EmbeddedStore } from '../../src/store/embedded/open.ts';
import { StoreUnavailable, type Commit, type CommitOutcome } from '../../src/store/port.ts';

let folder: string;
let path: string;
let store: EmbeddedStore;
const clock = { now: () => ({ earliest: 1 as Instant, latest: 1 as Instant, trusted: true }) };

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'curfew-replaced-'));
  path = join(folder, 'store');
  store = await openEmbeddedStore({ path, mode: 'development', clock, mapSizeBytes: 64 * 2 ** 20 });
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

const commit = (id: string): Promise<CommitOutcome> => {
  const key = { kind: 'ending', id };
  const draft: Commit = { realm: 'default', expect: [], puts: [{ key, value: {} }], events: [{ type: 'revocation.placed', about: [key], ending: true, data: {} }] };
  return store.commit(draft);
};

test('a store that was deleted takes nothing and says why', async () => {
  expect((await commit('a')).outcome).toBe('committed');
  rmSync(path, { recursive: true });
  await expect(commit('b')).rejects.toThrow(StoreUnavailable);
  await expect(commit('c')).rejects.toThrow(/gone or was replaced/);
  expect(await store.health()).toMatchObject({ readable: true, writable: false, detail: expect.stringMatching(/gone/) });
});

test('a store with another copy in its place takes nothing; a restart would not find it', async () => {
  expect((await commit('a')).outcome).toBe('committed');
  const copy = join(folder, 'copy');
  cpSync(path, copy, { recursive: true });
  renameSync(path, join(folder, 'old'));
  renameSync(copy, path);
  await expect(commit('b')).rejects.toThrow(/gone or was replaced/);
  expect(await store.health()).toMatchObject({ writable: false, detail: expect.stringMatching(/replaced/) });
});
