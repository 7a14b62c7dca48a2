/** A bundle that is not active anywhere, from a folder of sources or a file: made as Curfew itself would make it. */
import { statSync } from 'node:fs';
import { BundleRefused } from '../../policy/bundle/bundle-refused.ts';
import { createDirectorySource } from '../../policy/source/directory-source.ts';
import { createFileSource } from '../../policy/source/file-source.ts';
import { prepareBundle, type PreparedBundle } from '../../policy/source/prepare-bundle.ts';
import { SourcesRefused, ToolchainMissing } from '../../policy/toolchain/fault.ts';
import { openToolchain } from '../../policy/toolchain/open-toolchain.ts';
import type { Toolchain } from '../../policy/toolchain/toolchain.ts';
import { Failed } from '../api-client.ts';
import type { Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';

/** What is wrong with the candidate, as an error that the program prints. */
export const refusedCandidate = (path: string) => (error: unknown): never => {
  if (error instanceof BundleRefused) throw new Failed(EXIT.unavailable, `${path}: ${error.message}`);
  throw error instanceof SourcesRefused || error instanceof ToolchainMissing ? new Failed(EXIT.unavailable, error.message) : error;
};

/** Rejects with `Failed`. */
export const readCandidate = async (run: Run, path: string, entrypoints: readonly string[]): Promise<PreparedBundle> => {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new Failed(EXIT.unavailable, `${path} is not there`);
  const options = { name: 'bundle', path, intervalMs: 0 };
  const source = stat.isDirectory() ? createDirectorySource(options) : createFileSource(options);
  let toolchain: Promise<Toolchain> | undefined;
  try {
    return await prepareBundle([await source.read().catch(refusedCandidate(path))], { entrypoints, toolchain: () => (toolchain ??= (run.deps.openToolchain ?? openToolchain)()) }).catch(refusedCandidate(path));
  } finally {
    await source.close();
    await (await toolchain?.catch(() => undefined))?.close();
  }
};
