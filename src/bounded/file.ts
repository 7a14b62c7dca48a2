/** Reads configured files, to a cap. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

export type ReadBytes = { readonly bytes: Buffer } | { readonly fault: string };
export type ReadText = { readonly text: string } | { readonly fault: string };

/** Bytes of a regular file of at most `bytesMax`, or why not; the fault holds nothing of its content. */
export const readBoundedBytes = (file: string, bytesMax: number): ReadBytes => {
  let handle: number | undefined;
  try {
    // A pipe that nobody writes to must not hold us up before it is seen to be one.
    handle = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(handle).isFile()) return { fault: 'is not a regular file' };
    const buffer = Buffer.alloc(Math.min(bytesMax, fstatSync(handle).size) + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read) read = readSync(handle, buffer, length, buffer.length - length, null);
    if (length > bytesMax) return { fault: `is larger than ${bytesMax} bytes` };
    if (length === buffer.length) return { fault: 'grew while it was read' };
    return { bytes: buffer.subarray(0, length) };
  } catch (error) {
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';
    return { fault: `can't be read (${code})` };
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
};

/** The same as text, which must be UTF-8. */
export const readBounded = (file: string, bytesMax: number): ReadText => {
  const read = readBoundedBytes(file, bytesMax);
  if ('fault' in read) return read;
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(read.bytes) };
  } catch {
    return { fault: "can't be read (ERR_ENCODING_INVALID_ENCODED_DATA)" };
  }
};
