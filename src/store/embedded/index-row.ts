/** Rows of the time index: the key says everything, except an id that is too long for it, which is the row's value. */
import { StoreUnavailable } from '../port.ts';
import { bytesAt, type Environment } from './environment.ts';
import type { IndexRow } from './owner-rows.ts';
import { indexBound, indexKeyBytes, isHashed, ownerPrefix, parseIndexKey } from './keys.ts';

const NO_VALUE = Buffer.from([0]);

export const putIndexRow = (environment: Environment, realm: string, owner: string, row: IndexRow): void => {
  const { id } = row.key;
  const value = isHashed(id) ? Buffer.from(JSON.stringify(id), 'utf8') : NO_VALUE;
  environment.index.putSync(indexKeyBytes(ownerPrefix(realm, owner), row.end, row.key), value);
};

export const removeIndexRow = (environment: Environment, realm: string, owner: string, row: IndexRow): void => {
  environment.index.removeSync(indexKeyBytes(ownerPrefix(realm, owner), row.end, row.key));
};

export const indexRow = (environment: Environment, owner: Buffer, bytes: Buffer): IndexRow => {
  const { end, kind, id = longId(environment, bytes) } = parseIndexKey(owner, bytes);
  return { end, key: { kind, id } };
};

/** As an end that no row has: bounds are 48 bits wide. */
const NEVER = 2 ** 48 - 1;

/** The owner's rows that end later than `after` and no later than `upTo`, latest first. */
export const scanRows = (environment: Environment, realm: string, owner: string, bounds: { readonly after?: number; readonly upTo?: number; readonly limit: number }): IndexRow[] => {
  const prefix = ownerPrefix(realm, owner);
  // A reverse range begins at `start` and leaves out `end`; no key equals a bound.
  const start = indexBound(prefix, bounds.upTo === undefined ? NEVER : bounds.upTo + 1);
  const end = bounds.after === undefined ? prefix : indexBound(prefix, bounds.after + 1);
  const keys = environment.index.getKeys({ start, end, reverse: true, limit: bounds.limit });
  return [...keys].map((bytes) => indexRow(environment, prefix, bytes));
};

const longId = (environment: Environment, keyBytes: Buffer): string => {
  try {
    return JSON.parse(bytesAt(environment.index, keyBytes)?.toString('utf8') ?? '') as string;
  } catch (cause) {
    throw new StoreUnavailable('a row of the time index is damaged; restore the store from a backup', { cause });
  }
};
