/** What a store says about itself: its format, the mode it was made in, its epoch. Written once, with the store. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { StoreUnavailable } from '../port.ts';
import { bytesAt, unavailable, type Environment } from './environment.ts';

export type StoreMode = 'development' | 'production';

const FORMAT = 1;
const KEY = Buffer.from('meta');
const marks = z.object({ format: z.literal(FORMAT), mode: z.enum(['development', 'production']), epoch: z.string().regex(/^[A-Za-z0-9_-]{16}$/) });
const anyFormat = z.object({ format: z.number() });

/** `undefined` when there are none yet. Throws for a format or mode that this process must not touch. */
export const readMarks = (state: Environment['state'], mode: StoreMode): { readonly epoch: string } | undefined => {
  const bytes = bytesAt(state, KEY);
  if (bytes === undefined) return undefined;
  let found: unknown;
  try {
    found = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw unavailable('the marks of the store are damaged; restore it from a backup', cause);
  }
  const parsed = marks.safeParse(found);
  if (!parsed.success) {
    const other = anyFormat.safeParse(found);
    throw new StoreUnavailable(
      other.success && other.data.format !== FORMAT
        ? `the store has format ${other.data.format}, this version of Curfew reads format ${FORMAT}: use the version that wrote it, or another directory`
        : 'the marks of the store are damaged; restore it from a backup',
    );
  }
  if (parsed.data.mode === mode) return { epoch: parsed.data.epoch };
  throw new StoreUnavailable(
    parsed.data.mode === 'development'
      ? 'this store was made in development mode, where identities and operators are not real: production does not open it. Use another directory'
      : 'this store was made for production: development mode does not open it. Use another directory',
  );
};

/** To be called inside a write transaction that saw no marks. */
export const writeMarks = (state: Environment['state'], mode: StoreMode): void => {
  state.putSync(KEY, Buffer.from(JSON.stringify({ format: FORMAT, mode, epoch: randomBytes(12).toString('base64url') }), 'utf8'));
};
