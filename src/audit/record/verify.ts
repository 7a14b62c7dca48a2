/**
 * Verifies an exported record: one event's text a line, as the store has it. Names the first record that is not what was sealed, and says
 * how far the record is sealed, by which keys, and whether anchors know of more than is there.
 *
 * What a verified record proves: its events are those that were sealed, in that order, none left out up to `sealedThrough`, if the keys
 * are trusted. Events after it are not proven by anything; a tail that was cut off is seen only by an anchor.
 */
import { CHAIN_START, LINK_DIGITS, nextLink, readSeal, type Seal } from './chain.ts';
import { verifyCheckpoint, type Checkpoint } from './checkpoint.ts';

export interface RecordFault {
  /** Of the first bad record; absent when what is bad is not one record. */
  readonly sequence?: number;
  readonly what: string;
}

export interface RecordReport {
  readonly records: number;
  /** Sequence of the first record; 1 unless older ones are not part of the export. */
  readonly from?: number;
  readonly through?: number;
  readonly seals: number;
  readonly sealedThrough?: number;
  /** How many records no seal covers yet. */
  readonly unsealed: number;
  /** Ids of the keys that signed. */
  readonly keys: readonly string[];
  readonly fault?: RecordFault;
}

export interface VerifyOptions {
  readonly realm?: string;
  readonly epoch?: string;
  /** Thumbprints of the keys that may have signed; absent: any, and the report says which. */
  readonly trusted?: ReadonlySet<string>;
  /** What anchors know. */
  readonly anchored?: readonly Checkpoint[];
}

interface Progress {
  records: number;
  from: number;
  through: number;
  seals: number;
  sealedThrough: number;
  hash: string;
  /** The chain's hash before the first record. */
  before: string;
  /** Hashes after each record since the last seal. */
  readonly links: string[];
  readonly keys: Set<string>;
  /** What anchors know at sequences that have not been reached yet. */
  readonly waiting: Map<number, string>;
}

class Found extends Error {
  readonly fault: RecordFault;
  constructor(fault: RecordFault) {
    super(fault.what);
    this.fault = fault;
  }
}
const bad = (sequence: number, what: string): Found => new Found({ sequence, what });

interface Shape {
  readonly sequence?: unknown;
  readonly type?: unknown;
  readonly data?: unknown;
}

const parse = (text: string, expected: number): Shape => {
  try {
    const value = JSON.parse(text) as unknown;
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Said below.
  }
  throw bad(expected, 'is no event');
};

const checkOrder = (progress: Progress, event: Shape): number => {
  const expected = progress.through + 1;
  const { sequence } = event;
  if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence)) throw bad(expected, 'has no sequence');
  if (progress.records > 0 && sequence !== expected) {
    throw bad(expected, sequence > expected ? `is missing: ${sequence} comes after ${progress.through}` : `is missing: ${sequence} comes again or out of order`);
  }
  return sequence;
};

/** The seal's links name the first record that differs from what was sealed. */
const compareLinks = (progress: Progress, seal: Seal, sealAt: number): void => {
  const offset = seal.from - (progress.sealedThrough + 1);
  if (offset !== 0) throw bad(sealAt, `seals from ${seal.from} on, where ${progress.sealedThrough + 1} was next`);
  const sealed = seal.through - seal.from + 1;
  // The seal itself is the last link, and none of what it covers.
  if (!(sealed < progress.links.length)) throw bad(sealAt, 'seals what comes after it');
  for (let index = 0; index < sealed; index += 1) {
    const said = seal.links.slice(index * LINK_DIGITS, (index + 1) * LINK_DIGITS);
    if (progress.links[index]?.startsWith(said) !== true) throw bad(seal.from + index, 'is not what was sealed');
  }
  if (progress.links[sealed - 1] !== seal.hash) throw bad(seal.through, 'is not what was sealed');
};

const checkSeal = async (progress: Progress, data: unknown, sealAt: number, options: VerifyOptions): Promise<void> => {
  const seal = readSeal(data);
  if (seal === undefined) throw bad(sealAt, 'is a seal that can not be understood');
  // An export may begin right behind what this seal covers.
  const covered = seal.through - seal.from + 1;
  const earlier = seal.through === progress.from - 1 && seal.hash === progress.before;
  if (!earlier) compareLinks(progress, seal, sealAt);
  const verified = await verifyCheckpoint(seal.checkpoint);
  if (!verified.ok) throw bad(sealAt, `carries a checkpoint that ${verified.fault}`);
  const { checkpoint, keyId } = verified;
  if (options.trusted?.has(keyId) === false) throw bad(sealAt, `is signed by a key that is not trusted (${keyId})`);
  if (checkpoint.sequence !== seal.through || checkpoint.hash !== seal.hash) throw bad(sealAt, 'carries a checkpoint of something else');
  if (options.realm !== undefined && checkpoint.realm !== options.realm) throw bad(sealAt, `is a seal of realm ${checkpoint.realm}`);
  if (options.epoch !== undefined && checkpoint.epoch !== options.epoch) throw bad(sealAt, `is a seal of epoch ${checkpoint.epoch}`);
  progress.keys.add(keyId);
  if (!earlier) progress.links.splice(0, covered);
  progress.sealedThrough = seal.through;
  progress.seals += 1;
};

const take = async (progress: Progress, text: string, options: VerifyOptions): Promise<void> => {
  const event = parse(text, progress.through + 1);
  const sequence = checkOrder(progress, event);
  if (progress.records === 0) {
    progress.from = sequence;
    progress.sealedThrough = sequence - 1;
    const before = sequence === 1 ? CHAIN_START : options.anchored?.find((known) => known.sequence === sequence - 1)?.hash;
    if (before === undefined) throw bad(sequence, 'is the first one, and no anchor says what came before: export from 1 on, or from behind a checkpoint of an anchor');
    progress.before = before;
    progress.hash = before;
  }
  progress.records += 1;
  progress.through = sequence;
  progress.hash = nextLink(progress.hash, text);
  progress.links.push(progress.hash);
  const known = progress.waiting.get(sequence);
  if (known !== undefined && known !== progress.hash) throw bad(sequence, 'or one before it is not what an anchor knows');
  progress.waiting.delete(sequence);
  if (event.type === 'record.sealed') await checkSeal(progress, event.data, sequence, options);
};

/** Never rejects for what is in the record; reading `lines` may. */
export const verifyRecord = async (lines: AsyncIterable<string> | Iterable<string>, options: VerifyOptions = {}): Promise<RecordReport> => {
  const anchored = options.anchored ?? [];
  const progress: Progress = {
    records: 0, from: 0, through: 0, seals: 0, sealedThrough: 0, hash: CHAIN_START, before: CHAIN_START, links: [], keys: new Set(),
    waiting: new Map(anchored.map(({ sequence, hash }) => [sequence, hash])),
  };
  const report = (fault?: RecordFault): RecordReport => ({
    records: progress.records, seals: progress.seals, unsealed: progress.through - progress.sealedThrough, keys: [...progress.keys],
    ...(progress.records === 0 ? {} : { from: progress.from, through: progress.through, sealedThrough: progress.sealedThrough }),
    ...(fault === undefined ? {} : { fault }),
  });
  try {
    for await (const line of lines) if (line !== '') await take(progress, line, options);
    const cut = anchored.reduce((most, { sequence }) => Math.max(most, sequence), 0);
    if (!(cut <= progress.through)) throw bad(progress.through + 1, `is missing: an anchor knows the record up to ${cut}`);
    return report();
  } catch (error) {
    if (error instanceof Found) return report(error.fault);
    throw error;
  }
};
