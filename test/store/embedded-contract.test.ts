import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { openEmbeddedStore } from '../../src/store/embedded/open.ts';
import { compile } from './compiled.ts';
import { storeContract } from './contract.ts';

const root = mkdtempSync(join(tmpdir(), 'curfew-store-'));
const compiled = compile(['test/store/peer.ts']);
afterAll(() => {
  compiled.remove();
  rmSync(root, { recursive: true, force: true });
});

storeContract({
  driver: 'embedded',
  place: () => mkdtempSync(join(root, 'store-')),
  open: (path, clock) => openEmbeddedStore({ path, mode: 'development', clock }),
  peerFile: compiled.fileOf('test/store/peer.ts'),
});
