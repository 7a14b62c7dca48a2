/**
 * The instant below which no process's clock may start. Only the server's own time moves it, so that one node's wrong clock can't
 * push the fleet into the future; it never goes back.
 */
import { isInstant, type Instant } from '../../domain/instant.ts';
import { StoreUnavailable } from '../port.ts';
import { scriptOf, type Connection } from './connection.ts';
import { META_KEY } from './keys.ts';

/** A mark may lie ahead of the server's time by this much. */
const AHEAD_MS = 1_000;

const MARK = scriptOf(`
local time = redis.call('TIME')
local most = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + ${AHEAD_MS}
local mark = math.max(tonumber(redis.call('HGET', KEYS[1], 'clock') or 0), math.min(tonumber(ARGV[1]), most))
redis.call('HSET', KEYS[1], 'clock', string.format('%.0f', mark))
return {string.format('%.0f', mark)}
`);

export const readClockMark = async (connection: Connection, timeoutMs: number): Promise<Instant | undefined> => {
  const reply = await connection.command(timeoutMs, 'HGET', META_KEY, 'clock');
  if (reply === null) return undefined;
  const mark = Number((reply as string | Buffer).toString());
  if (!isInstant(mark)) throw new StoreUnavailable('the clock mark is damaged; restore the store from a backup');
  return mark;
};

export const writeClockMark = async (connection: Connection, timeoutMs: number, instant: Instant): Promise<void> => {
  await connection.script(timeoutMs, MARK, [META_KEY], [instant]);
};
