/** A facts query as the arguments of its script, and the script's answer as facts. */
import type { Instant } from '../../domain/instant.ts';
import { recordKeyText, ROWS_MAX, type FactsQuery, type FactsRead, type RowPlace, type StoredRecord } from '../port.ts';
import { numberText, ownerPrefix, recordField } from './keys.ts';
import { unpackNames } from './packed-names.ts';
import { decodeRecord, type RecordReply } from './record.ts';
import type { Seal } from './seal.ts';
import type { Seen } from './witness.ts';

/** What follows the epoch and the known ending. */
export const factsArguments = (query: FactsQuery): readonly (string | number)[] => {
  const keys = [query.keys.length, ...query.keys.map(recordField)];
  if (query.index === undefined) return keys;
  const { owner, endsAfter, lookBack = 0, places } = query.index;
  const prefix = ownerPrefix(owner);
  // Rows are the prefix, the end in digits, the field; `:` sorts after every digit.
  const next = `${prefix}${numberText(endsAfter + 1)}`;
  return [...keys, Buffer.byteLength(prefix, 'utf8'), `(${prefix}:`, `[${next}`, ROWS_MAX + 1, `(${next}`, `[${prefix}`, Math.max(0, lookBack), places === true ? '1' : '0'];
};

/** Follows the reply of a row whose place was asked for. */
type PlaceReply = readonly [body: Buffer, end: Buffer, refs: readonly Buffer[] | Buffer];

const placeOf = (reply: readonly unknown[]): RowPlace => {
  const [body, end, refs] = reply.slice(-3) as unknown as PlaceReply;
  return { end: Number(end.toString('latin1')) as Instant, refs: Buffer.isBuffer(refs) ? unpackNames(refs, body) : refs.map((ref) => ref.toString('utf8')) };
};

type FactsReply = readonly [what: Buffer, sequence: Buffer, endings: Buffer, hash: Buffer, read: readonly RecordReply[], live: readonly RecordReply[], ended: readonly RecordReply[]];

/** The realm at the server, as the script tells it; `hashThen`: its hash up to the ending that was asked about, '' = not known. */
export const seenByFacts = (answer: readonly unknown[]): { readonly seen: Seen; readonly hashThen: string } => {
  const [, sequence, endings, hash] = answer.map(String) as [string, string, string, string];
  return { seen: { sequence: Number(sequence), endings: { sequence: Number(endings), hash } }, hashThen: String(answer[8]) };
};

export const factsRead = (query: FactsQuery, answer: readonly unknown[], { epoch, seal }: { readonly epoch: string; readonly seal: Seal }): FactsRead => {
  const [, sequence, endings, hash, read, live, ended] = answer as FactsReply;
  const decode = (reply: RecordReply): StoredRecord => decodeRecord(seal, query.realm, reply);
  const records = new Map<string, StoredRecord>();
  for (const reply of read) {
    const record = decode(reply);
    records.set(recordKeyText(record.key), record);
  }
  const rows = live.slice(0, ROWS_MAX).map(decode);
  const wanted = query.index?.wanted;
  const anyWanted = rows.some((row) => wanted === undefined || wanted(row));
  return {
    position: { epoch, sequence: Number(sequence.toString('latin1')) },
    endings: { sequence: Number(endings.toString('latin1')), hash: hash.toString('latin1') },
    records,
    rows,
    ended: anyWanted ? [] : ended.map(decode),
    truncated: live.length > ROWS_MAX,
    ...(query.index?.places === true ? { places: { rows: live.slice(0, ROWS_MAX).map(placeOf), ended: anyWanted ? [] : ended.map(placeOf) } } : {}),
  };
};
