/** Fills a Redis store as a copy does: the same records, events and hashes as commits would leave, without their checks and without waiting for a disk. */
import { randomBytes } from 'node:crypto';
import type { Instant } from '../../src/domain/instant.ts';
import type { Entry } from '../../src/store/copy/entries.ts';
import { eventBytes, nextEndings, NO_ENDINGS } from '../../src/store/event.ts';
import type { Commit, CommitOutcome, EndingsMark, Store } from '../../src/store/port.ts';
import { redisStoreConfig } from '../../src/store/redis/config.ts';
import { connect } from '../../src/store/redis/connection.ts';
import { openRedisTarget } from '../../src/store/redis/copy-target.ts';
import { serverOf } from '../../src/store/redis/open.ts';

const REALM = 'default';
const TIMEOUT_MS = 60_000;

export const loading = async (port: number, fill: (store: Pick<Store, 'epoch' | 'commit'>) => Promise<void>): Promise<void> => {
  const { connection: server, seal } = serverOf(redisStoreConfig.parse({ port, connectTimeoutMs: TIMEOUT_MS }), { readFile: () => '', env: () => undefined });
  const connection = connect(server);
  await connection.ready();
  const target = await openRedisTarget({ connection, timeoutMs: TIMEOUT_MS, seal, replicas: 0, places: () => undefined, close: () => connection.close() });
  try {
    const epoch = randomBytes(12).toString('base64url');
    await target.begin({ epoch, mode: 'production' }, 'bench');
    await target.beginRealm(REALM);
    const at = Date.now() as Instant;
    let [sequence, endings]: [number, EndingsMark] = [0, NO_ENDINGS];
    let written = Promise.resolve();
    const commit = async ({ puts, events }: Commit): Promise<CommitOutcome> => {
      const stamp = { sequence: sequence + events.length, at };
      const marks = new Map<number, EndingsMark>();
      const entries: Entry[] = puts.map(({ key, value, refs = [], index, mark }) => ({
        what: 'record', record: { key, created: stamp, modified: stamp, value, refs, ...(mark === true ? { marked: stamp } : {}), ...(index === undefined ? {} : { index }) },
      }));
      for (const draft of events) {
        sequence += 1;
        const place = { sequence, at, ...(draft.ending ? { endingSequence: endings.sequence + 1 } : {}) };
        const bytes = eventBytes(draft, place);
        if (draft.ending) {
          endings = nextEndings(endings, bytes);
          marks.set(sequence, endings);
        }
        entries.push({ what: 'event', event: { ...place, type: draft.type, data: draft.data, bytes }, about: draft.about });
      }
      // One after the other: streams take their entries in order only.
      written = written.then(() => target.write(REALM, entries, marks));
      await written;
      return { outcome: 'committed', position: { epoch, sequence: stamp.sequence }, at };
    };
    await fill({ epoch, commit });
    await target.endRealm(REALM, { sequence, at, endings });
    await target.finish();
  } finally {
    await target.close();
  }
};
