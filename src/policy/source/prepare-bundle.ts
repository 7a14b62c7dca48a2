/**
 * From what the sources gave to the one archive that is loaded: a compiled bundle as it is, Rego compiled and tested by the
 * toolchain, several bundles as one. Guarantees: faults name file, line and column where there is one, files as the user
 * knows them; the same sources give the same bytes.
 */
import { createHash } from 'node:crypto';
import { basename, join, resolve } from 'node:path';
import { BundleRefused } from '../bundle/bundle-refused.ts';
import { isDataFile } from '../bundle/entry-name.ts';
import { writeArchive } from '../bundle/write-archive.ts';
import { SourcesRefused, type ToolchainFault } from '../toolchain/fault.ts';
import { packBundle } from '../toolchain/pack-bundle.ts';
import type { PolicyTest, Sources, Toolchain } from '../toolchain/toolchain.ts';
import type { SourceBundle } from './bundle-source.ts';
import { checkBundles, isCompiled } from './check-bundles.ts';
import { dataFaults } from './data-faults.ts';
import { usualEntrypoints } from './entrypoints.ts';
import { mergeData } from './merge-data.ts';

export interface PrepareOptions {
  /** Entrypoints that must be there. */
  readonly entrypoints: readonly string[];
  /** Every package and every rule without arguments an entrypoint too, where Rego is compiled. */
  readonly everyRule?: boolean;
  /** Opened when there is something to compile. */
  readonly toolchain: () => Promise<Toolchain>;
}

export interface PreparedBundle {
  /** What the supervisor and every worker load. */
  readonly archive: Uint8Array;
  /** What was compiled. Absent where it came compiled. */
  readonly sources?: Sources;
  /** Runs the tests that its sources have; rejects with `SourcesRefused`. Once the archive was loaded: builtins that are refused must not be tried. Absent where it came compiled. */
  readonly test?: () => Promise<void>;
}

const REVISION_CHARS_MAX = 200;
const FAILED_TESTS_MAX = 20;
const TESTS_MS_MAX = 20_000;
const decoder = new TextDecoder('utf-8', { fatal: true });

/** Tells the same content from other content. */
export const contentKey = (bundles: readonly SourceBundle[]): string => {
  const hash = createHash('sha256');
  for (const { name, files } of bundles) {
    hash.update(`${JSON.stringify(name)}\n`);
    for (const file of [...files.keys()].toSorted()) hash.update(`${JSON.stringify(file)} ${createHash('sha256').update(files.get(file) as Uint8Array).digest('hex')}\n`);
  }
  return hash.digest('hex');
};

/** How a file of the compiled sources is called where it came from. */
type NameOf = (file: string) => string;

interface Gathered {
  readonly sources: Sources;
  readonly nameOf: NameOf;
}

const inBundle = ({ where, archive }: SourceBundle, file: string): string => (archive === undefined ? join(where, file) : `${where}: ${file}`);

const textOf = (bundle: SourceBundle, file: string): string => {
  try {
    return decoder.decode(bundle.files.get(file));
  } catch {
    throw new SourcesRefused([{ code: 'sources', message: 'is not UTF-8', file: inBundle(bundle, file) }]);
  }
};

const noPrototype = (entries: Iterable<readonly [string, string]>): Sources => Object.assign(Object.create(null) as Record<string, string>, Object.fromEntries(entries));

/** One bundle as it is; of several the Rego in a folder each, and the data as one file. */
const gather = async (bundles: readonly SourceBundle[], toolchain: Toolchain): Promise<Gathered> => {
  const [only] = bundles;
  if (only !== undefined && bundles.length === 1) {
    const files = [...only.files.keys()].filter((file) => file.endsWith('.rego') || isDataFile(file) || file === '.manifest');
    return { sources: noPrototype(files.map((file) => [file, textOf(only, file)])), nameOf: (file) => inBundle(only, file) };
  }
  for (const bundle of bundles) {
    if (bundle.manifest.file_rego_versions !== undefined) throw new SourcesRefused([{ code: 'sources', message: '`file_rego_versions` counts only where there is one bundle; give the whole bundle a `rego_version`', file: inBundle(bundle, '.manifest') }]);
  }
  const modules = bundles.flatMap((bundle) => [...bundle.files.keys()].filter((file) => file.endsWith('.rego')).map((file) => [bundle, file] as const));
  const names = new Map(modules.map(([bundle, file]) => [`${bundle.name}/${file}`, inBundle(bundle, file)]));
  const sources = noPrototype([
    ...modules.map(([bundle, file]) => [`${bundle.name}/${file}`, textOf(bundle, file)] as const),
    ['data.json', await mergeData(bundles, toolchain.yaml)],
    ['.manifest', JSON.stringify({
      roots: bundles.flatMap(({ manifest }) => manifest.roots),
      file_rego_versions: Object.fromEntries(modules.flatMap(([{ name, manifest }, file]) => (manifest.rego_version === undefined ? [] : [[`/${name}/${file}`, manifest.rego_version]]))),
    })],
  ]);
  return { sources, nameOf: (file) => names.get(file) ?? file };
};

/** Of the manifests, when all have one; else it is made of the content. */
const givenRevision = (bundles: readonly SourceBundle[]): string | undefined => {
  const [only] = bundles;
  if (bundles.some(({ manifest }) => manifest.revision === '')) return undefined;
  const joined = bundles.length === 1 ? only?.manifest.revision : bundles.map(({ name, manifest }) => `${name}=${manifest.revision}`).join(',');
  return joined === undefined || joined.length > REVISION_CHARS_MAX ? undefined : joined;
};

const nameFor = (bundles: readonly SourceBundle[]): string => {
  const [only] = bundles;
  const name = bundles.length === 1 && only !== undefined ? basename(resolve(only.where)).replace(/\.(?:tar\.gz|tgz)$/, '') : 'bundles';
  return name.replaceAll(/[^A-Za-z0-9._-]/g, '-').slice(0, 64) || 'policy';
};

const failureOf = ({ package: path, name, outcome, message, failed = [], file, row, col }: PolicyTest): ToolchainFault => {
  const why = outcome === 'error' ? (message ?? 'error') : failed.length > 0 ? `failed for ${failed.join(', ')}` : 'failed';
  return { code: 'test_failed', message: `test ${path.replace(/^data\./, '')}.${name}: ${why}`, file, row, col };
};

const runTests = async (toolchain: Toolchain, sources: Sources): Promise<void> => {
  if (!Object.keys(sources).some((name) => name.endsWith('.rego') && /^\s*test_/m.test(sources[name] ?? ''))) return;
  const { tests } = await toolchain.test(sources, { timeoutMs: TESTS_MS_MAX });
  const failed = tests.filter(({ outcome }) => outcome === 'failed' || outcome === 'error');
  if (failed.length > 0) throw new SourcesRefused(failed.slice(0, FAILED_TESTS_MAX).map(failureOf));
};

const compileSources = async (bundles: readonly SourceBundle[], options: PrepareOptions): Promise<PreparedBundle> => {
  const toolchain = await options.toolchain();
  const { sources, nameOf } = await gather(bundles, toolchain);
  /** Faults with the files as they are called where they came from. */
  const named = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof SourcesRefused)) throw error;
      throw new SourcesRefused(error.faults.map((fault) => (fault.file === undefined ? fault : { ...fault, file: nameOf(fault.file) })));
    }
  };
  return named(async () => {
    if (!Object.keys(sources).some((name) => name.endsWith('.rego'))) throw new BundleRefused('wasm.missing', 'has neither Rego nor policy.wasm');
    const malformed = dataFaults(sources);
    if (malformed.length > 0) throw new SourcesRefused(malformed);
    const entrypoints = [...new Set([...options.entrypoints, ...usualEntrypoints(sources)])];
    const built = await toolchain.compile(sources, { entrypoints, everyRule: options.everyRule === true });
    const { archive } = await packBundle(built, nameFor(bundles), givenRevision(bundles));
    return { archive, sources, test: () => named(async () => runTests(await options.toolchain(), sources)) };
  });
};

/** The compiled one with everybody's data. */
const joinCompiled = async (bundles: readonly SourceBundle[], compiled: SourceBundle, options: PrepareOptions): Promise<PreparedBundle> => {
  const data = await mergeData(bundles, async (text) => (await options.toolchain()).yaml(text));
  const wasm = compiled.files.get('policy.wasm') as Uint8Array;
  const roots = bundles.flatMap(({ manifest }) => manifest.roots);
  const hash = createHash('sha256').update(wasm).update(data).digest('hex').slice(0, 12);
  const manifest = { revision: givenRevision(bundles) ?? `${nameFor(bundles)}-${hash}`, roots, wasm: compiled.manifest.wasm ?? [] };
  return { archive: writeArchive([['.manifest', Buffer.from(JSON.stringify(manifest))], ['data.json', Buffer.from(data)], ['policy.wasm', wasm]]) };
};

/** Rejects with `BundleRefused`, `SourcesRefused` or, when there is something to compile and nothing to do it with, `ToolchainMissing`. */
export const prepareBundle = async (bundles: readonly SourceBundle[], options: PrepareOptions): Promise<PreparedBundle> => {
  checkBundles(bundles);
  const compiled = bundles.find(isCompiled);
  if (compiled === undefined) return compileSources(bundles, options);
  return bundles.length === 1 && compiled.archive !== undefined ? { archive: compiled.archive } : joinCompiled(bundles, compiled, options);
};
