/** The record of one supervisor: who signs it, and where its checkpoints go. Rejects when an anchor tells that the store went back. */
import { openAnchor, type Anchor } from '../audit/record/anchor.ts';
import { createCheckpointSigner, type CheckpointSigner } from '../audit/record/checkpoint.ts';
import { checkRollback, type Rollback } from '../audit/record/rollback.ts';
import { openRecordKey } from '../audit/record/signing-key.ts';
import type { Core } from '../compose.ts';

export interface OpenRecord {
  readonly signer: CheckpointSigner;
  readonly anchors: readonly Anchor[];
  readonly rollback: Rollback;
}

export const openRecord = async ({ config, store }: Pick<Core, 'config' | 'store'>): Promise<OpenRecord> => {
  const anchors = config.record.anchors.map(openAnchor);
  const rollback = await checkRollback(store, config.realms, anchors);
  return { anchors, rollback, signer: await createCheckpointSigner(openRecordKey(config.record.signingKey?.file, config.store.path)) };
};
