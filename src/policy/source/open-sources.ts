/** The sources that the configuration names, together. */
import { fileURLToPath } from 'node:url';
import type { PolicyConfig, SourceConfig } from '../config.ts';
import type { BundleSource, SourceBundle } from './bundle-source.ts';
import { createDirectorySource } from './directory-source.ts';
import { createFileSource } from './file-source.ts';

/** The bundle that comes with Curfew, wherever the working directory is. */
const PACKAGED_BUNDLE = fileURLToPath(new URL('../../../bundles/curfew.tar.gz', import.meta.url));

/** All sources of one configuration. */
export interface BundleSources {
  /** For messages. */
  readonly where: string;
  read(): Promise<readonly SourceBundle[]>;
  watch(onChange: () => void): void;
  refresh(): Promise<void>;
  close(): Promise<void>;
}

const openSource = (name: string, config: SourceConfig, intervalMs: number): BundleSource => {
  const { file, directory } = config;
  if (directory !== undefined) return createDirectorySource({ name, path: directory, intervalMs });
  return createFileSource({ name, path: file ?? PACKAGED_BUNDLE, intervalMs });
};

export const openSources = ({ bundle, bundles }: PolicyConfig): BundleSources => {
  const { reloadIntervalMs } = bundle;
  const sources = bundles.length === 0 ? [openSource('bundle', bundle, reloadIntervalMs)] : bundles.map((one) => openSource(one.name, one, reloadIntervalMs));
  const ofAll = <T>(what: (source: BundleSource) => Promise<T>): Promise<T[]> => Promise.all(sources.map(what));
  return {
    where: sources.map(({ where }) => where).join(', '),
    read: () => ofAll((source) => source.read()),
    watch: (onChange) => {
      for (const source of sources) source.watch(onChange);
    },
    refresh: async () => void (await ofAll((source) => source.refresh())),
    close: async () => void (await ofAll((source) => source.close())),
  };
};
