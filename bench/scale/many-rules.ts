/** The default pack with many more rules that a decision has to look at, compiled by OPA's own compiler: none of them applies. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { repositoryRoot } from '../harness/run-bench.ts';
import { writeBenchFolder } from '../support/bench-bundle.ts';

interface Build {
  compile(opa: string, folders: readonly string[], entrypoints: readonly string[]): Map<string, Buffer>;
  pack(files: Map<string, Buffer>, name: string): { readonly archive: Buffer };
}

/** `folder` must not exist. */
export const bundleWithRules = async (folder: string, rules: number): Promise<Uint8Array> => {
  const scripts = (name: string): string => pathToFileURL(join(repositoryRoot(), 'scripts', name)).href;
  const { compile, pack } = (await import(scripts('policy-build.mjs'))) as Build;
  const { findOpa } = (await import(scripts('opa.mjs'))) as { findOpa: () => string };
  mkdirSync(folder, { recursive: true });
  writeBenchFolder(folder, 0);
  const text = Array.from({ length: rules }, (_, index) => `refusals contains "rule ${index}" if {\n\tinput.curfew.action == "PATCH"\n\tstartswith(input.curfew.resource.id, "shop.local/area-${index}/")\n}\n`);
  writeFileSync(join(folder, 'rules.rego'), `package curfew.access\n\n${text.join('\n')}`);
  return pack(compile(findOpa(), [folder], ['curfew/access/decision']), 'bench').archive;
};
