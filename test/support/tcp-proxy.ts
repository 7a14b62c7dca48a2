/** A TCP proxy on loopback that tests put between two programs, to cut, hold up and reset what passes. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** What happens to bytes of either direction. `drop`: they are taken and never arrive. `hold`: they arrive when it is `pass` again. */
  up: 'pass' | 'drop' | 'hold';
  down: 'pass' | 'drop' | 'hold';
  /** Delays every chunk of either direction. */
  delayMs: number;
  /** Bytes that went up since the start. */
  sent(): number;
  /** Ends every connection with a reset. */
  reset(): void;
  /** While true, new connections are reset at once. */
  refuse: boolean;
  close(): Promise<void>;
}

export const startTcpProxy = async (targetPort: number): Promise<TcpProxy> => {
  const pairs = new Set<readonly [Socket, Socket]>();
  let sent = 0;
  const server = createServer((client) => {
    if (proxy.refuse) return void client.resetAndDestroy();
    const target = connect(targetPort, '127.0.0.1');
    const pair = [client, target] as const;
    pairs.add(pair);
    const end = (): void => {
      // A cut wire doesn't tell either side that the other one is gone.
      if (proxy.up === 'drop' && proxy.down === 'drop') return;
      pairs.delete(pair);
      client.destroy();
      target.destroy();
    };
    const pump = (from: Socket, to: Socket, way: 'up' | 'down'): void => {
      const write = (chunk: Buffer): void => {
        if (to.destroyed || proxy[way] === 'drop') return;
        if (proxy[way] === 'hold') return void setTimeout(write, 5, chunk);
        to.write(chunk);
      };
      from.on('data', (chunk: Buffer) => {
        if (way === 'up') sent += chunk.length;
        if (proxy.delayMs > 0) setTimeout(write, proxy.delayMs, chunk);
        else write(chunk);
      });
      from.on('error', end);
      from.once('close', end);
    };
    pump(client, target, 'up');
    pump(target, client, 'down');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: TcpProxy = {
    port: (server.address() as AddressInfo).port,
    up: 'pass', down: 'pass', delayMs: 0, refuse: false,
    sent: () => sent,
    reset: () => {
      for (const [client, target] of pairs) {
        client.resetAndDestroy();
        target.destroy();
      }
    },
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      for (const [client, target] of pairs) {
        client.destroy();
        target.destroy();
      }
    }),
  };
  return proxy;
};
