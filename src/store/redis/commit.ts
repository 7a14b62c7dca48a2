/** A commit as the arguments of its script, and the script's answer as an outcome. */
import type { Instant } from '../../domain/instant.ts';
import { canonicalJson, type JsonValue } from '../../domain/json.ts';
import { checkCommit, eventsOf } from '../commit-checks.ts';
import { recordKeyText, StoreUnavailable, type Commit, type CommitOutcome, type EventDraft } from '../port.ts';
import { holdersOf } from './holders.ts';
import { historyPrefix, idempotencyField, realmChannel, recordField } from './keys.ts';
import { encodeBody, PLAIN_FORMAT, putArguments, SHORT_FORMAT, type Writing } from './record.ts';
import { shorten } from './short-text.ts';
import type { Seen } from './witness.ts';

const EVENT_BYTES_MAX = 1_000_000;
/** The server hashes an ending's bytes itself, in about 0.5 us a byte; meanwhile nobody else is served. */
const ENDING_BYTES_MAX = 65_536;
/** What the script writes between the pieces is shorter than this. */
const STAMP_BYTES_MAX = 100;

type Argument = string | number;

const listed = <T>(items: readonly T[], each: (item: T) => readonly Argument[]): Argument[] => [items.length, ...items.flatMap(each)];

/** The event's canonical JSON in three pieces, between which the script writes instant and sequences. */
const eventArguments = (draft: EventDraft, short: boolean): readonly Argument[] => {
  const head = `{"about":${canonicalJson(draft.about.map(recordKeyText))},"at":`;
  const middle = `,"data":${canonicalJson(draft.data)}`;
  const tail = `,"type":${canonicalJson(draft.type)}}`;
  const bytes = Buffer.byteLength(head + middle + tail, 'utf8') + STAMP_BYTES_MAX;
  if (bytes > (draft.ending ? ENDING_BYTES_MAX : EVENT_BYTES_MAX)) throw new TypeError(`store: an event of ${bytes} bytes`);
  // The server hashes an ending's own bytes.
  const form = draft.ending ? '1' : short ? '2' : '0';
  return [...[head, middle, tail].map((piece) => (form === '2' ? shorten(piece) : piece)), form, ...listed(draft.about, (about) => [historyPrefix(about)])];
};

export interface CommitContext extends Writing {
  readonly epoch: string;
  /** In place of the server's time; for tests. */
  readonly now?: Instant;
}

/** What follows epoch and known endings. Throws a `TypeError` for what no commit may hold. */
export const commitArguments = (commit: Commit, context: CommitContext): readonly Argument[] => {
  checkCommit(commit);
  const { seal, short, now } = context;
  const { realm, idempotency } = commit;
  const events = eventsOf(commit);
  return [
    short ? SHORT_FORMAT : PLAIN_FORMAT,
    now ?? '',
    commit.before ?? '',
    ...(idempotency === undefined
      ? ['', '', '', '0']
      : [
          idempotencyField(realm, idempotency.scope, idempotency.key),
          idempotency.digest,
          seal.close(`reply ${realm}`, idempotencyField(realm, idempotency.scope, idempotency.key), canonicalJson(idempotency.reply)),
          idempotency.keepMs,
        ]),
    events.length,
    ...listed(commit.expect, ({ key, version }) => [recordField(key), version]),
    ...listed(commit.puts, (put) => {
      const { field, body, count, row, owner, refs } = putArguments(context, realm, put);
      return [field, body, count, row, owner, put.mark === true ? '1' : '0', ...refs];
    }),
    ...listed(commit.increments ?? [], ({ key, max }) => [recordField(key), max, encodeBody(context, realm, key, {}).body]),
    ...listed(commit.drops ?? [], (key) => [recordField(key)]),
    ...listed(events, (draft) => eventArguments(draft, short)),
    realmChannel(realm),
  ];
};

const text = (value: unknown): string => (Buffer.isBuffer(value) ? value.toString('utf8') : '');

/** The realm at the server after a commit that happened, now or before; `hashThen`: its hash up to the ending that was asked about. */
export const seenByCommit = (reply: readonly unknown[]): { readonly seen: Seen; readonly hashThen: string } => {
  const [, , , , ended, , reached, hash, hashThen] = reply.map(text) as [string, string, string, string, string, string, string, string, string];
  return { seen: { sequence: Number(reached), endings: { sequence: Number(ended), hash } }, hashThen };
};

export const commitOutcome = (commit: Commit, reply: readonly unknown[], { epoch, seal }: CommitContext): CommitOutcome => {
  const [what, first, second, third] = reply.map(text) as [string, string, string, string];
  const stamped = () => {
    const holders = holdersOf(reply[4], reply[5], reply[9]);
    return { position: { epoch, sequence: Number(first) }, at: Number(second) as Instant, ...(holders.all.length === 0 && holders.longest === undefined ? {} : { holders }) };
  };
  switch (what) {
    case 'committed':
      return { outcome: 'committed', ...stamped() };
    case 'replayed': {
      const asked = commit.idempotency;
      const opened = asked === undefined ? undefined : seal.open(`reply ${commit.realm}`, idempotencyField(commit.realm, asked.scope, asked.key), third);
      if (opened === undefined) throw new StoreUnavailable('an idempotency record is damaged or forged; restore the store from a backup');
      return { outcome: 'replayed', ...stamped(), reply: JSON.parse(opened) as JsonValue };
    }
    case 'conflict':
    case 'exhausted': {
      const named = (what === 'conflict' ? commit.expect : (commit.increments ?? []))[Number(first) - 1];
      if (named === undefined) throw new StoreUnavailable(`the server answered a commit with a ${what} that it can't have`);
      return { outcome: what, key: named.key };
    }
    case 'late':
    case 'key-reused':
      return { outcome: what };
    case 'index': {
      const put = commit.puts[Number(first) - 1];
      throw new TypeError(`store: owner and end of ${put?.key.kind ?? 'these'} records never change`);
    }
    default:
      throw new StoreUnavailable(`the server answered a commit with "${what.slice(0, 40)}"`);
  }
};
