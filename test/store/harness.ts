/** What the contract suite needs of a store: to make one, and to open it in a second process. */
import { fork } from 'node:child_process';
import type { Clock } from '../../src/decision/ports.ts';
import type { Store } from '../../src/store/port.ts';
import type { PeerRequest } from './peer.ts';

export interface StoreHarness {
  readonly driver: string;
  /** A place for a new, empty store. */
  place(): string;
  open(location: string, clock: Pick<Clock, 'now'>): Promise<Store>;
  /** How often it is tried that a commit is seen which was acknowledged while this process stood still; absent: 1,000 times. */
  readonly stillCycles?: number;
  /** Compiled `peer.ts`. */
  readonly peerFile: string;
}

export interface Peer {
  ask(operation: PeerRequest['operation'], argument?: unknown): Promise<any>;
  close(): Promise<void>;
}

/** The peer's clock stands at `nowMs`. */
export const startPeer = async (harness: StoreHarness, location: string, nowMs: number): Promise<Peer> => {
  const child = fork(harness.peerFile, [harness.driver, location, `${nowMs}`], { serialization: 'advanced' });
  const waiting = new Map<number, { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }>();
  let last = 0;
  const exited = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      for (const { reject } of waiting.values()) reject(new Error(`the peer ended: ${code ?? signal}`));
      resolve();
    });
  });
  child.on('message', (message) => {
    const { id, value, error } = message as { id: number; value: unknown; error?: string };
    const entry = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) entry?.resolve(value);
    else entry?.reject(new Error(error));
  });
  const answer = (id: number): Promise<unknown> => new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
  await answer(0);
  const ask = (operation: PeerRequest['operation'], argument?: unknown): Promise<unknown> => {
    last += 1;
    child.send({ id: last, operation, argument });
    return answer(last);
  };
  return {
    ask,
    close: async () => {
      await ask('close');
      await exited;
    },
  };
};
