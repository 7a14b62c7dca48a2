/** The toolchain of this machine; see locate.ts for where it is looked for. */
import { openBuilt } from './built-toolchain.ts';
import { locateToolchain } from './locate.ts';
import { openCommand } from './opa-command.ts';
import type { Toolchain } from './toolchain.ts';

/** Rejects with `ToolchainMissing`, which says what to install. Nothing is started before the first call. */
export const openToolchain = async (folders?: readonly URL[]): Promise<Toolchain> => {
  const found = await locateToolchain(folders);
  return found.kind === 'built' ? openBuilt(found.worker) : openCommand(found.command, found.version);
};
