/** Backups, restores, exports of what ended, and moves between stores. Each is whole or says that it is not, and can be run again. */
import type { Config } from '../config/schema.ts';
import { newEpoch } from '../store/embedded/marks.ts';
import { copyRealm, type CopySource, type CopyTarget, type RealmEnd } from '../store/copy/entries.ts';
import { StoreUnavailable } from '../store/port.ts';
import { openCopyFile, writeCopyFile, type FileKind } from './copy-file.ts';
import { openSource, openTarget, secretsHere } from './stores.ts';

/** With which files of this configuration's store are sealed, if it has one. */
export const fileKey = ({ store: { redis: { integrityKey } } }: Config): string | undefined => {
  if (integrityKey === undefined) return undefined;
  const key = ('file' in integrityKey ? secretsHere.readFile(integrityKey.file) : (secretsHere.env(integrityKey.env) ?? '')).trim();
  if (key === '') throw new StoreUnavailable('store.redis.integrityKey is empty');
  return key;
};

const closing = async <T>(closable: { close(): Promise<void> }, work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } finally {
    await closable.close();
  }
};

/** Beside the running service. Resolves to where each realm stood. */
export const backup = async (config: Config, path: string): Promise<ReadonlyMap<string, RealmEnd>> => {
  const source = await openSource(config, true);
  return closing(source, () => writeCopyFile(path, source, { kind: 'backup', realms: config.realms, key: fileKey(config) }));
};

/** Events after those that the file at `since` (a backup, or an earlier export) holds; all of them without. */
export const exportEndings = async (config: Config, path: string, since: { readonly path: string; readonly kind: FileKind } | undefined): Promise<ReadonlyMap<string, RealmEnd>> => {
  const key = fileKey(config);
  const before = since === undefined ? undefined : await openCopyFile(since.path, since.kind, key);
  const source = await openSource(config, true);
  return closing(source, async () => {
    if (before !== undefined && before.head.epoch !== source.head.epoch) throw new StoreUnavailable(`${since?.path} is of another store`);
    return writeCopyFile(path, source, { kind: 'endings', realms: config.realms, key, ...(before === undefined ? {} : { after: before.realms }) });
  });
};

/** The target is this copy's, new or from an earlier attempt. */
const claim = ({ found }: CopyTarget, id: string): void => {
  if (found === undefined || found.loading === id) return;
  throw new StoreUnavailable(found.loading === undefined ? 'there is a store already: give an empty directory or database' : 'there is an unfinished copy of something else: empty the directory or the database first');
};

/** Into an empty directory or database. The store has a new epoch, and denies everything until what ended since is said. */
export const restore = async (config: Config, path: string): Promise<ReadonlyMap<string, RealmEnd>> => {
  const file = await openCopyFile(path, 'backup', fileKey(config));
  const id = `backup ${file.digest}`;
  const target = await openTarget(config);
  return closing(target, async () => {
    claim(target, id);
    const { epoch: before, mode, clockMark } = file.head;
    await target.begin({ epoch: target.found?.epoch ?? newEpoch(), mode, ...(clockMark === undefined ? {} : { clockMark }) }, id);
    for (const realm of file.realms.keys()) {
      if (!(await target.hasRealm(realm))) await copyRealm({ copy: (name) => file.entries(name) }, target, realm);
    }
    await target.finish({ epoch: before, realms: Object.fromEntries(file.realms) });
    return file.realms;
  });
};

/** Says where a store is, for people and to tell one target from another. */
const placeOf = ({ store }: Config): string => {
  if (store.kind === 'embedded') return store.path;
  const { sentinels, cluster, primaryName, host, port, database } = store.redis;
  const at = cluster ?? sentinels;
  return `${at === undefined ? `${host}:${port}` : at.map((one) => `${one.host}:${one.port}`).join(',')}${sentinels === undefined ? '' : `/${primaryName}`}/${database}`;
};

const moveAll = async (source: CopySource, target: CopyTarget, to: string, realms: readonly string[]): Promise<ReadonlyMap<string, RealmEnd>> => {
  const id = `move ${source.head.epoch}`;
  // Other realms of the same store may have been moved there before.
  if (target.found?.loading !== undefined || target.found?.epoch !== source.head.epoch) claim(target, id);
  for (const realm of realms) {
    const moved = source.movedTo(realm);
    if (target.found?.moved.includes(realm) === true) throw new StoreUnavailable(`the target still holds what ${realm} was before it was moved away: give an empty directory or database`);
    if (moved !== undefined && moved !== to) throw new StoreUnavailable(`the realm ${realm} was moved to ${moved} before`);
  }
  const ends = new Map<string, RealmEnd>();
  // Before anything is copied: what is copied is what there is, and nothing is added to it in the old place.
  for (const realm of realms) await source.retire(realm, to);
  await target.begin(source.head, id);
  for (const realm of realms) {
    if (!(await target.hasRealm(realm))) ends.set(realm, await copyRealm(source, target, realm));
  }
  await target.finish();
  return ends;
};

/** Resolves to the realms that were copied, and where they stood. Run again after an interruption it goes on. */
export const migrate = async (from: Config, to: Config, realms: readonly string[]): Promise<ReadonlyMap<string, RealmEnd>> => {
  if (placeOf(from) === placeOf(to)) throw new StoreUnavailable('both configurations name the same store');
  const unknown = realms.filter((realm) => !from.realms.includes(realm) || !to.realms.includes(realm));
  if (unknown.length > 0) throw new StoreUnavailable(`${unknown.join(', ')}: not among the \`realms\` of both configurations`);
  const source = await openSource(from, false);
  return closing(source, async () => {
    const target = await openTarget(to);
    return closing(target, () => moveAll(source, target, placeOf(to), realms));
  });
};

/** Gives up a move that was not finished: the realms are used where they were. */
export const abandonMove = async (from: Config, to: Config, realms: readonly string[]): Promise<void> => {
  const source = await openSource(from, false);
  await closing(source, async () => {
    const target = await openTarget(to);
    await closing(target, async () => {
      for (const realm of realms) {
        // Whole there: it may be in use.
        if (target.found !== undefined && (await target.hasRealm(realm))) throw new StoreUnavailable(`the realm ${realm} was moved whole: finish the move, by running it again`);
      }
      for (const realm of realms) await source.reinstate(realm);
    });
  });
};
