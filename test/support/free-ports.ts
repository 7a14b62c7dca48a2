/** Ports that nobody uses at the moment: below those that the system gives out by itself and those that Curfew tries for a port 0, in another range for each of the processes that run tests. */
import { createServer } from 'node:net';

const PORTS_FROM = 10_100;
const PORTS_EACH = 2_400;

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

/** What was given already: who asked for it may not listen there yet. */
const given = new Set<number>();

export const freePorts = async (count: number): Promise<readonly number[]> => {
  const range = PORTS_FROM + (Number(process.env['VITEST_POOL_ID'] ?? 0) % 4) * PORTS_EACH;
  const found: number[] = [];
  for (let at = Math.floor(Math.random() * PORTS_EACH); found.length < count; at += 1) {
    const port = range + (at % PORTS_EACH);
    if (given.size > PORTS_EACH / 2) given.clear();
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) found.push(port);
  }
  return found;
};
