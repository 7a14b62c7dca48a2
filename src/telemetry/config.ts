import { z } from 'zod';

export const logConfig = z
  .strictObject({
    level: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Least severity of what the process says about itself on standard error, as JSON lines.'),
  })
  .prefault({});

export type LogConfig = z.infer<typeof logConfig>;
