/** Lets one process of a fleet do what need not be done by all. For housekeeping only: it decides nothing, and may err for a moment. */
import type { Connection } from './connection.ts';
import { TURN_PREFIX } from './keys.ts';

/** Is it `holder`'s turn at `name` for the next `ms`? Kept by taking it again in time, and given up by not doing so. */
export const takeTurn = async (connection: Connection, timeoutMs: number, name: string, holder: string, ms: number): Promise<boolean> => {
  const key = `${TURN_PREFIX}${name}`;
  if ((await connection.command(timeoutMs, 'SET', key, holder, 'PX', ms, 'NX')) !== null) return true;
  if (String(await connection.command(timeoutMs, 'GET', key)) !== holder) return false;
  return (await connection.command(timeoutMs, 'SET', key, holder, 'PX', ms, 'XX')) !== null;
};
