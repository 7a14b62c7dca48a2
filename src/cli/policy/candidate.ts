/** A bundle that is not active anywhere, from a folder of sources or a file: made as Curfew itself would make it. */
import { statSync } from 'node:fs';
import { createDirectorySource } from '../../policy/source/directory-source.ts';
import { createFileSource } from '../../policy/source/file-source.ts';
import { prepareBundle, type PreparedBundle } from '../../policy/source/prepare-bundle.ts';
import { openToolchain } from '../../policy/toolchain/open-toolchain.ts';
import type { Toolchain } from '../../policy/toolchain/toolchain.ts';
import { Failed } from '../api-client.ts';
import type { Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';

/** Rejects as the loader would: `BundleRefused`, `SourcesRefused`, `ToolchainMissing`. */
export const readCandidate = async (run: Run, path: string, entrypoints: readonly string[]): Promise<PreparedBundle> => {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new Failed(EXIT.unavailable, `${path} is not there`);
  const options = { name: 'bundle', path, intervalMs: 0 };
  const source = stat.isDirectory() ? createDirectorySource(options) : createFileSource(options);
  let toolchain: Promise<Toolchain> | undefined;
  try {
    return await prepareBundle([await source.read()], { entrypoints, toolchain: () => (toolchain ??= (run.deps.openToolchain ?? openToolchain)()) });
  } finally {
    await source.close();
    await (await toolchain?.catch(() => undefined))?.close();
  }
};
