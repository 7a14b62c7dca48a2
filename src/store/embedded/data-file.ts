/**
 * Looks at the data file before LMDB maps it. A file that is shorter than its tree would not be an error but a fatal signal at
 * the first touch of a missing page; a file of another format must not be touched at all.
 *
 * Never opens `lock.mdb`: closing any descriptor of it would drop this process's locks on it.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { StoreUnavailable } from '../port.ts';

/** lmdb-js 3, data version 2: page header of 24 bytes, then the meta. Offsets in bytes. */
const META_BYTES = 168;
const MAGIC_AT = 24;
const VERSION_AT = 28;
const PAGE_SIZE_AT = 48;
const FREE_ROOT_AT = 88;
const MAIN_ROOT_AT = 136;
const LAST_PAGE_AT = 144;
const TRANSACTION_AT = 152;
const MAGIC = 0xbeefc0de;
const VERSION = 2;
const NO_PAGE = 0xffff_ffff_ffff_ffffn;
/** Pages that were allocated and freed within one transaction may be missing at the end of a sound file. */
const MISSING_PAGES_MAX = 1_024n;

const readAt = (descriptor: number, position: number): Buffer => {
  const bytes = Buffer.alloc(META_BYTES);
  const read = readSync(descriptor, bytes, 0, META_BYTES, position);
  return bytes.subarray(0, read);
};

const checkMeta = (bytes: Buffer, damaged: (why: string) => StoreUnavailable): void => {
  if (bytes.length < META_BYTES || bytes.readUInt32LE(MAGIC_AT) !== MAGIC) throw damaged('it does not begin as a store does');
  const version = bytes.readUInt32LE(VERSION_AT) & 0xffff;
  if (version !== VERSION) throw new StoreUnavailable(`the store's file has LMDB's format ${version}; this version of Curfew reads ${VERSION}`);
};

/** Throws `StoreUnavailable` for a file that must not be mapped. An absent or empty file is a new store. */
export const checkDataFile = (file: string): 'new' | 'present' => {
  const damaged = (why: string): StoreUnavailable =>
    new StoreUnavailable(`the store's file ${file} is damaged: ${why}. Nothing was changed; keep a copy of it and restore the store from a backup`);
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return 'new';
    throw new StoreUnavailable(`${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
  try {
    const first = readAt(descriptor, 0);
    if (first.length === 0) return 'new';
    checkMeta(first, damaged);
    const pageSize = first.readUInt32LE(PAGE_SIZE_AT);
    if (pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) throw damaged('its page size makes no sense');
    const second = readAt(descriptor, pageSize);
    checkMeta(second, damaged);
    const meta = first.readBigUInt64LE(TRANSACTION_AT) > second.readBigUInt64LE(TRANSACTION_AT) ? first : second;
    // The size is read after the meta: other processes only make the file longer.
    const pages = BigInt(Math.floor(fstatSync(descriptor).size / pageSize));
    const roots = [meta.readBigUInt64LE(FREE_ROOT_AT), meta.readBigUInt64LE(MAIN_ROOT_AT)].filter((page) => page !== NO_PAGE);
    if (roots.some((page) => page >= pages) || meta.readBigUInt64LE(LAST_PAGE_AT) >= pages + MISSING_PAGES_MAX) throw damaged('its end is missing');
    return 'present';
  } finally {
    closeSync(descriptor);
  }
};
