/** Takes records and their rows of the time index away, inside the current write transaction. */
import { ROWS_MAX, type RecordKey } from '../port.ts';
import type { Environment } from './environment.ts';
import { heldAt } from './held-at.ts';
import { indexRow, removeIndexRow } from './index-row.ts';
import { indexBound, keyBytes, kindPrefix, ownerPrefix } from './keys.ts';
import type { IndexRow } from './owner-rows.ts';

/** Owners one of whose rows went, with the latest end of such a row. */
export const dropRecords = (environment: Environment, realm: string, keys: readonly RecordKey[]): ReadonlyMap<string, number> => {
  const owners = new Map<string, number>();
  for (const key of keys) {
    const held = heldAt(environment, realm, key);
    if (held === undefined) continue;
    environment.records.removeSync(keyBytes({ prefix: kindPrefix(realm, key.kind), id: key.id }));
    if (held.index === undefined) continue;
    const { owner, end } = held.index;
    removeIndexRow(environment, realm, owner, { end, key });
    owners.set(owner, Math.max(end, owners.get(owner) ?? 0));
  }
  return owners;
};

/** As an end that no row has: bounds are 48 bits wide. */
const NEVER = 2 ** 48 - 1;

/** The owner's rows that end after `from`, from the time index itself: a list that was cut short can't say what moves up. */
export const rowsAfter = (environment: Environment, realm: string, owner: string, from: number): readonly IndexRow[] => {
  const prefix = ownerPrefix(realm, owner);
  const keys = environment.index.getKeys({ start: indexBound(prefix, NEVER), end: indexBound(prefix, from + 1), reverse: true, limit: ROWS_MAX + 1 });
  return [...keys].map((bytes) => indexRow(environment, prefix, bytes));
};
