/** Reads configured files, to a cap. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

export type ReadText = { readonly text: string } | { readonly fault: string };

/** Text of a regular file of at most `bytesMax`, or why not; the fault holds nothing of its content. */
export const readBounded = (file: string, bytesMax: number): ReadText => {
  let handle: number | undefined;
  try {
    handle = openSync(file, 'r');
    if (!fstatSync(handle).isFile()) return { fault: 'is not a regular file' };
    const buffer = Buffer.alloc(Math.min(bytesMax, fstatSync(handle).size) + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read) read = readSync(handle, buffer, length, buffer.length - length, null);
    if (length > bytesMax) return { fault: `is larger than ${bytesMax} bytes` };
    if (length === buffer.length) return { fault: 'grew while it was read' };
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length)) };
  } catch (error) {
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';
    return { fault: `can't be read (${code})` };
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
};
