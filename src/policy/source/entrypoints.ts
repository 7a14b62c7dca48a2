/** Which rules Curfew asks of a folder of sources, as far as it has them. */
import type { Sources } from '../toolchain/toolchain.ts';

export const usualEntrypoints = (sources: Sources): readonly string[] => {
  const texts = Object.entries(sources).filter(([name]) => name.endsWith('.rego')).map(([, text]) => text);
  const decisions = ['access', 'admin', 'lifecycle'].filter((name) => texts.some((text) => new RegExp(`^package curfew\\.${name}\\s*$`, 'm').test(text))).map((name) => `curfew/${name}/decision`);
  // What the decision log leaves out.
  const ofLog = texts.filter((text) => /^package system\.log\s*$/m.test(text));
  return [...decisions, ...['mask', 'drop'].filter((rule) => ofLog.some((text) => new RegExp(`^(?:default\\s+)?${rule}\\b`, 'm').test(text))).map((rule) => `system/log/${rule}`)];
};
