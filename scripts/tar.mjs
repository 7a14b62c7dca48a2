/** Reads the archives OPA writes and writes ones whose bytes depend on their content only. */
import { crc32, gunzipSync } from 'node:zlib';

const BLOCK = 512;

/** Regular files of a gzip tar by name, without OPA's leading slash. For archives we made ourselves. */
export const readTar = (archive) => {
  const tar = gunzipSync(archive);
  const files = new Map();
  for (let at = 0; at + BLOCK <= tar.length && tar[at] !== 0; ) {
    const field = (from, length) => tar.toString('utf8', at + from, at + from + length).replace(/\0.*$/s, '');
    const size = Number.parseInt(field(124, 12), 8);
    if (tar[at + 156] === 0x30 || tar[at + 156] === 0) files.set(field(0, 100).replace(/^\//, ''), tar.subarray(at + BLOCK, at + BLOCK + size));
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
};

const header = (name, size) => {
  const block = Buffer.alloc(BLOCK);
  const octal = (value, length) => `${value.toString(8).padStart(length - 1, '0')}\0`;
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

const pad = (bytes) => Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);

/** A ustar archive: names sorted bytewise, mode 0644, no times, owners or names. */
export const writeTar = (entries) => {
  const sorted = [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.concat([...sorted.flatMap(([name, bytes]) => [header(name, bytes.length), pad(bytes)]), Buffer.alloc(2 * BLOCK)]);
};

/** Gzip without compression: what compressors make differs from version to version, and git compresses it anyway. */
const gzip = (bytes) => {
  const parts = [Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])];
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

export const writeBundle = (entries) => gzip(writeTar(entries));
