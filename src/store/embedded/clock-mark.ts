/** The instant below which no process's clock may start: written ahead of the clock, so that time never runs backwards. */
import { isInstant, type Instant } from '../../domain/instant.ts';
import { StoreUnavailable } from '../port.ts';
import { bytesAt, type Environment } from './environment.ts';

const KEY = Buffer.from('clock');

export const readClockMark = (environment: Environment): Instant | undefined => {
  const bytes = bytesAt(environment.state, KEY);
  if (bytes === undefined) return undefined;
  const mark = bytes.length === 8 ? bytes.readDoubleLE(0) : Number.NaN;
  if (!isInstant(mark)) throw new StoreUnavailable('the clock mark is damaged; restore the store from a backup');
  return mark;
};

/** Inside a write transaction. */
export const writeClockMark = (environment: Environment, instant: Instant): void => {
  const mark = readClockMark(environment);
  if (mark !== undefined && mark >= instant) return;
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(instant);
  environment.state.putSync(KEY, bytes);
};
