/**
 * Waits until all replicas have what this connection, of this generation, wrote: on their disks where the server can tell (`WAITAOF`, Redis 7.2, Valkey) and its
 * ACL lets this user ask, else in their memory (`WAIT`).
 */
import { StoreUnavailable } from '../port.ts';
import { Unanswered, type Connection } from './connection.ts';

export const createConfirm = (replicas: number): ((connection: Pick<Connection, 'command' | 'generation'>, generation: number, timeoutMs: number) => Promise<void>) => {
  let disks = true;
  const reached = async (connection: Pick<Connection, 'command'>, timeoutMs: number): Promise<number> => {
    if (disks) {
      try {
        const [own, others] = (await connection.command(timeoutMs, 'WAITAOF', 1, replicas, timeoutMs)) as readonly unknown[];
        return Number(own) >= 1 ? Number(others) : 0;
      } catch (error) {
        // A server that does not know the command says so at once.
        if (error instanceof Unanswered) throw error;
        disks = false;
      }
    }
    return Number(await connection.command(timeoutMs, 'WAIT', replicas, timeoutMs));
  };
  return async (connection, generation, timeoutMs) => {
    const count = await reached(connection, timeoutMs);
    if (!(count >= replicas)) throw new StoreUnavailable(`redis: ${count} of ${replicas} replicas confirmed in time; the outcome is unknown`);
    // Another server, or a new connection, speaks of nothing that was written before.
    if (connection.generation() !== generation) throw new StoreUnavailable('redis: the connection to the primary changed; the outcome is unknown');
  };
};
