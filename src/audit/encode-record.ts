/**
 * A decision record or a gap as one line of JSON, without secrets. These bytes, without the newline, are what is kept and what a
 * hash chain may run over: encode once. Record and secrets are gone through in one pass, straight into the bytes of the
 * batch, because every decision pays for it.
 */
import { createHash } from 'node:crypto';
import type { DecisionRecord } from '../decision/record.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { createJsonBytes, memberText, type JsonBytes, type MemberText } from './json-bytes.ts';
import { createSecrets, DEPTH_MAX, pointerPart, TOO_DEEP, type Secrets } from './redact.ts';

/** Records that are not there, so that their absence is declared (I11). `dropped` is null when nobody could count them. */
export interface Gap {
  readonly version: 1;
  readonly gap: { readonly dropped: number | null; readonly from?: number; readonly to?: number; readonly cause: string; readonly pid: number };
}

/** Writes one line, without its end. Throws on what is no JSON; what was written by then is for the caller to drop. */
export type RecordWriter = (record: DecisionRecord, out: JsonBytes) => void;

export const writeGap = (gap: Gap, out: JsonBytes): void => out.value(gap as unknown as JsonObject);

const bytesOf = (write: (out: JsonBytes) => void): Buffer => {
  const out = createJsonBytes();
  write(out);
  return Buffer.from(out.view(0, out.length));
};

export const encodeGap = (gap: Gap): Buffer => bytesOf((out) => writeGap(gap, out));

const hashOf = (value: JsonValue): string => createHash('sha256').update(JSON.stringify(value)).digest('hex');

interface Member extends MemberText {
  readonly secret: boolean;
}

const MEMBERS_MAX = 2_000;
const NAME_CHARS_MAX = 128;

/** What `createRedactor` and `replacedIn` would give, written in one pass: a test holds them against each other. */
const createCleanWriter = ({ isSecret, mask, maskedText }: Secrets): ((name: string, value: JsonValue, out: JsonBytes) => readonly string[]) => {
  const known = new Map<string, Member>();
  const path: (string | number)[] = [];
  let masked: string[] = [];

  const memberOf = (name: string): Member => {
    let member = known.get(name);
    if (member === undefined) {
      member = { ...memberText(name), secret: isSecret(name) };
      if (known.size >= MEMBERS_MAX) known.clear();
      if (name.length <= NAME_CHARS_MAX) known.set(name, member);
    }
    return member;
  };
  /** Notes the place at `depth`, below the member that is written. */
  const note = (depth: number): void => {
    let pointer = '';
    for (let index = 1; index < depth; index += 1) pointer += `/${pointerPart(String(path[index]))}`;
    masked.push(pointer);
  };

  const hide = (value: JsonValue, depth: number, out: JsonBytes): void => {
    const instead = mask(value);
    if (instead !== value) note(depth);
    out.value(instead);
  };
  /** `path` is filled below `depth`. */
  const write = (value: JsonValue, depth: number, out: JsonBytes): void => {
    if (typeof value === 'string') {
      const clean = value.includes('=') ? maskedText(value) : value;
      if (clean !== value) note(depth);
      out.string(clean);
    } else if (typeof value !== 'object' || value === null) out.value(value);
    else if (depth > DEPTH_MAX + 1) {
      note(depth);
      out.string(TOO_DEEP);
    } else if (Array.isArray(value)) writeList(value as readonly JsonValue[], depth, out);
    else writeObject(value as JsonObject, depth, out);
  };
  const writeList = (items: readonly JsonValue[], depth: number, out: JsonBytes): void => {
    out.raw('[');
    for (let index = 0; index < items.length; index += 1) {
      if (index > 0) out.raw(',');
      path[depth] = index;
      write(items[index] ?? null, depth + 1, out);
    }
    out.raw(']');
  };
  const writeObject = (members: JsonObject, depth: number, out: JsonBytes): void => {
    // Envoy's header_map: `{key, value | rawValue}`.
    const key = members['key'];
    const pairIsSecret = typeof key === 'string' && isSecret(key);
    let empty = true;
    for (const name in members) {
      const value = members[name];
      if (value === undefined) continue;
      const member = memberOf(name);
      out.raw(empty ? member.first : member.next);
      empty = false;
      path[depth] = name;
      if (member.secret || (pairIsSecret && name !== 'key')) hide(value, depth + 1, out);
      else write(value, depth + 1, out);
    }
    out.raw(empty ? '{}' : '}');
  };

  return (name, value, out) => {
    masked = [];
    path[0] = name;
    if (memberOf(name).secret) hide(value, 1, out);
    else write(value, 1, out);
    return masked;
  };
};

/** Writes the members of an object, some of them in their own way; the rest as they are. */
const writeMembers = (object: object, out: JsonBytes, special: (name: string, value: JsonValue) => boolean): void => {
  const members = object as JsonObject;
  let empty = true;
  for (const name in members) {
    const value = members[name];
    if (value === undefined) continue;
    const text = memberText(name);
    out.raw(empty ? text.first : text.next);
    empty = false;
    if (!special(name, value)) out.value(value);
  }
};

export interface RecordOptions {
  readonly redactHeaders: readonly string[];
  readonly recordBytesMax: number;
}

export const createRecordWriter = (options: RecordOptions): RecordWriter => {
  const writeClean = createCleanWriter(createSecrets(options.redactHeaders));
  const write = (record: DecisionRecord, out: JsonBytes): void => {
    let masked: readonly string[] = [];
    writeMembers(record, out, (name, value) => {
      // The input as a whole has no name of its own; the result of a policy is a member like others.
      if (name === 'input') masked = writeClean('', value, out);
      else if (name === 'policy') {
        writeMembers(value as JsonObject, out, (member, result) => {
          if (member !== 'result') return false;
          writeClean(member, result, out);
          return true;
        });
        out.raw('}');
      } else return false;
      return true;
    });
    if (masked.length > 0) {
      out.raw(',"masked":');
      out.value(masked);
    }
    out.raw('}');
  };
  const cleanHash = (name: string, value: JsonValue): JsonObject => ({ leftOut: 'too long', sha256: hashOf(JSON.parse(bytesOf((out) => void writeClean(name, value, out)).toString('utf8')) as JsonValue) });

  return (record, out) => {
    const from = out.length;
    const fits = (shown: object): boolean => {
      out.rewind(from);
      if (shown === record) write(record, out);
      else out.value(shown as JsonObject);
      return out.length - from <= options.recordBytesMax;
    };
    if (fits(record)) return;
    const { policy, input } = record;
    const short = {
      ...record,
      ...(input === undefined ? {} : { input: cleanHash('', input) }),
      ...(policy.result === undefined ? {} : { policy: { ...policy, result: cleanHash('result', policy.result) } }),
    };
    if (fits(short)) return;
    const { facts: _facts, resource: _resource, detail: _detail, ...bare } = record;
    fits({ ...bare, input: { leftOut: 'too long' }, policy: { revision: policy.revision, digest: policy.digest }, detail: 'record shortened: too long' });
  };
};

/** One record as bytes of its own. */
export const createRecordEncoder = (options: RecordOptions): ((record: DecisionRecord) => Buffer) => {
  const write = createRecordWriter(options);
  return (record) => bytesOf((out) => write(record, out));
};
