/**
 * Seals the record: every so often one node, whose turn it is, appends to each realm's log a `record.sealed` event that holds the chain's
 * hash over all events so far and a signed checkpoint of it, and hands the checkpoint to the anchors.
 *
 * A seal changes nothing and decides nothing; while none is made, events wait unsealed and are shown as such. Two nodes that seal at
 * once meet at the version of one record: one of them wins, the other begins again from there.
 */
import type { Clock } from '../../decision/ports.ts';
import type { EventType } from '../../domain/event-types.ts';
import type { JsonObject } from '../../domain/json.ts';
import { createRounds, type Rounds } from '../../lifecycle/rounds.ts';
import type { NodeStore, RecordKey, StoredEvent } from '../../store/port.ts';
import type { Anchor } from './anchor.ts';
import { CHAIN_START, LINK_DIGITS, nextLink } from './chain.ts';
import type { CheckpointSigner } from './checkpoint.ts';

export interface SealerDeps {
  readonly store: Pick<NodeStore, 'epoch' | 'read' | 'events' | 'commit' | 'takeTurn'>;
  readonly clock: Clock;
  readonly signer: CheckpointSigner;
  readonly anchors: readonly Anchor[];
  readonly realms: readonly string[];
  /** A random id of this process. */
  readonly holder: string;
  readonly everyMs: number;
  /** Told when a round or an anchor failed; the next round tries again. */
  readonly onError: (error: unknown) => void;
}

export interface Sealer extends Rounds {
  /** One round; resolves to how many events it sealed. */
  seal(): Promise<number>;
}

const EVENT: EventType = 'record.sealed';
export const SEAL_HEAD: RecordKey = { kind: 'seal', id: 'head' };
const BATCH = 500;
const TURN_ROUNDS = 5;
const BY = 'system:sealer';

export interface SealHead {
  readonly through: number;
  readonly hash: string;
  readonly checkpoint?: string;
}

/** Throws for a head that can't be understood: going on from a guess would hide what was done to it. */
export const readSealHead = (value: JsonObject | undefined): SealHead => {
  if (value === undefined) return { through: 0, hash: CHAIN_START };
  const { version, through, hash, checkpoint } = value;
  if (version !== 1 || typeof through !== 'number' || typeof hash !== 'string' || typeof checkpoint !== 'string') throw new Error('the head of the seals can not be understood');
  return { through, hash, checkpoint };
};

export const createSealer = ({ store, clock, signer, anchors, realms, holder, everyMs, onError }: SealerDeps): Sealer => {
  /** What each anchor has of each realm. */
  const anchored = anchors.map(() => new Map<string, string>());

  const sealBatch = async (realm: string, head: SealHead, version: number, events: readonly StoredEvent[]): Promise<SealHead | undefined> => {
    let { hash } = head;
    let links = '';
    for (const { bytes } of events) {
      hash = nextLink(hash, bytes);
      links += hash.slice(0, LINK_DIGITS);
    }
    const through = head.through + events.length;
    if (events.at(-1)?.sequence !== through) throw new Error(`events of realm ${realm} are not gapless before ${through}`);
    const checkpoint = await signer.sign({ realm, epoch: store.epoch, sequence: through, hash, at: clock.now().latest });
    const { outcome } = await store.commit({
      realm,
      expect: [{ key: SEAL_HEAD, version }],
      puts: [{ key: SEAL_HEAD, value: { version: 1, through, hash, checkpoint } }],
      events: [{ type: EVENT, about: [], ending: false, data: { by: BY, from: head.through + 1, through, before: head.hash, hash, links, checkpoint } }],
    });
    return outcome === 'committed' ? { through, hash, checkpoint } : undefined;
  };

  const sealRealm = async (realm: string): Promise<number> => {
    for (let sealed = 0; ; ) {
      const [record] = await store.read(realm, [SEAL_HEAD]);
      const head = readSealHead(record?.value);
      const events = await store.events(realm, { after: head.through, limit: BATCH });
      // A seal alone is not sealed: it would call for another one, for ever.
      if (events.every(({ type }) => type === EVENT)) {
        await anchorHead(realm, head);
        return sealed;
      }
      if ((await sealBatch(realm, head, record?.modified.sequence ?? 0, events)) === undefined) return sealed;
      sealed += events.length;
    }
  };

  const anchorHead = async (realm: string, { checkpoint }: SealHead): Promise<void> => {
    if (checkpoint === undefined) return;
    await Promise.all(anchors.map(async (anchor, index) => {
      if (anchored[index]?.get(realm) === checkpoint) return;
      try {
        await anchor.write(realm, checkpoint);
        anchored[index]?.set(realm, checkpoint);
      } catch (error) {
        onError(error);
      }
    }));
  };

  const seal = async (): Promise<number> => {
    if ((await store.takeTurn?.('sealer', holder, everyMs * TURN_ROUNDS)) === false) return 0;
    let sealed = 0;
    for (const realm of realms) sealed += await sealRealm(realm);
    return sealed;
  };
  return { seal, ...createRounds({ round: seal, pauseMs: () => everyMs, monotonicMs: clock.monotonicMs, onError }) };
};
