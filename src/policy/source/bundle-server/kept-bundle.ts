/**
 * The last good bundle of a server, on disk: the archive and what is known of it. Written whole or not at all (a new file that is
 * flushed, then renamed), for its owner alone. What is read is believed only if it is its owner's alone and the archive has the
 * digest that was noted; whether its signature still holds is judged anew by whoever loads it.
 */
import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Instant } from '../../../domain/instant.ts';
import { parseStrictJson } from '../../../domain/strict-json.ts';
import { BUNDLE_LIMITS } from '../../bundle/limits.ts';
import { PAST_MAX, type Edition } from './newer.ts';

const NOTE_BYTES_MAX = 1_048_576;

const edition = z.strictObject({ revision: z.string().max(256), digest: z.string().regex(/^[0-9a-f]{64}$/), issuedAt: z.number().optional() });
const noteSchema = z.strictObject({
  version: z.literal(1),
  /** SHA-256 of the address, which may hold what is nobody's business. */
  address: z.string(),
  active: edition,
  past: z.array(edition).max(PAST_MAX),
  etag: z.string().max(600).optional(),
  longPoll: z.boolean(),
  confirmedAt: z.int().min(0),
});

/** What is known of the bundle that is active. */
export interface Note {
  readonly active: Edition;
  readonly past: readonly Edition[];
  readonly etag?: string | undefined;
  readonly longPoll: boolean;
  /** When the server last said that this is what it has. */
  readonly confirmedAt: Instant;
}

export interface KeptBundle {
  /** Absent when there is none that can be believed. Rejects when something is there and can't be. */
  note(): Promise<Note | undefined>;
  archive(digest: string): Promise<Uint8Array>;
  /** Both, in this order; the archive only when it is another one. */
  keep(note: Note, archive: Uint8Array): Promise<void>;
}

const readOwn = async (path: string, bytesMax: number): Promise<Buffer> => {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stat = await handle.stat();
    const own = stat.isFile() && (stat.mode & 0o077) === 0 && (process.getuid === undefined || stat.uid === process.getuid());
    if (!own) throw new Error(`${path} is not a file of its owner alone`);
    if (stat.size > bytesMax) throw new Error(`${path} is larger than ${bytesMax} bytes`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
};

const flushFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

const writeOwn = async (folder: string, name: string, bytes: Uint8Array): Promise<void> => {
  const draft = join(folder, `.${name}.${randomBytes(6).toString('hex')}`);
  try {
    const handle = await open(draft, 'wx', 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, join(folder, name));
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await flushFolder(folder);
};

const absent = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** `name`: of the source. What is kept for another address counts as not there. */
export const createKeptBundle = (folder: string, name: string, url: string): KeptBundle => {
  const address = createHash('sha256').update(url).digest('hex');
  const id = `${name}-${address.slice(0, 12)}`;
  const archiveName = (digest: string): string => `${id}-${digest}.tar.gz`;
  let written: string | undefined;

  const forgetOthers = async (digest: string): Promise<void> => {
    const others = (await readdir(folder)).filter((file) => file.startsWith(`${id}-`) && file.endsWith('.tar.gz') && file !== archiveName(digest));
    await Promise.all(others.map((file) => rm(join(folder, file), { force: true })));
  };

  return {
    note: async () => {
      let bytes: Buffer;
      try {
        bytes = await readOwn(join(folder, `${id}.json`), NOTE_BYTES_MAX);
      } catch (error) {
        if (absent(error)) return undefined;
        throw error;
      }
      const read = noteSchema.safeParse(parseStrictJson(bytes.toString('utf8')));
      if (!read.success || read.data.address !== address) throw new Error(`${join(folder, `${id}.json`)} is not what was written there`);
      return { ...read.data, confirmedAt: read.data.confirmedAt as Instant };
    },
    archive: async (digest) => {
      const bytes = await readOwn(join(folder, archiveName(digest)), BUNDLE_LIMITS.archiveBytesMax);
      if (createHash('sha256').update(bytes).digest('hex') !== digest) throw new Error(`${join(folder, archiveName(digest))} is not what was written there`);
      written = digest;
      return bytes;
    },
    keep: async ({ active, past, etag, longPoll, confirmedAt }, archive) => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const other = written !== active.digest;
      if (other) await writeOwn(folder, archiveName(active.digest), archive);
      written = active.digest;
      const note = { version: 1, address, active, past, ...(etag === undefined ? {} : { etag }), longPoll, confirmedAt };
      await writeOwn(folder, `${id}.json`, Buffer.from(JSON.stringify(note)));
      if (other) await forgetOthers(active.digest);
    },
  };
};
