/**
 * Copies as files: JSON lines, whole or not at all. The last line has the number of lines and the SHA-256 of everything before it, and with
 * an integrity key an HMAC: a file that was cut or changed is refused before anything of it is used. Only its owner can read it.
 */
import { createHash, createHmac, timingSafeEqual, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, open, unlink } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Instant } from '../domain/instant.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import { eventEntry, parseKeyText, type CopyHead, type CopySource, type Entry, type RealmEnd } from '../store/copy/entries.ts';
import { recordKeyText, StoreUnavailable, type RecordKey, type Stamp } from '../store/port.ts';

export type FileKind = 'backup' | 'endings';

const VERSION = 1;
const BATCH = 200;

export interface FileHead extends CopyHead {
  readonly kind: FileKind;
}

type Line = JsonObject;

const entryLine = (entry: Entry): Line => {
  switch (entry.what) {
    case 'record': {
      const { key, created, modified, marked, value, refs, index } = entry.record;
      const stamps = [created, modified, marked ?? { sequence: 0, at: 0 }].flatMap(({ sequence, at }) => [sequence, at]);
      return { r: [recordKeyText(key), stamps, value, refs.map(recordKeyText), index === undefined ? null : [index.owner, index.end]] };
    }
    case 'dropped': return { d: recordKeyText(entry.key) };
    case 'event': return { e: Buffer.from(entry.event.bytes).toString('utf8') };
    case 'replay': {
      const { hash, digest, done, until, reply } = entry.replay;
      return { i: [hash, digest, done.sequence, done.at, until, reply] };
    }
  }
};

const lineEntry = (line: Line): Entry | undefined => {
  const { r, d, e, i } = line;
  if (typeof e === 'string') return eventEntry(Buffer.from(e, 'utf8'));
  if (typeof d === 'string') return { what: 'dropped', key: parseKeyText(d) };
  if (Array.isArray(i)) {
    const [hash, digest, sequence, at, until, reply] = i as unknown as readonly [string, string, number, Instant, number, JsonValue];
    return { what: 'replay', replay: { hash, digest, done: { sequence, at }, until, reply } };
  }
  if (!Array.isArray(r)) return undefined;
  const [key, stamps, value, refs, index] = r as unknown as readonly [string, readonly number[], JsonObject, readonly string[], readonly [string, Instant] | null];
  const stamp = (from: number): Stamp => ({ sequence: stamps[from] as number, at: stamps[from + 1] as Instant });
  return {
    what: 'record',
    record: {
      key: parseKeyText(key), created: stamp(0), modified: stamp(2), value, refs: refs.map((ref): RecordKey => parseKeyText(ref)),
      ...(stamp(4).sequence === 0 ? {} : { marked: stamp(4) }),
      ...(index === null ? {} : { index: { owner: index[0], end: index[1] } }),
    },
  };
};

/** Writes `path`, which must not be there; resolves to where each realm stood. `from`: only events after it. */
export const writeCopyFile = async (
  path: string, source: CopySource, options: { readonly kind: FileKind; readonly realms: readonly string[]; readonly key?: string | undefined; readonly after?: ReadonlyMap<string, RealmEnd> },
): Promise<ReadonlyMap<string, RealmEnd>> => {
  const part = `${path}.${process.pid}.part`;
  const file = await open(part, 'wx', 0o600);
  const hash = createHash('sha256');
  const mac = options.key === undefined ? undefined : createHmac('sha256', options.key);
  let lines = 0;
  const write = async (batch: readonly Line[]): Promise<void> => {
    if (batch.length === 0) return;
    const text = Buffer.from(batch.map((line) => `${JSON.stringify(line)}\n`).join(''), 'utf8');
    hash.update(text);
    mac?.update(text);
    lines += batch.length;
    await file.writeFile(text);
  };
  const ends = new Map<string, RealmEnd>();
  try {
    const { kind, realms, after } = options;
    await write([{ curfew: kind, version: VERSION, ...source.head }]);
    for (const realm of realms) {
      await write([{ realm }]);
      const entries = kind === 'backup' ? source.copy(realm) : source.events(realm, after?.get(realm)?.sequence ?? 0);
      for (;;) {
        const next = await entries.next();
        if (next.done === true) {
          ends.set(realm, next.value);
          await write([{ end: realm, ...next.value } as unknown as Line]);
          break;
        }
        await write(next.value.map(entryLine));
      }
    }
    await file.writeFile(`${JSON.stringify({ lines, sha256: hash.digest('hex'), ...(mac === undefined ? {} : { mac: mac.digest('hex') }) })}\n`);
    await file.sync();
    await file.close();
    // Unlike a rename it never replaces what is there.
    await link(part, path);
  } finally {
    await file.close().catch(() => undefined);
    await unlink(part).catch(() => undefined);
  }
  return ends;
};

const damaged = (path: string, why: string): StoreUnavailable => new StoreUnavailable(`${path} can not be used: ${why}`);

const linesOf = (path: string): AsyncIterable<string> => createInterface({ input: createReadStream(path, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY });
const parse = (path: string, text: string): Line => {
  try {
    const line = JSON.parse(text) as JsonValue;
    if (isJsonObject(line)) return line;
  } catch {
    // Said below.
  }
  throw damaged(path, 'it is damaged');
};

export interface CopyFile {
  readonly head: FileHead;
  readonly realms: ReadonlyMap<string, RealmEnd>;
  /** Of the whole file, hex. */
  readonly digest: string;
  /** Entries of a realm in batches. */
  entries(realm: string): AsyncGenerator<readonly Entry[], RealmEnd>;
}

/** Reads the whole file once to see that it is whole. `key`: it must have been written with it. */
export const openCopyFile = async (path: string, kind: FileKind, key: string | undefined): Promise<CopyFile> => {
  const hash = createHash('sha256');
  const mac = key === undefined ? undefined : createHmac('sha256', key);
  const realms = new Map<string, RealmEnd>();
  let head: FileHead | undefined;
  let last: string | undefined;
  let lines = 0;
  const take = (text: string, into: readonly (Hash | ReturnType<typeof createHmac> | undefined)[]): void => {
    for (const one of into) one?.update(`${text}\n`);
    lines += 1;
    if (lines > 1 && !text.startsWith('{"end":')) return;
    const line = parse(path, text);
    if (lines === 1) head = headOf(path, line, kind);
    else realms.set(line['end'] as string, { sequence: line['sequence'], at: line['at'], endings: line['endings'] } as unknown as RealmEnd);
  };
  try {
    for await (const text of linesOf(path)) {
      if (last !== undefined) take(last, [hash, mac]);
      last = text;
    }
  } catch (error) {
    if (error instanceof StoreUnavailable) throw error;
    throw damaged(path, (error as NodeJS.ErrnoException).code ?? 'it can not be read');
  }
  const end = parse(path, last ?? '');
  const digest = hash.digest('hex');
  if (head === undefined || end['lines'] !== lines || end['sha256'] !== digest) throw damaged(path, 'it was cut or changed');
  if (mac !== undefined) {
    const given = Buffer.from(typeof end['mac'] === 'string' ? end['mac'] : '', 'hex');
    const right = mac.digest();
    if (given.length !== right.length || !timingSafeEqual(given, right)) throw damaged(path, 'it was not written with the integrity key of this configuration');
  }
  return {
    head, realms, digest,
    entries: async function* (realm) {
      let current: JsonValue | undefined;
      let batch: Entry[] = [];
      for await (const text of linesOf(path)) {
        const line = parse(path, text);
        if (line['realm'] !== undefined) current = line['realm'];
        if (current !== realm) continue;
        const entry = lineEntry(line);
        if (entry !== undefined) batch.push(entry);
        if (batch.length < BATCH && line['end'] === undefined) continue;
        yield batch;
        batch = [];
        if (line['end'] !== undefined) break;
      }
      const stood = realms.get(realm);
      if (stood === undefined) throw damaged(path, `it does not hold the realm ${realm}`);
      return stood;
    },
  };
};

const headOf = (path: string, line: Line, kind: FileKind): FileHead => {
  const { curfew, version, epoch, mode, clockMark } = line;
  if (curfew !== 'backup' && curfew !== 'endings') throw damaged(path, 'it was not written by curfew');
  if (version !== VERSION) throw damaged(path, `it has version ${JSON.stringify(version)}, this version of Curfew reads ${VERSION}`);
  if (curfew !== kind) throw damaged(path, `it holds ${curfew}, not ${kind}`);
  if (typeof epoch !== 'string' || (mode !== 'production' && mode !== 'development')) throw damaged(path, 'it is damaged');
  return { kind, epoch, mode, ...(typeof clockMark === 'number' ? { clockMark: clockMark as Instant } : {}) };
};
