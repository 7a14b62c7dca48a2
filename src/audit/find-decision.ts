/** Looks a decision up by its id in the end of the decision log. Reads backwards, a bounded number of bytes, never the whole file. */
import { open } from 'node:fs/promises';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';

const CHUNK_BYTES = 1_048_576;
const DECISION_ID = /^[A-Za-z0-9-]{1,64}$/;

const parseLine = (line: Buffer, id: string): JsonObject | undefined => {
  try {
    const value = JSON.parse(line.toString('utf8')) as JsonValue;
    return isJsonObject(value) && value['id'] === id ? value : undefined;
  } catch {
    return undefined;
  }
};

export type FindDecision = (id: string) => Promise<JsonObject | undefined>;

export const createFindDecision = (options: { readonly path: string; readonly tailBytesMax: number }): FindDecision => async (id) => {
  if (!DECISION_ID.test(id)) return undefined;
  const needle = Buffer.from(JSON.stringify(id));
  const file = await open(options.path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    const stop = Math.max(0, size - options.tailBytesMax);
    let end = size;
    /** The beginning of what was read so far: the rest of a line that starts further left. */
    let rest: Buffer = Buffer.alloc(0);
    while (end > stop) {
      const start = Math.max(stop, end - CHUNK_BYTES);
      const chunk = Buffer.alloc(end - start);
      const { bytesRead } = await file.read(chunk, 0, chunk.length, start);
      const data = Buffer.concat([chunk.subarray(0, bytesRead), rest]);
      const firstBreak = start === 0 ? -1 : data.indexOf(0x0a);
      if (start !== 0 && firstBreak === -1) {
        // One line longer than what may be read is not a record of ours.
        if (data.length > options.tailBytesMax) return undefined;
        rest = data;
        end = start;
        continue;
      }
      for (let hit = data.lastIndexOf(needle); hit > firstBreak; hit = data.lastIndexOf(needle, hit - 1)) {
        const from = data.lastIndexOf(0x0a, hit) + 1;
        const to = data.indexOf(0x0a, hit);
        const found = parseLine(data.subarray(from, to === -1 ? data.length : to), id);
        if (found !== undefined) return found;
        if (hit === 0) break;
      }
      rest = data.subarray(0, firstBreak + 1);
      end = start;
    }
    return undefined;
  } finally {
    await file.close();
  }
};
