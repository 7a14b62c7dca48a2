import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { afterAll, expect, test } from 'vitest';
import { openEmbeddedStore } from '../../src/store/embedded/open.ts';
import { compile } from './compiled.ts';
import { startTurns, storeContract } from './contract.ts';
import { startPeer, type StoreHarness } from './harness.ts';
import { stateKeyBytes } from '../../src/store/embedded/realm-state.ts';

const root = mkdtempSync(join(tmpdir(), 'curfew-store-'));
const compiled = compile(['test/store/peer.ts']);
afterAll(() => {
  compiled.remove();
  rmSync(root, { recursive: true, force: true });
});

const harness: StoreHarness = {
  driver: 'embedded',
  place: () => mkdtempSync(join(root, 'store-')),
  open: (path, clock) => openEmbeddedStore({ path, mode: 'development', clock }),
  peerFile: compiled.fileOf('test/store/peer.ts'),
};

storeContract(harness);

test('control: the same reads are stale where the read transaction is not renewed', { timeout: 120_000 }, async () => {
  const location = harness.place();
  const peer = await startPeer(harness, location, 1_800_000_000_000);
  const turns = await startTurns(peer, 50);
  const raw = open<Buffer, Buffer>({ path: location, noSubdir: false, overlappingSync: false, maxDbs: 8, encoding: 'binary', keyEncoding: 'binary' });
  const state = raw.openDB<Buffer, Buffer>({ name: 'state', encoding: 'binary', keyEncoding: 'binary' });
  const sequence = (): number => state.getBinary(stateKeyBytes('default'))?.readDoubleLE(8) ?? 0;
  let stale = 0;
  for (let round = 1; round <= 50; round += 1) {
    sequence();
    turns.commitThere(round);
    if (sequence() !== round) stale += 1;
    raw.resetReadTxn();
    expect(sequence()).toBe(round);
  }
  expect(stale).toBe(50);
  turns.end();
  await raw.close();
  await peer.close();
});
