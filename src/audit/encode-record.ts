/**
 * A decision record or a gap as one line of JSON, without secrets. These bytes, without the newline, are what is kept and what a
 * hash chain may run over: encode once. No control, bidirectional or other invisible character leaves unescaped, so that a line
 * can't forge another one or repaint a terminal.
 */
import { createHash } from 'node:crypto';
import type { DecisionRecord } from '../decision/record.ts';
import { escapeInvisible } from '../domain/invisible.ts';
import type { JsonObject, JsonValue } from '../domain/json.ts';
import type { LogRules } from './log-rules.ts';
import { opaConsoleEvent, shortened } from './opa-event.ts';
import { createMaskingRedactor, createSecrets } from './redact.ts';
import { createRepeatedParts } from './repeated-parts.ts';

/** Records that are not there, so that their absence is declared (I11). `dropped` is null when nobody could count them. */
export interface Gap {
  readonly version: 1;
  readonly gap: {
    readonly dropped: number | null;
    readonly from?: number;
    readonly to?: number;
    readonly cause: string;
    readonly pid: number;
    /** Of another process: its chain, after which decision its records end, and how many may be missing at most; absent when its decisions waited for no range. */
    readonly chain?: string;
    readonly after?: number;
    readonly droppedMax?: number;
  };
}

/** The answer to a decision that stands before could not be sent. */
export interface NotEmitted {
  readonly version: 1;
  readonly not_emitted: { readonly decision: string };
}

/** JSON in which invisible characters are not escaped yet; `escapeInvisible` makes a line of it. `undefined`: it is not to be kept. Throws on what is no JSON. */
export type RecordText = (record: DecisionRecord) => string | undefined;

const bytesOf = (text: string): Buffer => Buffer.from(escapeInvisible(text), 'utf8');

export const gapText = (gap: Gap): string => JSON.stringify(gap);
export const encodeGap = (gap: Gap): Buffer => bytesOf(gapText(gap));

const hashOf = (value: JsonValue): string => createHash('sha256').update(JSON.stringify(value)).digest('hex');
const leftOut = (value: JsonValue): JsonObject => ({ leftOut: 'too long', sha256: hashOf(value) });

type Members = Record<string, unknown>;

/** Member by member: V8 makes a class of its own for every object that begins with a spread and then grows. */
const copyOf = (object: object): Members => {
  const copy: Members = {};
  for (const name in object) copy[name] = (object as Members)[name];
  return copy;
};

/** No character takes more bytes than an escape. */
const CHARACTER_BYTES_MAX = 6;

export interface RecordOptions {
  readonly redactHeaders: readonly string[];
  readonly recordBytesMax: number;
  /** What else is to be taken out, after secrets were. */
  readonly rules?: LogRules;
  /** Default: records, from which decisions can be judged again. */
  readonly format?: 'curfew' | 'opa';
  readonly labels?: Readonly<Record<string, string>>;
}

export const createRecordText = (options: RecordOptions): RecordText => {
  const secrets = createSecrets(options.redactHeaders);
  const redact = createMaskingRedactor(secrets);
  const fits = (text: string): boolean => text.length * CHARACTER_BYTES_MAX <= options.recordBytesMax || bytesOf(text).length <= options.recordBytesMax;

  const repeating = createRepeatedParts(redact, secrets.isSecret);
  const clean = (text: string | undefined): string | undefined => (text === undefined ? undefined : secrets.maskedText(text));
  /** What is asked for may be an URL with a secret in its query, in whatever protocol: outside of the input, too. */
  const withoutSecrets = (record: DecisionRecord): DecisionRecord => {
    const [action, id, detail] = [clean(record.action), clean(record.resource?.id), clean(record.detail)];
    if (action === record.action && id === record.resource?.id && detail === record.detail) return record;
    return { ...record, ...(action === undefined ? {} : { action }), ...(record.resource === undefined || id === undefined ? {} : { resource: { ...record.resource, id } }), ...(detail === undefined ? {} : { detail }) };
  };

  return (given) => {
    const record = withoutSecrets(given);
    const { input, policy } = record;
    const quick = options.format === 'opa' || options.rules?.asked() === true ? undefined : repeating(record);
    if (quick !== undefined && fits(quick)) return quick;
    const secretless = copyOf(record);
    const masked: string[] = [];
    if (input !== undefined) secretless['input'] = redact(input, masked);
    if (policy.result !== undefined) {
      const { result } = redact({ result: policy.result }, []);
      if (result !== policy.result) secretless['policy'] = { ...policy, result };
    }
    if (masked.length > 0) secretless['masked'] = masked;
    const kept = options.rules === undefined ? secretless : options.rules(secretless);
    if (kept === undefined) return undefined;
    if (options.format === 'opa') {
      const event = opaConsoleEvent(kept as JsonObject, options.labels ?? {});
      const whole = JSON.stringify(event);
      return fits(whole) ? whole : JSON.stringify(shortened(event));
    }
    const text = JSON.stringify(kept);
    if (fits(text)) return text;
    const { input: shown, policy: said, masked: _masked, ...rest } = kept as unknown as DecisionRecord;
    const short = JSON.stringify({
      ...rest, ...(shown === undefined ? {} : { input: leftOut(shown) }), policy: said.result === undefined ? said : { ...said, result: leftOut(said.result) },
    });
    if (fits(short)) return short;
    const { facts: _facts, resource: _resource, detail: _detail, ...bare } = rest;
    return JSON.stringify({ ...bare, input: { leftOut: 'too long' }, policy: { revision: policy.revision, digest: policy.digest }, detail: 'record shortened: too long' });
  };
};

/** One record as the bytes of its line. */
export const createRecordEncoder = (options: RecordOptions): ((record: DecisionRecord) => Buffer) => {
  const textOf = createRecordText(options);
  return (record) => bytesOf(textOf(record) ?? '');
};
