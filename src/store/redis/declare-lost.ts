/**
 * What a node knew of a server that the server does not have any more; and making that server's store one that says of itself that it has
 * forgotten: with a new epoch, in which everything is denied until an operator has said how to go on (as after a restore).
 */
import { createHash, randomBytes } from 'node:crypto';
import { NO_ENDINGS } from '../event.ts';
import { StoreUnavailable } from '../port.ts';
import type { Provenance, Restored } from '../provenance.ts';
import { scriptOf, type Connection } from './connection.ts';
import { META_KEY, realmField, realmKeys } from './keys.ts';
import { openMarks, readMeta, writeProvenance } from './marks.ts';
import { placeLua } from './scripts/copy.ts';
import type { Remembered } from './witness-file.ts';
import type { Seen } from './witness.ts';

const PLACE = scriptOf(placeLua);
/** While realms get the new epoch, one after the other: nobody opens the store. */
const DECLARING = /^lost:([^:]+):([^:]+)$/;
const NOTHING_THERE = { sequence: 0, at: 0, endings: NO_ENDINGS };

interface Parts {
  readonly connection: Connection;
  readonly timeoutMs: number;
  readonly replicas: number;
}
type There = Restored['realms'][string] & { readonly epoch: string };

export interface LostRealm {
  readonly realm: string;
  readonly known: Seen;
  readonly there: Restored['realms'][string];
}

export interface Loss {
  /** Of exactly this difference. */
  readonly name: string;
  /** Epoch that the node knew. */
  readonly epoch: string;
  readonly realms: readonly LostRealm[];
}

const stateOf = async ({ connection, timeoutMs }: Parts, realm: string): Promise<There | undefined> => {
  const reply = (await connection.command(timeoutMs, 'HMGET', realmKeys(realm).state, 'epoch', 'sequence', 'at', 'endings', 'hash')) as readonly (Buffer | null)[];
  const [epoch, sequence, at, endings, hash] = reply.map((value) => value?.toString('utf8'));
  return epoch === undefined ? undefined : { epoch, sequence: Number(sequence), at: Number(at), endings: { sequence: Number(endings), hash: hash ?? '' } };
};

const hashAt = async ({ connection, timeoutMs }: Parts, realm: string, count: number): Promise<string | undefined> => {
  if (count === 0) return NO_ENDINGS.hash;
  const found = (await connection.command(timeoutMs, 'XRANGE', realmKeys(realm).endings, `${count}-0`, `${count}-0`)) as readonly (readonly [Buffer, readonly Buffer[]])[];
  return found[0]?.[1][3]?.toString('utf8');
};

const epochOf = async ({ connection, timeoutMs }: Parts): Promise<string | undefined> => {
  const meta = await readMeta(connection, timeoutMs);
  return DECLARING.exec(meta?.provenance.loading ?? '')?.[1] ?? meta?.epoch;
};

/** `undefined`: nothing, as far as this node knows. */
export const lossOf = async (parts: Parts, remembered: Remembered): Promise<Loss | undefined> => {
  const epoch = await epochOf(parts);
  const realms: LostRealm[] = [];
  for (const [realm, known] of remembered.realms) {
    const state = await stateOf(parts, realm);
    const { epoch: _epoch, ...there } = state ?? { epoch: '', ...NOTHING_THERE };
    const same = epoch === remembered.epoch && there.sequence >= known.sequence && there.endings.sequence >= known.endings.sequence && (await hashAt(parts, realm, known.endings.sequence)) === known.endings.hash;
    if (!same) realms.push({ realm, known, there });
  }
  if (realms.length === 0) return undefined;
  // Without what goes on changing there: nodes put back what they know.
  const text = JSON.stringify([remembered.epoch, epoch === remembered.epoch, realms.map(({ realm, known }) => [realm, known])]);
  return { name: createHash('sha256').update(text).digest('hex').slice(0, 12), epoch: remembered.epoch, realms };
};

/** Interrupted, it is run again and goes on. `realms`: all that the store has. */
export const declareLost = async (parts: Parts, loss: Loss, realms: readonly string[]): Promise<void> => {
  const { connection, timeoutMs, replicas } = parts;
  const meta = await openMarks(connection, timeoutMs, 'production');
  const { loading, ...rest } = meta.provenance;
  const begun = DECLARING.exec(loading ?? '');
  if (loading !== undefined && begun === null) throw new StoreUnavailable('the store is being filled: finish the restore or the move first');
  const write = (epoch: string, provenance: Provenance): Promise<void> => writeProvenance(connection, timeoutMs, { short: meta.short, provenance }, 'epoch', epoch);
  const fields = ((await connection.command(timeoutMs, 'HGETALL', META_KEY)) as readonly Buffer[]).filter((_, index) => index % 2 === 0).map((field) => field.toString('utf8'));
  const known = new Set(realms.map(realmField));
  const unnamed = fields.filter((field) => field.startsWith('realm:') && !known.has(field));
  if (unnamed.length > 0) throw new StoreUnavailable(`the store has realms that the configuration does not name: ${unnamed.map((field) => field.slice('realm:'.length)).join(', ')}`);

  const now: Record<string, Restored['realms'][string]> = {};
  // A server that was emptied has an epoch of its own already.
  const next = begun?.[2] ?? (meta.epoch === loss.epoch ? randomBytes(12).toString('base64url') : meta.epoch);
  if (next !== meta.epoch) await write(meta.epoch, { ...rest, loading: `lost:${loss.epoch}:${next}` });
  for (const realm of realms) {
    const state = await stateOf(parts, realm);
    if (state?.epoch === loss.epoch && next !== loss.epoch) await connection.script(timeoutMs, PLACE, [realmKeys(realm).state], [loss.epoch, 'epoch', next]);
    // Its data is gone: it may be made anew.
    if (state === undefined) await connection.command(timeoutMs, 'HDEL', META_KEY, realmField(realm));
    const { epoch: _epoch, ...there } = state ?? { epoch: '', ...NOTHING_THERE };
    now[realm] = there;
  }
  await write(next, { ...rest, restored: { epoch: loss.epoch, realms: now } });
  if (replicas === 0) return;
  const reached = Math.min(...(await connection.everywhere(timeoutMs, 'WAIT', replicas, timeoutMs)).map(Number));
  if (!(reached >= replicas)) throw new StoreUnavailable(`redis: ${reached} of ${replicas} replicas confirmed in time: run the same command again`);
};
