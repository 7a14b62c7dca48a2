/** The policy bundle that comes with Curfew, whose entitlements are for workloads of example.org instead of the development's. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from '../parts.ts';

export interface MeshBundle {
  readonly path: string;
  remove(): void;
}

const tar = (...args: readonly string[]): void => {
  const { status, stderr } = spawnSync('tar', args);
  if (status !== 0) throw new Error(`tar: ${String(stderr)}`);
};

export const createMeshBundle = (): MeshBundle => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-bundle-'));
  const [data, path] = [join(folder, 'data.json'), join(folder, 'mesh.tar.gz')];
  tar('-xzf', join(repositoryRoot, 'bundles/curfew.tar.gz'), '-C', folder);
  writeFileSync(data, readFileSync(data, 'utf8').replaceAll('spiffe://dev.local/', 'spiffe://example.org/'));
  tar('-czf', path, '-C', folder, '.manifest', 'data.json', 'policy.wasm');
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
};
