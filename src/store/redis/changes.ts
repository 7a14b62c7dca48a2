/** What changed in a realm, as its server tells it: strictly, and to those who hold leases. */
import type { Instant } from '../../domain/instant.ts';
import type { Changes, Followed } from '../leases.ts';
import { scriptOf, type Connection, type Script } from './connection.ts';
import type { Fences } from './fence.ts';
import { ownerPrefix, realmKeys, recordField } from './keys.ts';
import { renewLua } from './scripts/renew.ts';
import type { Watch } from './watch.ts';
import type { Seen, Witness } from './witness.ts';

export const RENEW = scriptOf(renewLua);
/** Of one answer; who is further behind reads anew. */
export const CHANGES_MAX = 1_000;

/** Runs a script on a realm that exists; rejects where it is of another store. */
export type OnRealm = (connection: Connection, timeoutMs: number, script: Script, realm: string, keys: readonly string[], args: readonly (string | number)[]) => Promise<readonly unknown[]>;

type RenewReply = readonly [what: Buffer, sequence: Buffer, endings: Buffer, hash: Buffer, at: Buffer, hashThen: Buffer, whole: Buffer, changes: readonly (readonly [Buffer, readonly Buffer[], readonly Buffer[]])[]];

const texts = (buffers: readonly Buffer[]): readonly string[] => buffers.map((buffer) => buffer.toString('utf8'));
const latin = (buffer: Buffer): string => buffer.toString('latin1');

/** `known`: what the witness knew before the question was sent. Throws when the server lost something. */
export const followedOf = ({ watch, witness }: { readonly watch: Watch; readonly witness: Witness }, realm: string, known: Seen | undefined, answer: readonly unknown[]): Followed => {
  const [, sequence, ended, hash, at, hashThen, whole, touched] = answer as RenewReply;
  const seen = { sequence: Number(latin(sequence)), endings: { sequence: Number(latin(ended)), hash: latin(hash) } };
  watch.reached(Number(latin(at)) as Instant);
  witness.see(realm, known, seen, latin(hashThen));
  return { ...seen, whole: latin(whole) === '1', changes: touched.map(([stamp, records, owners]) => ({ sequence: Number(latin(stamp)), records: texts(records), owners: texts(owners) })) };
};

export interface ChangesParts {
  /** The one that facts are read over. */
  readonly connection: Connection;
  readonly epoch: string;
  readonly timeoutMs: number;
  readonly watch: Watch;
  readonly witness: Witness;
  readonly fence?: Fences;
  readonly onRealm: OnRealm;
  /** Fails while the store may not be asked. */
  readonly ready: () => Promise<void> | undefined;
  /** Row of the limits that this process decides by; '': it does not decide. */
  readonly limits: string;
}

export const createChanges = (parts: ChangesParts): Changes => {
  const { connection, epoch, timeoutMs, watch, witness, fence, onRealm, ready, limits } = parts;
  return {
    nameOf: recordField,
    ownerNameOf: ownerPrefix,
    // Behind a new connection there may be another server, or this one as it was before, with other commits under the same positions.
    history: (realm) => witness.life(realm) + connection.at(realmKeys(realm).state).generation(),
    follow: async (realm, from) => {
      const looking = ready();
      if (looking !== undefined) await looking;
      const fenced = fence?.of(realm);
      const lease = fenced?.held();
      const { state, endings, changes, holders } = realmKeys(realm);
      const known = witness.known(realm);
      const keys = [state, endings, changes, holders, ...(fenced === undefined ? [] : [fenced.key])];
      const answer = await onRealm(connection, timeoutMs, RENEW, realm, keys, [epoch, known?.endings.sequence ?? 0, limits, from ?? '', CHANGES_MAX]);
      if (lease !== undefined) fenced?.check(lease, String(answer[8]));
      return followedOf({ watch, witness }, realm, known, answer);
    },
  };
};
