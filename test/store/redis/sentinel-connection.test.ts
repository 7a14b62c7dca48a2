/** L1: a connection behind Sentinels comes back whatever they say, and when. */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { connect } from '../../../src/store/redis/connection.ts';
import { createClock } from '../../../src/time/clock.ts';
import { describeWith } from '../../parts.ts';
import { MEMORY } from '../../support/redis.ts';
import { until } from '../../support/until.ts';
import { opening } from './opening.ts';

const text = (value: string): string => `$${value.length}\r\n${value}\r\n`;

/** Says what a Sentinel says, of this primary; it can be told to answer late. */
const startSentinel = async (primary: number) => {
  const sockets = new Set<Socket>();
  const hearers = new Set<Socket>();
  let late: (() => void)[] | undefined;
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    socket.on('data', (bytes: Buffer) => {
      // One answer a command; commands are arrays of texts.
      for (const command of bytes.toString('latin1').split(/(?=\*\d+\r\n\$)/)) {
        if (/get-master-addr-by-name/i.test(command)) {
          const answer = (): void => void socket.write(`*2\r\n${text('127.0.0.1')}${text(String(primary))}`);
          if (late === undefined) answer();
          else late.push(answer);
        } else if (/\r\nsubscribe\r\n/i.test(command)) {
          hearers.add(socket);
          socket.write(`*3\r\n${text('subscribe')}${text('+switch-master')}:1\r\n`);
        } else socket.write('+OK\r\n');
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    hearers: () => hearers.size,
    holdAnswers: () => { late = []; },
    held: () => late?.length ?? 0,
    answer: () => {
      for (const one of late ?? []) one();
      late = undefined;
    },
    tellOfAnother: () => {
      for (const socket of hearers) socket.write(`*3\r\n${text('message')}${text('+switch-master')}${text('mymaster 127.0.0.1 1 127.0.0.1 2')}`);
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
};

describeWith(['redis'], 'a connection behind Sentinels', () => {
  const { serverWith, cleanups } = opening(createClock({ maxClockStepMs: 60_000 }));

  test('it is told of another primary while it is asking who that is: it is made again', { timeout: 120_000 }, async () => {
    const server = await serverWith(MEMORY);
    const sentinel = await startSentinel(server.port);
    cleanups.push(sentinel.close);
    const connection = connect({ topology: { kind: 'sentinel', sentinels: [{ host: '127.0.0.1', port: sentinel.port }], name: 'mymaster' }, database: 0, connectTimeoutMs: 5_000, inFlightMax: 10 });
    cleanups.push(connection.close);
    await connection.ready();
    const works = (withinMs = 1_000) => connection.command(withinMs, 'PING').then(() => true, () => false);
    expect(await works(20_000)).toBe(true);
    await until('it listens to the Sentinel', () => sentinel.hearers() > 0);
    sentinel.holdAnswers();
    await server.send('CLIENT KILL TYPE normal').catch(() => '');
    await until('it asks for the primary', () => sentinel.held() > 0);
    sentinel.tellOfAnother();
    await until('nobody waits for what the Sentinel tells', async () => {
      sentinel.answer();
      return works();
    });
    expect(await works(20_000)).toBe(true);
  });
});
