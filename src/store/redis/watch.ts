/**
 * Watches the servers: their settings, and their clock against ours. A setting that became weaker, or servers that have not been
 * seen for some looks, deny until the next good look.
 */
import type { Clock } from '../../decision/ports.ts';
import type { Instant } from '../../domain/instant.ts';
import { StoreUnavailable, type AuthorityOffset } from '../port.ts';
import { Unanswered, type Connection } from './connection.ts';
import { checkServers, NotPrimary, type Durability } from './settings.ts';

export interface Watch {
  /** Throws `StoreUnavailable` when the servers must not be relied on. */
  check(): void;
  /** Looks now; rejects with what is wrong. Looks that are asked for while one is under way share it. */
  look(): Promise<void>;
  /** Of the server's clock to ours; `undefined` before the first look. */
  offset(): AuthorityOffset | undefined;
  /** Notes an instant at which the server committed something. */
  reached(at: Instant): void;
  stop(): void;
}

export interface WatchOptions {
  readonly connection: Connection;
  readonly timeoutMs: number;
  readonly durability: Durability;
  readonly clock: Pick<Clock, 'now'>;
  readonly everyMs: number;
  /** Before each look. */
  readonly onLook?: () => void;
}

/** So many looks in a row may fail for want of an answer. */
const MISSED_MAX = 10;

/** The server's time in milliseconds, from an answer to `TIME`. */
export const serverMs = (reply: unknown): number => {
  const [seconds, micros] = (reply as readonly Buffer[]).map(Number);
  return (seconds as number) * 1_000 + Math.floor((micros as number) / 1_000);
};

export const startWatch = ({ connection, timeoutMs, durability, clock, everyMs, onLook }: WatchOptions): Watch => {
  let fault: StoreUnavailable | undefined = new StoreUnavailable('redis: the server was not looked at yet');
  let missed = 0;
  /** Asked for at every reading of the clock: the same object until something changes. */
  let offset: AuthorityOffset | undefined;
  let latestCommit = 0 as Instant;
  let looking: Promise<void> | undefined;

  const measure = async (): Promise<void> => {
    const before = clock.now();
    const replies = await connection.everywhere(timeoutMs, 'TIME');
    const after = clock.now();
    const times = replies.map(serverMs);
    const [first, last] = [Math.min(...times), Math.max(...times) + 1];
    // It was read between the two readings of ours. `earliest` follows our wall clock, `latest` may be held up by a mark.
    offset = { lowMs: first - after.earliest, highMs: last - before.latest, skewMs: Math.max(0, first - after.earliest, before.earliest - last), reached: latestCommit };
  };
  const once = async (): Promise<void> => {
    try {
      await Promise.all([measure(), checkServers(connection, timeoutMs, durability)]);
      missed = 0;
      fault = undefined;
    } catch (error) {
      const why = error instanceof StoreUnavailable ? error : new StoreUnavailable('redis: the server could not be looked at', { cause: error });
      missed += 1;
      // It was when we connected to it.
      if (why instanceof NotPrimary || connection.sharded) connection.again();
      // No answer is no bad answer: reads say for themselves that the server is away.
      if (!(why instanceof Unanswered) || fault !== undefined || missed > MISSED_MAX) fault = why;
      throw why;
    }
  };
  const look = (): Promise<void> => (looking ??= once().finally(() => { looking = undefined; }));
  const timer = setInterval(() => {
    onLook?.();
    void look().catch(() => undefined);
  }, everyMs);
  timer.unref();
  return {
    check: () => {
      if (fault !== undefined) throw fault;
    },
    look,
    offset: () => offset,
    reached: (at) => {
      if (!(at > latestCommit)) return;
      latestCommit = at;
      if (offset === undefined) return;
      const { lowMs, highMs, skewMs } = offset;
      offset = { lowMs, highMs, skewMs, reached: at };
    },
    stop: () => clearInterval(timer),
  };
};
