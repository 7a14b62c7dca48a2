/** One command over a folder of policy sources: opens the toolchain, tells faults with their place, closes it again. */
import { join } from 'node:path';
import { BundleRefused } from '../../policy/bundle/bundle-refused.ts';
import { faultLine, SourcesRefused, ToolchainMissing } from '../../policy/toolchain/fault.ts';
import { openToolchain } from '../../policy/toolchain/open-toolchain.ts';
import type { Toolchain } from '../../policy/toolchain/toolchain.ts';
import { Failed } from '../api-client.ts';
import type { Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';

/** What went wrong, as an error the program prints; paths are those the user typed. */
export const asFailed = (error: unknown, folder: string): unknown => {
  if (error instanceof SourcesRefused) {
    return new Failed(EXIT.refused, error.faults.map((fault) => faultLine(fault.file === undefined ? fault : { ...fault, file: join(folder, fault.file) })).join('\n'));
  }
  if (error instanceof BundleRefused) return new Failed(EXIT.refused, error.message);
  return error instanceof ToolchainMissing ? new Failed(EXIT.unavailable, error.message) : error;
};

export const withToolchain = async (run: Run, folder: string, work: (toolchain: Toolchain) => Promise<void>): Promise<void> => {
  let toolchain: Toolchain | undefined;
  try {
    toolchain = await (run.deps.openToolchain ?? openToolchain)();
    await work(toolchain);
  } catch (error) {
    throw asFailed(error, folder);
  } finally {
    await toolchain?.close();
  }
};
