/**
 * Builds policies/curfew into bundles/curfew.tar.gz, the same bytes wherever it runs: OPA's own compiler of the version
 * pinned in toolchain/go.mod makes the WASM, and the archive is packed anew with sorted names, no times and no owners.
 * The revision is a hash of what is inside. `--out <file>` writes elsewhere.
 */
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findOpa, root, runOpa } from './opa.mjs';
import { readTar, writeBundle } from './tar.mjs';

const ENTRYPOINTS = ['curfew/access/decision', 'curfew/admin/decision', 'curfew/lifecycle/decision'];

/** Compiles the Rego and data of some folders, laid over one another; answers the files of the bundle. */
export const compile = (opa, folders, entrypoints) => {
  const dir = mkdtempSync(join(tmpdir(), 'curfew-build-'));
  try {
    const source = join(dir, 'source');
    for (const folder of folders) cpSync(folder, source, { recursive: true });
    const out = join(dir, 'bundle.tar.gz');
    runOpa(opa, ['build', '-t', 'wasm', ...entrypoints.flatMap((name) => ['-e', name]), '--ignore', '*_test.rego', '-o', out, '-b', '.'], source);
    return readTar(readFileSync(out));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
};

/** What OPA built, reduced to what Curfew serves, with a revision made of the content. */
export const pack = (files, name) => {
  const wasm = files.get('policy.wasm');
  const data = files.get('data.json');
  const { roots, wasm: entrypoints, rego_version } = JSON.parse(files.get('.manifest').toString('utf8'));
  const content = createHash('sha256');
  for (const part of [wasm, data, Buffer.from(JSON.stringify([roots, entrypoints]))]) content.update(createHash('sha256').update(part).digest());
  const revision = `${name}-${content.digest('hex').slice(0, 12)}`;
  const manifest = Buffer.from(JSON.stringify({ revision, roots, wasm: entrypoints, rego_version }));
  return { revision, archive: writeBundle([['.manifest', manifest], ['data.json', data], ['policy.wasm', wasm]]) };
};

/** The default pack: its revision and archive. */
export const buildPack = (opa = findOpa()) => pack(compile(opa, [join(root, 'policies', 'curfew')], ENTRYPOINTS), 'curfew');

if (process.argv[1] === import.meta.filename) {
  const at = process.argv.indexOf('--out');
  const out = at === -1 ? join(root, 'bundles', 'curfew.tar.gz') : resolve(process.argv[at + 1]);
  const { revision, archive } = buildPack();
  writeFileSync(out, archive);
  console.log(`${out}: revision ${revision}, ${archive.length} bytes, sha256 ${createHash('sha256').update(archive).digest('hex')}`);
}
