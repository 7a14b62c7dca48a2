/** Takes records and their rows of the time index away, inside the current write transaction. */
import { ROWS_MAX, type RecordKey } from '../port.ts';
import type { Environment } from './environment.ts';
import { heldAt } from './held-at.ts';
import { removeIndexRow, scanRows } from './index-row.ts';
import { keyBytes, kindPrefix } from './keys.ts';
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

/** The owner's rows that end after `from`, from the time index itself: a list that was cut short can't say what moves up. */
export const rowsAfter = (environment: Environment, realm: string, owner: string, from: number): readonly IndexRow[] =>
  scanRows(environment, realm, owner, { after: from, limit: ROWS_MAX + 1 });
