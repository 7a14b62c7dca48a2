/** A second process on the same store: does what its parent asks over IPC. Compiled, then forked. */
import { readSync, openSync, writeSync } from 'node:fs';
import type { Instant } from '../../src/domain/instant.ts';
import { openEmbeddedStore } from '../../src/store/embedded/open.ts';
import type { Commit, Store } from '../../src/store/port.ts';
import { openTestLeased, openTestProven, openTestRedis } from './redis-location.ts';

export interface PeerRequest {
  readonly id: number;
  readonly operation: 'facts' | 'endings' | 'commits' | 'follow' | 'pairs' | 'close';
  readonly argument: any;
}

/** Stores by driver. */
const drivers: Record<string, (location: string) => Promise<Store>> = {
  embedded: (location) => openEmbeddedStore({ path: location, mode: 'development', clock }),
  redis: (location) => openTestRedis(location, clock),
  proven: (location) => openTestProven(location, clock),
  leased: (location) => openTestLeased(location, clock),
};

const [driver, location, nowMs] = process.argv.slice(2) as [string, string, string];
const now = Number(nowMs) as Instant;
const clock = { now: () => ({ earliest: now, latest: now, trusted: true }) };
const opened = drivers[driver]!(location);

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Commits number k under `turn/n` as soon as `ask` holds k, then writes k to `answer`: both files of one 32-bit number, so that
 * the parent can wait without a turn of its event loop.
 */
const follow = async (store: Store, files: { readonly ask: string; readonly answer: string; readonly from: number; readonly to: number }): Promise<void> => {
  const [ask, answer, number] = [openSync(files.ask, 'r'), openSync(files.answer, 'r+'), Buffer.alloc(4)];
  for (let next = files.from; next <= files.to; next += 1) {
    for (;;) {
      readSync(ask, number, 0, 4, 0);
      if (number.readUInt32LE() >= next) break;
      await turn();
    }
    await store.commit(numbered(next));
    number.writeUInt32LE(next);
    writeSync(answer, number, 0, 4, 0);
  }
};

const numbered = (value: number): Commit => ({
  realm: 'default',
  expect: [],
  puts: [{ key: { kind: 'turn', id: 'n' }, value: { value } }],
  events: [{ type: 'turned', about: [], ending: value % 2 === 0, data: { value } }],
});

/** Keeps two records and a row equal to each other until `close`. */
const pairs = async (store: Store, stop: () => boolean): Promise<void> => {
  for (let value = 1; !stop(); value += 1) {
    await store.commit({
      realm: 'default',
      expect: [],
      puts: ['left', 'right', 'row'].map((id) => ({ key: { kind: 'pair', id }, value: { value }, ...(id === 'row' ? { index: { owner: 'pairs', end: 4_000_000_000_000 as never } } : {}) })),
      events: [{ type: 'paired', about: [], ending: true, data: {} }],
    });
  }
};

let stopped = false;
let background: Promise<void> = Promise.resolve();

const perform = async ({ operation, argument }: PeerRequest): Promise<unknown> => {
  const store = await opened;
  switch (operation) {
    case 'facts': {
      const { holds: _holds, ...read } = await store.facts(argument);
      return { ...read, records: [...read.records.values()] };
    }
    case 'endings':
      return store.endings(argument);
    case 'commits':
      return Promise.all((argument as Commit[]).map((commit) => store.commit(commit)));
    case 'follow':
      background = follow(store, argument);
      return undefined;
    case 'pairs':
      background = pairs(store, () => stopped);
      return undefined;
    case 'close':
      stopped = true;
      await background;
      await store.close();
      return undefined;
  }
};

process.on('message', (request: PeerRequest) => {
  perform(request)
    .then(
      (value) => process.send?.({ id: request.id, value }),
      (error: Error) => process.send?.({ id: request.id, error: `${error.name}: ${error.message}` }),
    )
    .finally(() => {
      if (request.operation === 'close') process.disconnect();
    });
});
void opened.then(() => process.send?.({ id: 0 }), (error: Error) => process.send?.({ id: 0, error: error.message }));
