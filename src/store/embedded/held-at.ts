/** Reads one record in the transaction that is current, without remembering it. */
import type { RecordKey } from '../port.ts';
import { bytesAt, type Environment } from './environment.ts';
import { kindPrefix } from './keys.ts';
import { checksumSeed, decodeRecord, type HeldRecord } from './record.ts';

export const heldAt = (environment: Environment, realm: string, { kind, id }: RecordKey): HeldRecord | undefined => {
  const prefix = kindPrefix(realm, kind);
  const bytes = bytesAt(environment.records, { prefix, id });
  return bytes === undefined ? undefined : decodeRecord(kind, id, checksumSeed(prefix), bytes);
};
