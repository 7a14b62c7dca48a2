/** A Redis store as the target of copies: a realm is filled under an epoch of its own, which nobody reads, and gets its place at the end. */
import { canonicalJson } from '../../domain/json.ts';
import type { CopiedRecord, CopyHead, CopyTarget, Entry } from '../copy/entries.ts';
import { StoreUnavailable, type EndingsMark } from '../port.ts';
import { PLAIN, type Provenance } from '../provenance.ts';
import { writeClockMark } from './clock-mark.ts';
import { scriptOf, type Script } from './connection.ts';
import { text, type CopyParts } from './copy.ts';
import { META_KEY, historyPrefix, numberText, realmField, realmKeys, recordField } from './keys.ts';
import { readMeta, writeProvenance, type Meta } from './marks.ts';
import { PLAIN_FORMAT, putArguments, SHORT_FORMAT } from './record.ts';
import { shorten } from './short-text.ts';
import { loadLua, placeLua } from './scripts/copy.ts';

const [LOAD_SCRIPT, PLACE_SCRIPT] = [scriptOf(loadLua), scriptOf(placeLua)];
const PAGE = 200;
const LOADING = 'loading:';

const listed = <T>(items: readonly T[], each: (item: T) => readonly (string | number)[]): (string | number)[] => [items.length, ...items.flatMap(each)];
const only = <What extends Entry['what']>(entries: readonly Entry[], what: What): readonly Extract<Entry, { what: What }>[] =>
  entries.filter((entry): entry is Extract<Entry, { what: What }> => entry.what === what);

/** The last of a record's entries in a batch is the one that counts. */
const latest = (entries: readonly Entry[]): readonly Entry[] => {
  const keys = new Map<string, number>();
  entries.forEach((entry, index) => {
    if (entry.what === 'record') keys.set(recordField(entry.record.key), index);
    else if (entry.what === 'dropped') keys.set(recordField(entry.key), index);
  });
  const counts = new Set(keys.values());
  return entries.filter(({ what }, index) => (what !== 'record' && what !== 'dropped') || counts.has(index));
};

export const openRedisTarget = async ({ connection, timeoutMs, seal, replicas, close }: CopyParts): Promise<CopyTarget> => {
  const before = await readMeta(connection, timeoutMs);
  /** A store that is there stays as it is: who else uses it may be older. */
  const short = before?.short ?? true;
  let head: CopyHead | undefined;
  let loading = '';
  const begun = (): CopyHead => {
    if (head === undefined) throw new TypeError('a copy that was not begun');
    return head;
  };
  const run = async (script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<void> => {
    const answer = await connection.script(timeoutMs, script, keys, args);
    if (text(answer[0]) === 'epoch') throw new StoreUnavailable('the realm in the target is not the one that this copy began: begin again with an empty database');
  };
  const recordArguments = (realm: string, { key, created, modified, marked, value, refs, index }: CopiedRecord): readonly (string | number)[] => {
    const { field, body, count, row, owner, refs: names } = putArguments({ seal, short }, realm, { key, value, refs, ...(index === undefined ? {} : { index }) });
    const numbers = [short ? SHORT_FORMAT : PLAIN_FORMAT, created.sequence, created.at, modified.sequence, modified.at, marked?.sequence ?? 0, marked?.at ?? 0, count === '' ? -1 : Number(count)];
    return [field, JSON.stringify(numbers), row, owner, body, ...names];
  };

  return {
    ...(before === undefined ? {} : { found: { epoch: before.epoch, moved: Object.keys(before.provenance.moved), ...(before.provenance.loading === undefined ? {} : { loading: before.provenance.loading }) } }),
    begin: async (from, source) => {
      head = from;
      loading = `${LOADING}${source}`;
      const now: Meta = before ?? { epoch: from.epoch, mode: from.mode, short, provenance: { ...PLAIN, succeeds: from.succeeds ?? {} } };
      const provenance: Provenance = { ...now.provenance, loading: source };
      // The format goes last with a new store, first with one that is there: nobody takes it for whole.
      for (const [name, value] of [['epoch', now.epoch], ['mode', now.mode]] as const) await connection.command(timeoutMs, 'HSETNX', META_KEY, name, value);
      await writeProvenance(connection, timeoutMs, { short, provenance });
      const { clockMark } = from;
      if (clockMark !== undefined) await writeClockMark(connection, timeoutMs, clockMark);
    },
    hasRealm: async (realm) => {
      const found = await connection.command(timeoutMs, 'HGET', realmKeys(realm).state, 'epoch');
      return found !== null && !text(found).startsWith(LOADING);
    },
    beginRealm: async (realm) => {
      begun();
      const { state, copying: _copying, copied: _copied, ...rest } = realmKeys(realm);
      const found = await connection.command(timeoutMs, 'HGET', state, 'epoch');
      if (found !== null && text(found) === loading) return;
      if (found !== null) throw new StoreUnavailable(`the store has the realm ${realm} already`);
      if ((await connection.command(timeoutMs, 'EXISTS', ...Object.values(rest))) !== 0) throw new StoreUnavailable('keys of this realm are there without its state: they are of another program, or remains of a store. Use another database');
      await connection.command(timeoutMs, 'HSETNX', state, 'epoch', loading);
    },
    write: async (realm, entries, endings: ReadonlyMap<number, EndingsMark>) => {
      begun();
      const all = latest(entries);
      for (let from = 0; from < all.length; from += PAGE) {
        const some = all.slice(from, from + PAGE);
        await run(LOAD_SCRIPT, Object.values(realmKeys(realm)), [
          loading,
          ...listed(only(some, 'record'), ({ record }) => recordArguments(realm, record)),
          ...listed(only(some, 'dropped'), ({ key }) => [recordField(key)]),
          ...listed(only(some, 'event'), ({ event, about }) => {
            const mark = endings.get(event.sequence);
            const bytes = Buffer.from(event.bytes).toString('utf8');
            const shortened = short && mark === undefined;
            return [event.sequence, shortened ? shorten(bytes) : bytes, shortened ? '1' : '0', mark?.sequence ?? '', mark?.hash ?? '', ...listed(about, (key) => [`${historyPrefix(key)}${numberText(event.sequence)}`])];
          }),
          ...listed(only(some, 'replay'), ({ replay: { hash, digest, done, until, reply } }) => [hash, digest, done.sequence, done.at, until, seal.close(`reply ${realm}`, hash, canonicalJson(reply))]),
        ]);
      }
    },
    endRealm: async (realm, { sequence, at, endings }) => {
      const { epoch } = begun();
      await run(PLACE_SCRIPT, [realmKeys(realm).state], [loading, 'sequence', sequence, 'at', at, 'endings', endings.sequence, 'hash', endings.hash, 'epoch', epoch]);
      await connection.command(timeoutMs, 'HSET', META_KEY, realmField(realm), 'made');
    },
    finish: async (restored) => {
      begun();
      const now = await readMeta(connection, timeoutMs);
      const { loading: _loading, ...rest } = now?.provenance ?? PLAIN;
      await writeProvenance(connection, timeoutMs, { short, provenance: { ...rest, ...(restored === undefined ? {} : { restored: { epoch: restored.epoch, realms: { ...restored.realms } } }) } });
      if (replicas === 0) return;
      const reached = Math.min(...(await connection.everywhere(timeoutMs, 'WAIT', replicas, timeoutMs)).map(Number));
      if (!(reached >= replicas)) throw new StoreUnavailable(`redis: ${reached} of ${replicas} replicas confirmed the copy in time: run the same command again`);
    },
    close: async () => close(),
  };
};
