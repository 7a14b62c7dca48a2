/** Splits bytes into lines, as many at once as arrive together; keeps no line that is longer than allowed. */
const NEWLINE = 0x0a;

/** Lines without their newline, `undefined` for one that is too long. What follows the last newline is a line when it is not empty. Rejects when the stream does. */
export async function* byteLines(stream: AsyncIterable<Buffer> | Iterable<Buffer>, lineBytesMax: number): AsyncGenerator<readonly (Buffer | undefined)[]> {
  let parts: Buffer[] = [];
  let size = 0;
  const add = (part: Buffer): void => {
    size += part.length;
    // Too long a line is only counted.
    if (size > lineBytesMax) parts = [];
    else parts.push(part);
  };
  const end = (): Buffer | undefined => {
    const line = size > lineBytesMax ? undefined : parts.length === 1 ? parts[0] : Buffer.concat(parts);
    parts = [];
    size = 0;
    return line;
  };
  for await (const chunk of stream) {
    const lines: (Buffer | undefined)[] = [];
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      add(chunk.subarray(from, at));
      from = at + 1;
      lines.push(end());
    }
    add(chunk.subarray(from));
    if (lines.length > 0) yield lines;
  }
  if (size > 0) yield [end()];
}
