/** What a store says about itself: its format, the mode it was made in, its epoch, and what else there is to say about where it comes from. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { StoreUnavailable } from '../port.ts';
import { isPlain, PLAIN, provenanceSchema, type Provenance } from '../provenance.ts';
import { bytesAt, unavailable, type Environment } from './environment.ts';

export type StoreMode = 'development' | 'production';

/**
 * 3: lists of rows bring records along. A store of format 1, or 2 (which says where it comes from), is the same without, and becomes
 * one of format 3 when a process opens it for writing that may; no earlier version opens it from then on.
 */
const FORMAT = 3;
const FORMATS_BEFORE = [1, 2];
const KEY = Buffer.from('meta');
const marks = z.object({
  format: z.literal([FORMAT, ...FORMATS_BEFORE]),
  mode: z.enum(['development', 'production']),
  epoch: z.string().regex(/^[A-Za-z0-9_-]{16}$/),
  provenance: provenanceSchema.optional(),
});
const anyFormat = z.object({ format: z.number() });

export interface Marks {
  readonly epoch: string;
  readonly mode: StoreMode;
  readonly provenance: Provenance;
  /** Of a format before; writing the marks makes it one of this. */
  readonly outdated?: true;
}

/** `undefined` when there are none yet. Throws for a format that this process must not touch. */
export const readAnyMarks = (state: Environment['state']): Marks | undefined => {
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
      other.success && other.data.format !== FORMAT && !FORMATS_BEFORE.includes(other.data.format)
        ? `the store has format ${other.data.format}, this version of Curfew reads format ${FORMAT}: use the version that wrote it, or another directory`
        : 'the marks of the store are damaged; restore it from a backup',
    );
  }
  const { format, mode, epoch, provenance = PLAIN } = parsed.data;
  return { mode, epoch, provenance, ...(format === FORMAT ? {} : { outdated: true }) };
};

/** As `readAnyMarks`; throws for another mode too. */
export const readMarks = (state: Environment['state'], mode: StoreMode): Marks | undefined => {
  const found = readAnyMarks(state);
  if (found === undefined || found.mode === mode) return found;
  throw new StoreUnavailable(
    found.mode === 'development'
      ? 'this store was made in development mode, where identities and operators are not real: production does not open it. Use another directory'
      : 'this store was made for production: development mode does not open it. Use another directory',
  );
};

export const newEpoch = (): string => randomBytes(12).toString('base64url');

/** To be called inside a write transaction. */
export const writeMarks = (state: Environment['state'], { mode, epoch, provenance }: Marks): void => {
  const said = { format: FORMAT, mode, epoch, ...(isPlain(provenance) ? {} : { provenance }) };
  state.putSync(KEY, Buffer.from(JSON.stringify(said), 'utf8'));
};
