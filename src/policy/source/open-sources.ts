/** The sources that the configuration names, together. Whatever its source, a bundle is verified before anything is made of it. */
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../decision/ports.ts';
import type { PolicyConfig, SourceConfig } from '../config.ts';
import { verifyFiles, type SignedBy, type YamlToJson } from '../signature/verify-files.ts';
import { BUNDLE_SERVER_DEFAULTS } from './bundle-server/config.ts';
import { createKeptBundle } from './bundle-server/kept-bundle.ts';
import { createServerSource } from './bundle-server/server-source.ts';
import type { BundleSource, Confirmed, SourceBundle, SourceEvent } from './bundle-source.ts';
import { createDirectorySource } from './directory-source.ts';
import { createFileSource } from './file-source.ts';

/** The bundle that comes with Curfew, wherever the working directory is. */
const PACKAGED_BUNDLE = fileURLToPath(new URL('../../../bundles/curfew.tar.gz', import.meta.url));

/** All sources of one configuration. */
export interface BundleSources {
  /** For messages. */
  readonly where: string;
  read(): Promise<readonly SourceBundle[]>;
  /** With the last good bundles of servers instead of what they have now; `undefined` when one of them has none, or there is no server. */
  readKept(): Promise<readonly SourceBundle[] | undefined>;
  /** What `read` or `readKept` gave became active. */
  accepted(bundles: readonly SourceBundle[]): Promise<void>;
  /** The server that was silent for the longest time; `undefined` when no source is a server. */
  confirmed(): Confirmed | undefined;
  /** By the names of servers. */
  confirmations(): ReadonlyMap<string, Confirmed>;
  notices(): readonly SourceEvent[];
  watch(onChange: () => void): void;
  refresh(): Promise<void>;
  close(): Promise<void>;
}

export interface SourceDeps {
  readonly clock: Clock;
  readonly onEvent: (event: SourceEvent) => void;
  /** As OPA reads YAML; where it is missing, signed YAML data is refused. */
  readonly yamlToJson?: YamlToJson;
}

type Verify = (bundle: SourceBundle) => Promise<SignedBy | undefined>;

const verified = (source: BundleSource, verify: Verify): BundleSource => ({
  ...source,
  read: async () => {
    const bundle = await source.read();
    return { ...bundle, verified: (await verify(bundle)) !== undefined };
  },
});

const openSource = (name: string, from: SourceConfig, { bundle: { reloadIntervalMs: intervalMs }, signing, keepIn }: PolicyConfig, deps: SourceDeps): BundleSource => {
  const { file, directory, url, server: config = BUNDLE_SERVER_DEFAULTS } = from;
  const verify: Verify = ({ files }) => verifyFiles(files, signing, deps.yamlToJson);
  if (url !== undefined) return createServerSource({ ...deps, name, url, config, verify, kept: createKeptBundle(keepIn, name, url) });
  if (directory !== undefined) return verified(createDirectorySource({ name, path: directory, intervalMs }), verify);
  if (file !== undefined) return verified(createFileSource({ name, path: file, intervalMs }), verify);
  // It is part of the program, and as trusted as that.
  return createFileSource({ name, path: PACKAGED_BUNDLE, intervalMs });
};

export const openSources = (policy: PolicyConfig, deps: SourceDeps): BundleSources => {
  const { bundle, bundles } = policy;
  const sources = bundles.length === 0 ? [openSource('bundle', bundle, policy, deps)] : bundles.map((one) => openSource(one.name, one, policy, deps));
  const ofAll = <T>(what: (source: BundleSource) => Promise<T>): Promise<T[]> => Promise.all(sources.map(what));
  const confirmations = (): ReadonlyMap<string, Confirmed> =>
    new Map(sources.flatMap(({ name, confirmed }) => {
      const last = confirmed?.();
      return last === undefined ? [] : [[name, last] as const];
    }));
  return {
    where: sources.map(({ where }) => where).join(', '),
    read: () => ofAll((source) => source.read()),
    readKept: async () => {
      if (!sources.some(({ readKept }) => readKept !== undefined)) return undefined;
      const kept = await ofAll(async (source) => (source.readKept === undefined ? source.read() : source.readKept()));
      return kept.every((one) => one !== undefined) ? kept : undefined;
    },
    accepted: async (read) => {
      for (const [index, one] of read.entries()) await sources[index]?.accepted?.(one);
    },
    confirmed: () => [...confirmations().values()].toSorted((a, b) => a.monotonicMs - b.monotonicMs)[0],
    confirmations,
    notices: () => sources.flatMap(({ notice }) => notice?.() ?? []),
    watch: (onChange) => {
      for (const source of sources) source.watch(onChange);
    },
    refresh: async () => {
      // All of them, also when one can't.
      const faults = (await Promise.allSettled(sources.map((source) => source.refresh()))).flatMap((one) => (one.status === 'rejected' ? [one.reason as Error] : []));
      const [fault] = faults;
      if (fault !== undefined) throw fault;
    },
    close: async () => void (await ofAll((source) => source.close())),
  };
};
