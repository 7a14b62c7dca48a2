/** Which rules Curfew asks of a folder of sources, as far as it has them. */
import type { Sources } from '../toolchain/toolchain.ts';

export const usualEntrypoints = (sources: Sources): readonly string[] => {
  const texts = Object.entries(sources).filter(([name]) => name.endsWith('.rego')).map(([, text]) => text);
  return ['access', 'admin', 'lifecycle'].filter((name) => texts.some((text) => new RegExp(`^package curfew\\.${name}\\s*$`, 'm').test(text))).map((name) => `curfew/${name}/decision`);
};
