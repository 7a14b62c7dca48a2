/** Whether several bundles fit together: each owns what its manifest's roots say, and nothing has two owners. */
import { BundleRefused, quoted } from '../bundle/bundle-refused.ts';
import { rootsOverlap, underRoots } from '../bundle/roots.ts';
import type { SourceBundle } from './bundle-source.ts';

const decoder = new TextDecoder();

/** Path of the module's package; a module begins with it. */
const packageOf = (text: string): string | undefined => {
  const name = /^(?:\s|#[^\n]*\n)*package[ \t]+([\p{L}_][^\s#;]*)/u.exec(text)?.[1];
  return name?.replaceAll(/\["([^"]*)"\]/g, '/$1').replaceAll('.', '/');
};

export const isCompiled = ({ files }: SourceBundle): boolean => files.has('policy.wasm');

const rego = ({ files }: SourceBundle): readonly string[] => [...files.keys()].filter((name) => name.endsWith('.rego'));

const checkPackages = ({ name, files, manifest: { roots } }: SourceBundle, modules: readonly string[]): void => {
  for (const file of modules) {
    const path = packageOf(decoder.decode(files.get(file)));
    if (path !== undefined && !underRoots(roots, path)) throw new BundleRefused('roots.conflict', `bundle ${quoted(name)}: ${file} has package ${quoted(path)}, which is not under its roots ${roots.map(quoted).join(', ')}`);
  }
};

/** Throws `BundleRefused`; one bundle alone always fits. */
export const checkBundles = (bundles: readonly SourceBundle[]): void => {
  if (bundles.length === 1) return;
  for (const [index, one] of bundles.entries()) {
    for (const other of bundles.slice(index + 1)) {
      const root = rootsOverlap(one.manifest.roots, other.manifest.roots);
      if (root !== undefined) throw new BundleRefused('roots.conflict', `bundles ${quoted(one.name)} and ${quoted(other.name)} both own ${quoted(root)}; say in each .manifest which roots it has`);
    }
  }
  const compiled = bundles.filter(isCompiled);
  if (compiled.length > 1) throw new BundleRefused('bundles.mixed', `bundles ${compiled.map(({ name }) => quoted(name)).join(' and ')} are both compiled; only one may be`);
  for (const bundle of bundles) {
    if (isCompiled(bundle)) continue;
    const modules = rego(bundle);
    if (compiled[0] !== undefined && modules.length > 0) {
      throw new BundleRefused('bundles.mixed', `bundle ${quoted(bundle.name)} has Rego, which can not be added to ${quoted(compiled[0].name)}, since that is compiled already`);
    }
    checkPackages(bundle, modules);
  }
};
