/** Where a secret lies, as configuration says it. */
import { z } from 'zod';

export const hookSecret = z.union([
  z.strictObject({ file: z.string().min(1).describe('file that holds it; read at each use') }),
  z.strictObject({ env: z.string().min(1).describe('environment variable that holds it') }),
]);
