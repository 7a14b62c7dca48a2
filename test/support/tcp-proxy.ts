/** A TCP proxy on loopback that tests put between two programs, to cut, hold up and reset what passes. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** What happens to bytes of either direction. `drop`: they are taken and never arrive. `hold`: they arrive, in order, when it is `pass` again. */
  up: 'pass' | 'drop' | 'hold';
  down: 'pass' | 'drop' | 'hold';
  /** Delays every chunk of either direction. */
  delayMs: number;
  /** Where new connections go. */
  targetPort: number;
  /** Bytes that went up since the start. */
  sent(): number;
  /** Ends every connection with a reset. */
  reset(): void;
  /** The next bytes that go up arrive; then their connection is reset, before any answer. */
  resetAfterSend(): void;
  /**
   * What goes up with this text does not arrive, nor does anything on its connection from then on: as if the wire had been cut behind
   * it, or, with `reset`, as if the connection had been reset before it arrived.
   */
  swallows: { readonly text: string; readonly reset: boolean } | undefined;
  /** Ends, with a reset, the first connection on which this text goes up from now on; resolves then. */
  resetOn(text: string): Promise<void>;
  /** While true, new connections are reset at once. */
  refuse: boolean;
  close(): Promise<void>;
}

const LOOK_MS = 2;

export const startTcpProxy = async (targetPort: number): Promise<TcpProxy> => {
  const pairs = new Set<readonly [Socket, Socket]>();
  let sent = 0;
  let resetsNext = false;
  let resets: { readonly text: string; readonly done: () => void } | undefined;
  const server = createServer((client) => {
    if (proxy.refuse) return void client.resetAndDestroy();
    const target = connect(proxy.targetPort, '127.0.0.1');
    const pair = [client, target] as const;
    pairs.add(pair);
    for (const socket of pair) socket.setNoDelay(true);
    const end = (): void => {
      // A cut wire doesn't tell either side that the other one is gone.
      if (proxy.up === 'drop' && proxy.down === 'drop') return;
      pairs.delete(pair);
      client.destroy();
      target.destroy();
    };
    /** What it carried swallowed it. */
    let deaf = false;
    const pump = (from: Socket, to: Socket, way: 'up' | 'down'): void => {
      /** What has not arrived yet: no chunk overtakes another one. */
      const waiting: { readonly chunk: Buffer; readonly from: number }[] = [];
      let timer: NodeJS.Timeout | undefined;
      const pass = (): void => {
        timer = undefined;
        while (waiting.length > 0 && !to.destroyed) {
          const { chunk, from: leaves } = waiting[0] as (typeof waiting)[number];
          const left = leaves - performance.now();
          if (proxy[way] === 'hold' || left > 0) {
            timer = setTimeout(pass, proxy[way] === 'hold' ? LOOK_MS : left);
            return;
          }
          waiting.shift();
          if (proxy[way] === 'drop' || (way === 'up' && deaf)) continue;
          if (way === 'up' && resets !== undefined && chunk.includes(resets.text)) {
            resets.done();
            client.resetAndDestroy();
            continue;
          }
          if (way === 'up' && proxy.swallows !== undefined && chunk.includes(proxy.swallows.text)) {
            deaf = true;
            if (proxy.swallows.reset) client.resetAndDestroy();
            continue;
          }
          to.write(chunk);
          if (way === 'up' && resetsNext) {
            resetsNext = false;
            // After what was written has gone out.
            to.write('', () => setImmediate(() => client.resetAndDestroy()));
          }
        }
      };
      from.on('data', (chunk: Buffer) => {
        if (way === 'up') sent += chunk.length;
        waiting.push({ chunk, from: performance.now() + proxy.delayMs });
        if (timer === undefined) pass();
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
    up: 'pass', down: 'pass', delayMs: 0, refuse: false, targetPort, swallows: undefined,
    sent: () => sent,
    reset: () => {
      for (const [client, target] of pairs) {
        client.resetAndDestroy();
        target.destroy();
      }
    },
    resetAfterSend: () => { resetsNext = true; },
    resetOn: (text) => new Promise((resolve) => {
      resets = { text, done: () => {
        resets = undefined;
        resolve();
      } };
    }),
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
