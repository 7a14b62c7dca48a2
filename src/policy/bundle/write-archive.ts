/** A gzip tar whose bytes depend on its content only: the same wherever and whenever it is made. */
import { crc32 } from 'node:zlib';

const BLOCK = 512;

export type ArchiveEntry = readonly [name: string, bytes: Uint8Array];

const header = (name: string, size: number): Buffer => {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, '0')}\0`;
  block.write(name, 0);
  block.write(octal(0o644, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(size, 12), 124);
  block.write(octal(0, 12), 136);
  block.write('        ', 148);
  block.write('0', 156);
  block.write('ustar\x0000', 257, 'latin1');
  block.write(`${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148);
  return block;
};

const padding = (length: number): Buffer => Buffer.alloc((BLOCK - (length % BLOCK)) % BLOCK);

/** A ustar archive: names sorted bytewise, mode 0644, no times, owners or names. */
const tar = (entries: readonly ArchiveEntry[]): Buffer => {
  const sorted = entries.toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return Buffer.concat([...sorted.flatMap(([name, bytes]) => [header(name, bytes.length), bytes, padding(bytes.length)]), Buffer.alloc(2 * BLOCK)]);
};

/** Gzip without compression: what compressors make differs from version to version. */
const gzip = (bytes: Buffer): Uint8Array => {
  const parts: Uint8Array[] = [Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])];
  for (let at = 0; at < bytes.length; at += 0xffff) {
    const chunk = bytes.subarray(at, at + 0xffff);
    const head = Buffer.alloc(5);
    head.writeUInt8(at + chunk.length === bytes.length ? 1 : 0, 0);
    head.writeUInt16LE(chunk.length, 1);
    head.writeUInt16LE(chunk.length ^ 0xffff, 3);
    parts.push(head, chunk);
  }
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(bytes), 0);
  trailer.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([...parts, trailer]);
};

/** Names are at most 100 bytes. */
export const writeArchive = (entries: readonly ArchiveEntry[]): Uint8Array => gzip(tar(entries));
