/** Connections that are to be opened anew are closed by an answer that says so, never otherwise, and nothing that was asked on them is lost. */
import { afterEach, expect, test } from 'vitest';
import { httpLimitsConfig } from '../../../src/gateways/http/config.ts';
import { startHttpServer, type HttpServer } from '../../../src/gateways/http/server.ts';
import { openConnection, rawGet, type RawConnection } from '../../support/raw-http.ts';
import { until } from '../../support/until.ts';

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUps.splice(0).toReversed()) await undo();
});

const start = async (): Promise<HttpServer> => {
  const limits = { ...httpLimitsConfig.parse(undefined), drainMs: 100 };
  const server = await startHttpServer({ listen: { host: '127.0.0.1', port: 0 }, limits, handle: (incoming, response) => void setImmediate(() => response.end(incoming.url)) });
  cleanUps.push(() => server.close());
  return server;
};
const open = async ({ port }: HttpServer): Promise<RawConnection> => {
  const connection = await openConnection(port);
  cleanUps.push(() => connection.close());
  return connection;
};
/** What the answer says of the connection. */
const ask = async (connection: RawConnection): Promise<string | undefined> => (await connection.send(rawGet('/'))).headers.get('connection');
const keep = async (server: HttpServer, count: number): Promise<readonly RawConnection[]> => {
  const kept: RawConnection[] = [];
  for (let made = 1; made <= count; made += 1) {
    const connection = await open(server);
    expect([await ask(connection), await ask(connection)]).toEqual(['keep-alive', 'keep-alive']);
    await until('it counts', () => server.connections() === made);
    kept.push(connection);
  }
  return kept;
};

test('those count that asked more than once, until they are closed', async () => {
  const server = await start();
  const once = await open(server);
  expect(await ask(once)).toBe('keep-alive');
  const [twice] = await keep(server, 1);
  // The second one came later and counts.
  expect(server.connections()).toBe(1);
  twice?.close();
  await until('it is gone', () => server.connections() === 0);
});

test('so many are let go in all, the oldest first: open until they ask, answered, and closed then; those that stay are not touched', async () => {
  const server = await start();
  const [first, second, third] = await keep(server, 3) as [RawConnection, RawConnection, RawConnection];
  for (const connection of [third, second, first]) expect(await ask(connection)).toBe('keep-alive');
  expect([1, 2, 2].map((count) => server.shed(count))).toEqual([1, 2, 2]);
  expect(await ask(third)).toBe('keep-alive');
  // They were not asked since, and still count.
  expect([server.connections(), first.socket.destroyed, second.socket.destroyed]).toEqual([3, false, false]);
  expect([await ask(first), await ask(second), await ask(third)]).toEqual(['close', 'close', 'keep-alive']);
  await until('they are closed', () => first.socket.destroyed && second.socket.destroyed);
  await until('one is left', () => server.connections() === 1);
  expect(await ask(third)).toBe('keep-alive');
});

test('one that asks nothing is not let go, but one that is younger and asks', async () => {
  const server = await start();
  const [idle, asking] = await keep(server, 2) as [RawConnection, RawConnection];
  // It asked before the look before last.
  for (let looks = 0; looks < 2; looks += 1) expect(server.connections()).toBe(2);
  expect(server.shed(2)).toBe(0);
  expect(await ask(asking)).toBe('keep-alive');
  expect(server.shed(2)).toBe(1);
  expect([await ask(asking), await ask(idle)]).toEqual(['close', 'keep-alive']);
});

test('what was sent behind a question is answered before its connection is closed', async () => {
  const server = await start();
  const [connection] = await keep(server, 1) as [RawConnection];
  expect([await ask(connection), server.shed(1)]).toEqual(['keep-alive', 1]);
  let heard = '';
  connection.socket.on('data', (text: string) => { heard += text; }).write(rawGet('/1') + rawGet('/2') + rawGet('/3'));
  await until('it is closed', () => connection.socket.destroyed);
  expect([heard.match(/\/\d$|\/\d(?=HTTP)/gm), heard.match(/(?<=^connection: ).*$/gim)]).toEqual([['/1', '/2', '/3'], ['keep-alive', 'keep-alive', 'close']]);
});

test('a listener that leaves new connections to others goes on answering, and takes them again, however fast its mind is changed', async () => {
  const server = await start();
  const [connection] = await keep(server, 1) as [RawConnection];
  server.accept(false);
  expect(await ask(connection)).toBe('keep-alive');
  await expect(open(server)).rejects.toThrow('ECONNREFUSED');
  for (const accepting of [true, false, true, true, false, false, true]) server.accept(accepting);
  const late = await until('it listens', () => open(server).catch(() => undefined));
  expect([await ask(late), await ask(connection)]).toEqual(['keep-alive', 'keep-alive']);
  server.accept(false);
  // It ends while it leaves them to others, too.
  await server.close();
});
