/** Rows of the time index: the key says everything, except an id that is too long for it, which is the row's value. */
import { StoreUnavailable, type RecordKey } from '../port.ts';
import { bytesAt, type Environment } from './environment.ts';
import { indexKeyBytes, isHashed, ownerPrefix, parseIndexKey } from './keys.ts';

export interface IndexRow {
  readonly end: number;
  readonly key: RecordKey;
}

const NO_VALUE = Buffer.from([0]);

export const putIndexRow = (environment: Environment, realm: string, row: { readonly key: RecordKey; readonly owner: string; readonly end: number }): void => {
  const { id } = row.key;
  const value = isHashed(id) ? Buffer.from(JSON.stringify(id), 'utf8') : NO_VALUE;
  environment.index.putSync(indexKeyBytes(ownerPrefix(realm, row.owner), row.end, row.key), value);
};

export const indexRow = (environment: Environment, owner: Buffer, bytes: Buffer): IndexRow => {
  const { end, kind, id = longId(environment, bytes) } = parseIndexKey(owner, bytes);
  return { end, key: { kind, id } };
};

const longId = (environment: Environment, keyBytes: Buffer): string => {
  try {
    return JSON.parse(bytesAt(environment.index, keyBytes)?.toString('utf8') ?? '') as string;
  } catch (cause) {
    throw new StoreUnavailable('a row of the time index is damaged; restore the store from a backup', { cause });
  }
};
