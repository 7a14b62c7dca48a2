/**
 * A decision record or a gap as one line of JSON. These bytes, without the newline, are what is kept and what a hash chain
 * may run over: encode once. No control, bidirectional or other invisible character leaves unescaped, so that a line can't
 * forge another one or repaint a terminal.
 */
import { createHash } from 'node:crypto';
import type { DecisionRecord } from '../decision/record.ts';
import { escapeInvisible } from '../domain/invisible.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import { createRedactor, replacedIn } from './redact.ts';

/** Records that are not there, so that their absence is declared (I11). `dropped` is null when nobody could count them. */
export interface Gap {
  readonly version: 1;
  readonly gap: { readonly dropped: number | null; readonly from?: number; readonly to?: number; readonly cause: string; readonly pid: number };
}

const encode = (value: DecisionRecord | Gap): Buffer => {
  const json = JSON.stringify(value);
  const bytes = Buffer.from(json, 'utf8');
  // One byte a character: nothing beyond ASCII, where only DEL is invisible and not yet escaped.
  return bytes.length === json.length && !json.includes('\u007f') ? bytes : Buffer.from(escapeInvisible(json), 'utf8');
};

export const encodeGap = (gap: Gap): Buffer => encode(gap);

const hashOf = (value: JsonValue): string => createHash('sha256').update(JSON.stringify(value)).digest('hex');

export const createRecordEncoder = (options: { readonly redactHeaders: readonly string[]; readonly recordBytesMax: number }): ((record: DecisionRecord) => Buffer) => {
  const redact = createRedactor(options.redactHeaders);
  return (record) => {
    const { input, policy } = record;
    const shown = input === undefined ? undefined : redact(input);
    const clean: DecisionRecord = {
      ...record,
      ...(shown === undefined ? {} : { input: shown }),
      ...(shown === input ? {} : { masked: replacedIn(input, shown) }),
      ...(policy.result === undefined ? {} : { policy: { ...policy, ...redact({ result: policy.result }) } }),
    };
    const line = encode(clean);
    if (line.length <= options.recordBytesMax) return line;
    const leftOut = (value: JsonValue): JsonObject => ({ leftOut: 'too long', sha256: hashOf(value) });
    const { masked: _masked, ...unmasked } = clean;
    const short = encode({
      ...unmasked,
      ...(clean.input === undefined ? {} : { input: leftOut(clean.input) }),
      ...(clean.policy.result === undefined ? {} : { policy: { ...clean.policy, result: leftOut(clean.policy.result) } }),
    });
    if (short.length <= options.recordBytesMax) return short;
    const { facts: _facts, resource: _resource, detail: _detail, ...bare } = unmasked;
    return encode({ ...bare, input: { leftOut: 'too long' }, policy: { revision: policy.revision, digest: policy.digest }, detail: 'record shortened: too long' });
  };
};
