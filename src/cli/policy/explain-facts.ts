/** What is to be explained: a decision on record, a question to a running Curfew, or an input. Secrets are replaced in all of them. */
import { createReadStream } from 'node:fs';
import { readLog, readLine } from '../../audit/read-log.ts';
import { createRedactor, replacedIn } from '../../audit/redact.ts';
import type { DecisionRecord } from '../../decision/record.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { Failed, type ApiClient } from '../api-client.ts';
import { readInput, type Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { fit } from '../print.ts';

export interface Asked {
  readonly action: string;
  readonly resource: { readonly type: string; readonly id: string };
  readonly workload?: string;
  readonly token?: string;
  readonly audience?: readonly string[];
  readonly pep?: string;
  readonly source?: string;
  readonly at?: string;
}

export interface ExplainFrom {
  readonly decision?: string;
  readonly log?: string;
  /** A decision record, an answer of `curfew explain --json`, or an input document. */
  readonly input?: string;
  readonly asked?: Asked;
}

export interface Explained {
  /** Absent for a bare input. */
  readonly record?: DecisionRecord;
  readonly input: JsonObject;
  /** Where secrets were replaced: JSON Pointers. */
  readonly masked: readonly string[];
}

const asRecord = (value: JsonValue | undefined): DecisionRecord | undefined => {
  const line = readLine(0, JSON.stringify(value ?? null));
  return line.kind === 'record' ? line.record : undefined;
};

const ofRecord = (record: DecisionRecord, redact: (value: JsonObject) => JsonObject): Explained => {
  const given = record.input ?? {};
  const input = redact(given);
  return { record: { ...record, input }, input, masked: [...new Set([...(record.masked ?? []), ...replacedIn(given, input)])] };
};

const inLog = async (path: string, id: string): Promise<DecisionRecord> => {
  try {
    for await (const line of readLog(createReadStream(path) as AsyncIterable<Buffer>)) {
      if (line.kind === 'record' && line.record.id === id) return line.record;
    }
  } catch (error) {
    throw new Failed(EXIT.refused, `${path} can not be read: ${error instanceof Error ? error.message : ''}`);
  }
  throw new Failed(EXIT.refused, `${path} has no decision ${fit(id, 64)}`);
};

const parsed = (text: string, path: string): JsonObject => {
  try {
    const value = JSON.parse(text) as JsonValue;
    if (isJsonObject(value)) return value;
  } catch (error) {
    throw new Failed(EXIT.refused, `${path} is not JSON: ${error instanceof Error ? error.message : ''}`);
  }
  throw new Failed(EXIT.refused, `${path} is not a JSON object`);
};

/** `redactHeaders`: names that are secret beyond those that always are. */
export const readExplained = async (run: Run, client: () => ApiClient, from: ExplainFrom, redactHeaders: readonly string[]): Promise<Explained> => {
  const redact = createRedactor(redactHeaders);
  if (from.decision !== undefined) {
    const record = from.log === undefined ? asRecord(await client().get(`/decisions/${encodeURIComponent(from.decision)}`)) : await inLog(from.log, from.decision);
    if (record === undefined) throw new Failed(EXIT.unavailable, 'the answer is no decision record');
    return ofRecord(record, redact);
  }
  if (from.asked !== undefined) {
    const record = asRecord((await client().send('POST', '/explain', from.asked as unknown as JsonObject))['record']);
    if (record === undefined) throw new Failed(EXIT.unavailable, 'the answer has no decision record');
    return ofRecord(record, redact);
  }
  if (from.input === undefined) throw new Failed(EXIT.refused, 'nothing to explain: a decision id, --input, or --action and --resource');
  const document = parsed(await readInput(run.deps, from.input), from.input);
  const record = asRecord(document) ?? asRecord(document['record']);
  if (record !== undefined) return ofRecord(record, redact);
  const input = redact(document);
  return { input, masked: replacedIn(document, input) };
};
