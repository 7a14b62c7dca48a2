/**
 * One small record per realm: its position, its endings, and for each kind of record the sequence of the last commit that
 * touched it (`slots`). What a process remembers of a kind is exact as long as that sequence stands still, so a decision need
 * not read again what can't have changed. Kinds share slots by hash: a collision costs a read, never exactness.
 */
import { crc32 } from 'node:zlib';
import type { Instant } from '../../domain/instant.ts';
import { NO_ENDINGS } from '../event.ts';
import { StoreUnavailable, type EndingsMark } from '../port.ts';
import { bytesAt, type Environment } from './environment.ts';
import { realmPrefix } from './keys.ts';

const KIND_SLOTS = 64;

export interface RealmState {
  readonly sequence: number;
  /** Instant of the last commit. */
  readonly at: Instant;
  readonly endings: EndingsMark;
  readonly slots: Float64Array;
}

const FORMAT = 1;
/** format 0, checksum 4, sequence 8, instant 16, endings' sequence 24, hash 32, slots 64. */
const SLOTS_AT = 64;
const BYTES = SLOTS_AT + KIND_SLOTS * 8;

export const NEW_REALM: RealmState = { sequence: 0, at: 0 as Instant, endings: NO_ENDINGS, slots: new Float64Array(KIND_SLOTS) };

const slots = new Map<string, number>();

/** A kind's slot; FNV-1a, for ever the same. */
export const slotOf = (kind: string): number => {
  const known = slots.get(kind);
  if (known !== undefined) return known;
  let hash = 0x811c9dc5;
  for (let index = 0; index < kind.length; index += 1) hash = Math.imul(hash ^ kind.charCodeAt(index), 0x01000193);
  const slot = (hash >>> 8) % KIND_SLOTS;
  slots.set(kind, slot);
  return slot;
};

export const stateKeyBytes = (realm: string): Buffer => Buffer.concat([Buffer.from('realm:'), realmPrefix(realm)]);

export const encodeState = (state: RealmState): Buffer => {
  const bytes = Buffer.alloc(BYTES);
  bytes.writeUInt32LE(FORMAT, 0);
  bytes.writeDoubleLE(state.sequence, 8);
  bytes.writeDoubleLE(state.at, 16);
  bytes.writeDoubleLE(state.endings.sequence, 24);
  bytes.write(state.endings.hash, 32, 'hex');
  state.slots.forEach((sequence, index) => bytes.writeDoubleLE(sequence, SLOTS_AT + index * 8));
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4);
  return bytes;
};

/** Reads the state in the transaction that is current, or from `bytes`; `known` is given back when it still is the state. */
export const readState = (environment: Environment, key: Buffer, known?: RealmState, bytes = bytesAt(environment.state, key)): RealmState => {
  if (bytes === undefined) return NEW_REALM;
  if (bytes.length !== BYTES || bytes.readUInt32LE(0) !== FORMAT) throw new StoreUnavailable("a realm's state is damaged; restore the store from a backup");
  const sequence = bytes.readDoubleLE(8);
  if (known !== undefined && known.sequence === sequence) return known;
  if (crc32(bytes.subarray(8)) !== bytes.readUInt32LE(4)) throw new StoreUnavailable("a realm's state is damaged; restore the store from a backup");
  const read = new Float64Array(KIND_SLOTS);
  for (let index = 0; index < read.length; index += 1) read[index] = bytes.readDoubleLE(SLOTS_AT + index * 8);
  return {
    sequence,
    at: bytes.readDoubleLE(16) as Instant,
    endings: { sequence: bytes.readDoubleLE(24), hash: bytes.toString('hex', 32, 64) },
    slots: read,
  };
};
