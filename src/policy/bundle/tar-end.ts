/**
 * Where a tar archive ends. What stands behind its end is read by some readers and not by others, as is content of entries that
 * have none, and content whose length is told twice: an archive with any of these has no end here, and so two readings.
 */
const BLOCK = 512;
const SIZE = /^ *([0-7]*)[ \0]*$/;
/** Files, and what is told about the entry that follows. */
const WITH_CONTENT = new Set(['0', '\0', 'x', 'g', 'L', 'K']);
const ZEROS = Buffer.alloc(64 * 1024);

const isZero = (bytes: Buffer): boolean => {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (!part.equals(ZEROS.subarray(0, part.length))) return false;
  }
  return true;
};

/** Is the archive whole, and is there nothing behind its end? Names, checksums and contents are not looked at. */
export const endsAtItsEnd = (tar: Buffer): boolean => {
  for (let at = 0; at + 2 * BLOCK <= tar.length; ) {
    const header = tar.subarray(at, at + BLOCK);
    if (isZero(header)) return isZero(tar.subarray(at));
    const digits = SIZE.exec(header.toString('latin1', 124, 136))?.[1];
    if (digits === undefined) return false;
    const size = digits === '' ? 0 : Number.parseInt(digits, 8);
    if (size > 0 && !WITH_CONTENT.has(header.toString('latin1', 156, 157))) return false;
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return false;
};
