/** `curfew policy build`, `check`, `fmt`. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { inputSchemas } from '../../policy/input-schema.ts';
import { loadPolicy } from '../../policy/load-policy.ts';
import { usualEntrypoints } from '../../policy/source/entrypoints.ts';
import { buildBundle } from '../../policy/toolchain/pack-bundle.ts';
import { readSources } from '../../policy/toolchain/read-sources.ts';
import { Failed } from '../api-client.ts';
import type { Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { plain } from '../print.ts';
import { withToolchain } from './session.ts';

/** The name that begins the revision. */
const nameOf = (folder: string): string => basename(resolve(folder)).replaceAll(/[^A-Za-z0-9._-]/g, '-') || 'policy';

export interface BuildOptions {
  readonly out: string;
  readonly name?: string;
  readonly entrypoint?: readonly string[];
}

export const buildCommand = (run: Run, folder: string, { out, name = nameOf(folder), entrypoint }: BuildOptions): Promise<void> =>
  withToolchain(run, folder, async (toolchain) => {
    const sources = readSources(folder);
    const entrypoints = entrypoint ?? usualEntrypoints(sources);
    await toolchain.check(sources, { strict: false, schemas: inputSchemas() });
    const { revision, archive } = await buildBundle(toolchain, sources, name, { entrypoints });
    // What can't be loaded is not written.
    await loadPolicy(archive, { entrypoints, opaBuiltins: true });
    writeFileSync(out, archive);
    run.deps.stdout(`${plain(out)}: revision ${revision}, ${archive.length} bytes, sha256 ${createHash('sha256').update(archive).digest('hex')}\n`);
  });

export const checkCommand = (run: Run, folder: string): Promise<void> =>
  withToolchain(run, folder, async (toolchain) => {
    const sources = readSources(folder);
    await toolchain.check(sources, { schemas: inputSchemas() });
    run.deps.stdout(`${Object.keys(sources).filter((name) => name.endsWith('.rego')).length} files, no faults\n`);
  });

export const formatCommand = (run: Run, folder: string, { check = false }: { readonly check?: boolean }): Promise<void> =>
  withToolchain(run, folder, async (toolchain) => {
    const changed: string[] = [];
    for (const [file, text] of Object.entries(readSources(folder))) {
      if (!file.endsWith('.rego')) continue;
      const formatted = await toolchain.format(file, text);
      if (formatted === text) continue;
      changed.push(join(folder, file));
      if (!check) writeFileSync(join(folder, file), formatted);
    }
    if (check && changed.length > 0) throw new Failed(EXIT.refused, `not formatted (run: curfew policy fmt ${folder}):\n${changed.join('\n')}`);
    run.deps.stdout(changed.map((path) => `${plain(path)}\n`).join(''));
  });
