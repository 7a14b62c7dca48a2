/** Options of the embedded store. */
import { z } from 'zod';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

export const embeddedStoreConfig = z.strictObject({
  path: z
    .string()
    .min(1)
    .max(4_096)
    .default('.curfew/store')
    .describe('Directory of the store, on a file system of this machine; made with mode 0700 if it is not there'),
  mapSizeBytes: z
    .int()
    .min(4 * MIB)
    .max(1_024 * GIB)
    .default(16 * GIB)
    .describe('Largest size of the store in bytes. Address space, not memory: the file grows as it is used. Beyond it only endings are accepted, then nothing'),
  memoBytesMax: z
    .int()
    .min(MIB)
    .max(GIB)
    .default(12 * MIB)
    .describe('Memory for records that a process remembers between decisions, in bytes, roughly'),
});

