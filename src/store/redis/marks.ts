/**
 * What the store says about itself: format, mode, epoch, and which realms it holds. A realm whose data is gone although it was
 * there is not made anew: an empty store means unknown, never that nothing was ended.
 */
import { randomBytes } from 'node:crypto';
import { StoreUnavailable } from '../port.ts';
import { isPlain, PLAIN, provenanceSchema, type Provenance } from '../provenance.ts';
import type { Connection } from './connection.ts';
import { META_KEY, realmField, realmKeys } from './keys.ts';
import { NO_ENDINGS } from '../event.ts';

export type StoreMode = 'development' | 'production';

const FORMAT = '1';
/** Of a store that says where it comes from. */
const FORMAT_WITH_PROVENANCE = '2';
/** Of a store whose records are short, which may say where it comes from: every store that this version makes. */
const SHORT = '3';
const FORMATS: readonly string[] = [FORMAT, FORMAT_WITH_PROVENANCE, SHORT];
const EPOCH = /^[A-Za-z0-9_-]{16}$/;

const texts = (reply: unknown): readonly (string | undefined)[] =>
  Array.isArray(reply) ? reply.map((item: unknown) => (Buffer.isBuffer(item) ? item.toString('utf8') : undefined)) : [];

export interface Meta {
  readonly epoch: string;
  readonly mode: StoreMode;
  readonly provenance: Provenance;
  /** Its records and events are written short, which versions before 0.2 can't read: they refuse the whole store. */
  readonly short: boolean;
}

const damaged = (): StoreUnavailable => new StoreUnavailable('the marks of the store are damaged; restore it from a backup');

const provenanceOf = (text: string | undefined): Provenance => {
  try {
    return provenanceSchema.parse(JSON.parse(text ?? ''));
  } catch {
    throw damaged();
  }
};

/** `undefined` when there are none yet. Rejects for a format that this process must not touch. */
export const readMeta = async (connection: Connection, timeoutMs: number): Promise<Meta | undefined> => {
  const [format, mode, epoch, provenance] = texts(await connection.command(timeoutMs, 'HMGET', META_KEY, 'format', 'mode', 'epoch', 'provenance'));
  if (format === undefined) return undefined;
  if (!FORMATS.includes(format)) {
    throw new StoreUnavailable(`the store has format ${format}, this version of Curfew reads format ${SHORT}: use the version that wrote it, or another database`);
  }
  if (epoch === undefined || !EPOCH.test(epoch) || (mode !== 'development' && mode !== 'production')) throw damaged();
  const short = format === SHORT;
  return { epoch, mode, short, provenance: format === FORMAT || (short && provenance === undefined) ? PLAIN : provenanceOf(provenance) };
};

const formatOf = ({ short, provenance }: Pick<Meta, 'short' | 'provenance'>): string => (short ? SHORT : isPlain(provenance) ? FORMAT : FORMAT_WITH_PROVENANCE);

/** What it says is there before the format says that it must be read. `more`: fields and values that change with it. */
export const writeProvenance = async (connection: Connection, timeoutMs: number, meta: Pick<Meta, 'short' | 'provenance'>, ...more: readonly string[]): Promise<void> => {
  await connection.command(timeoutMs, 'HSET', META_KEY, ...more, 'provenance', JSON.stringify(meta.provenance), 'format', formatOf(meta));
};

/** Makes the marks if there are none. Rejects for a format or mode that this process must not touch. */
export const openMarks = async (connection: Connection, timeoutMs: number, mode: StoreMode): Promise<Meta> => {
  if ((await readMeta(connection, timeoutMs)) === undefined) {
    // Whoever comes first says which; the others read it.
    await connection.command(timeoutMs, 'HSETNX', META_KEY, 'epoch', randomBytes(12).toString('base64url'));
    await connection.command(timeoutMs, 'HSETNX', META_KEY, 'mode', mode);
    await connection.command(timeoutMs, 'HSETNX', META_KEY, 'format', SHORT);
  }
  const meta = await readMeta(connection, timeoutMs);
  if (meta === undefined) throw damaged();
  if (meta.mode === mode) return meta;
  throw new StoreUnavailable(
    meta.mode === 'development'
      ? 'this store was made in development mode, where identities and operators are not real: production does not open it. Use another database'
      : 'this store was made for production: development mode does not open it. Use another database',
  );
};

/** Makes a realm that has never been there. Rejects when it was, or when the store is no longer the one that was opened. */
export const makeRealm = async (connection: Connection, timeoutMs: number, realm: string, epoch: string): Promise<void> => {
  const field = realmField(realm);
  const [now, known] = texts(await connection.command(timeoutMs, 'HMGET', META_KEY, 'epoch', field));
  if (now !== epoch) throw new StoreUnavailable('the store was emptied or replaced under the running program: what had ended is no longer known. Restore it from a backup');
  if (known === 'made') throw new StoreUnavailable("a realm's data is gone from the store: what had ended in it is no longer known. Restore it from a backup");
  const { state, ...rest } = realmKeys(realm);
  const remains = await connection.command(timeoutMs, 'EXISTS', ...Object.values(rest));
  if (remains !== 0) throw new StoreUnavailable('keys of this realm are there without its state: they are of another program, or remains of a store. Use another database');
  await connection.command(timeoutMs, 'HSETNX', META_KEY, field, 'making');
  const { sequence, hash } = NO_ENDINGS;
  // Its epoch goes last: until then nobody reads or writes it.
  for (const [name, value] of [['sequence', '0'], ['at', '0'], ['endings', String(sequence)], ['hash', hash], ['epoch', epoch]] as const) {
    await connection.command(timeoutMs, 'HSETNX', state, name, value);
  }
  await connection.command(timeoutMs, 'HSET', META_KEY, field, 'made');
};
