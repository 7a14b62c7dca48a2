/** At the start: does the store still know everything that an anchor was told? A store that was put back to an older state forgets revocations, so it may not decide. */
import type { NodeStore } from '../../store/port.ts';
import { furthest, type Anchor } from './anchor.ts';
import { readSealHead, SEAL_HEAD } from './sealer.ts';

export type Rollback = 'detectable' | 'undetectable';

/**
 * Resolves to whether any anchor could tell; rejects, with what to do, when one does tell that the store went back or is another
 * one. Keys are not compared: whoever can forge an anchor can at most keep us from starting.
 */
export const checkRollback = async (store: Pick<NodeStore, 'epoch' | 'facts' | 'read'>, realms: readonly string[], anchors: readonly Anchor[]): Promise<Rollback> => {
  let detectable = false;
  for (const anchor of anchors) {
    for (const realm of realms) {
      if ((await anchor.read(realm)) === undefined) continue;
      detectable = true;
      const known = await furthest(anchor, realm);
      if (known === undefined) continue;
      const advice = 'Put back the newer state; or, if this state is meant, move what the anchor holds away and start again: endings that came after are lost then.';
      if (known.epoch !== store.epoch) throw new Error(`the store is not the one that the anchor ${anchor.name} knows (realm ${realm}: epoch ${store.epoch}, there ${known.epoch}). ${advice}`);
      const { sequence } = (await store.facts({ realm, keys: [] })).position;
      const [record] = await store.read(realm, [SEAL_HEAD]);
      const head = readSealHead(record?.value);
      const behind = !(known.sequence <= sequence) || !(known.sequence <= head.through);
      if (behind) throw new Error(`the store was put back: the anchor ${anchor.name} knows position ${known.sequence} of realm ${realm}, the store has ${sequence}. ${advice}`);
      if (known.sequence === head.through && known.hash !== head.hash) throw new Error(`the store's record was changed: at position ${known.sequence} of realm ${realm} the anchor ${anchor.name} knows another one. ${advice}`);
    }
  }
  return detectable ? 'detectable' : 'undetectable';
};
