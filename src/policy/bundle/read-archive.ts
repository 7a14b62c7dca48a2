/**
 * A gzip tar, read in memory. Guarantees: nothing touches the file system, no more than the limits is ever held, and only
 * plain files with allow-listed names come out. Everything else refuses the whole archive (THREATS D5).
 */
import { createGunzip } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { BundleRefused, quoted } from './bundle-refused.ts';
import { entryName } from './entry-name.ts';
import type { BundleLimits } from './limits.ts';
import { endsAtItsEnd } from './tar-end.ts';

const unpack = async (archive: Uint8Array, limits: BundleLimits): Promise<Buffer> => {
  const most = Math.min(limits.unpackedBytesMax, Math.max(limits.ratioFreeBytes, archive.byteLength * limits.ratioMax));
  const gunzip = createGunzip();
  gunzip.end(archive);
  const chunks: Buffer[] = [];
  let total = 0;
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      total += chunk.length;
      if (total > most) {
        throw total > limits.unpackedBytesMax
          ? new BundleRefused('archive.too_large', `unpacks to more than ${limits.unpackedBytesMax} bytes`)
          : new BundleRefused('archive.ratio', `unpacks to more than ${limits.ratioMax} times its size`);
      }
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof BundleRefused) throw cause;
    throw new BundleRefused('archive.corrupt', 'is not a whole gzip file', { cause });
  }
  if (gunzip.bytesWritten !== archive.byteLength) throw new BundleRefused('archive.corrupt', 'has bytes after the end of its gzip data');
  return Buffer.concat(chunks, total);
};

/** Every file by name; folders are left out, after their names were judged too. */
export const readArchive = async (archive: Uint8Array, limits: BundleLimits): Promise<ReadonlyMap<string, Buffer>> => {
  if (archive.byteLength > limits.archiveBytesMax) throw new BundleRefused('archive.too_large', `is larger than ${limits.archiveBytesMax} bytes`);
  const tar = await unpack(archive, limits);
  if (tar.length % 512 !== 0 || !endsAtItsEnd(tar)) throw new BundleRefused('archive.corrupt', 'does not end as a tar archive ends, or holds more');
  const files = new Map<string, Buffer>();
  const seen = new Map<string, string>();
  let entries = 0;
  const parser = extract();
  parser.end(tar);
  try {
    for await (const entry of parser) {
      entries += 1;
      if (entries > limits.entriesMax) throw new BundleRefused('entry.count', `has more than ${limits.entriesMax} entries`);
      const { name: raw, type, pax } = entry.header as Header & { readonly pax?: object | null };
      if (pax !== undefined && pax !== null && Object.hasOwn(pax, 'size')) throw new BundleRefused('archive.corrupt', `${quoted(raw)} has two sizes`);
      if (type !== 'file' && type !== 'directory') throw new BundleRefused('entry.type', `${quoted(raw)} is a ${type ?? 'thing of unknown type'}`);
      const name = entryName(raw, type, limits);
      const folded = name.normalize('NFC').toLowerCase();
      const twin = seen.get(folded);
      if (twin !== undefined && !(type === 'directory' && twin === raw)) {
        throw new BundleRefused('entry.duplicate', `${quoted(raw)} and ${quoted(twin)} are the same name`);
      }
      seen.set(folded, raw);
      const parts: Buffer[] = [];
      for await (const part of entry as AsyncIterable<Buffer>) parts.push(part);
      if (type === 'file') files.set(name, Buffer.concat(parts));
    }
  } catch (cause) {
    if (cause instanceof BundleRefused) throw cause;
    throw new BundleRefused('archive.corrupt', 'is not a whole tar archive', { cause });
  }
  return files;
};
