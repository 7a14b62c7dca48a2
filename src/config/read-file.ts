/** The configuration file as text, or why there is none. */
import { readFileSync } from 'node:fs';
import type { ConfigFault } from './fault.ts';

export type ReadConfigFile = { readonly ok: true; readonly file: { readonly name: string; readonly text: string } } | { readonly ok: false; readonly faults: readonly ConfigFault[] };

export const readConfigFile = (path: string): ReadConfigFile => {
  try {
    return { ok: true, file: { name: path, text: readFileSync(path, 'utf8') } };
  } catch (error) {
    return { ok: false, faults: [{ where: path, path: '', message: `can not be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})` }] };
  }
};
