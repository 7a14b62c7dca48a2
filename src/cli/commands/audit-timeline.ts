/** `curfew audit timeline`: one grant, workload or person from the record, with its uses from the decision log, in the order of time. */
import { createReadStream } from 'node:fs';
import { readLog } from '../../audit/read-log.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { Failed } from '../api-client.ts';
import { EXIT } from '../exit-codes.ts';
import { plain } from '../print.ts';

export interface TimelineRow {
  readonly at: number;
  readonly what: string;
  readonly by?: string;
  /** Of an event, and whether a seal covers it; absent for uses. */
  readonly sequence?: number;
  readonly sealed?: boolean;
}

const DEPTH_MAX = 12;
const mentions = (value: JsonValue | undefined, id: string, depth = 0): boolean => {
  if (typeof value === 'string') return value === id;
  if (typeof value !== 'object' || value === null || depth > DEPTH_MAX) return false;
  return Object.values(value as JsonObject).some((member) => mentions(member, id, depth + 1));
};

const objectIn = (value: JsonObject, name: string): JsonObject => {
  const member = value[name];
  return isJsonObject(member) ? member : {};
};
const parse = (text: string): JsonObject => {
  const value = JSON.parse(text) as JsonValue;
  return isJsonObject(value) ? value : {};
};
/** What ends access of this workload or task ends the grant's too. */
const ENDS = /^(?:revocation|suspension|task)\./;

/** Rows of the record about `id`; of a grant also the endings of its task and its workload. */
export const eventRows = async (events: AsyncIterable<string>, id: string, sealedThrough: number): Promise<readonly TimelineRow[]> => {
  const rows: TimelineRow[] = [];
  const related = new Set<string>();
  for await (const text of events) {
    const event = parse(text);
    const { sequence, at, type } = event;
    if (typeof sequence !== 'number' || typeof at !== 'number' || typeof type !== 'string' || type === 'record.sealed') continue;
    const data = objectIn(event, 'data');
    const about = mentions(event['data'], id) || mentions(event['about'], id);
    if (!about && !(ENDS.test(type) && [...related].some((other) => mentions(data, other)))) continue;
    const grant = objectIn(data, 'grant');
    if (grant['id'] === id) for (const name of ['task', 'workload']) if (typeof grant[name] === 'string') related.add(grant[name]);
    rows.push({ at, what: type, sequence, sealed: sequence <= sealedThrough, ...(typeof data['by'] === 'string' ? { by: data['by'] } : {}) });
  }
  return rows;
};

interface Uses {
  first: number;
  last: number;
  count: number;
}

/** First and last use by enforcement point, and the first denial after each last use. */
export const useRows = async (files: readonly string[], id: string): Promise<readonly TimelineRow[]> => {
  const uses = new Map<string, Uses>();
  const denials = new Map<string, { readonly at: number; readonly reason: string }>();
  for (const file of files) {
    try {
      for await (const line of readLog(createReadStream(file) as AsyncIterable<Buffer>)) {
        if (line.kind !== 'record') continue;
        const { result, workload, pep, now, facts } = line.record;
        const own = result.grant === id || workload === id || (!result.allow && facts?.grants.some((grant) => grant.id === id) === true);
        if (!own) continue;
        const by = pep ?? '-';
        const known = uses.get(by);
        if (!result.allow) {
          if (known !== undefined && !denials.has(by)) denials.set(by, { at: now.latest, reason: result.reason ?? '' });
          continue;
        }
        denials.delete(by);
        uses.set(by, { first: known?.first ?? now.latest, last: now.latest, count: (known?.count ?? 0) + 1 });
      }
    } catch (error) {
      throw new Failed(EXIT.unavailable, `${file} can not be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
    }
  }
  return [
    ...[...uses].flatMap(([by, { first, last, count }]) => [{ at: first, what: 'first use', by }, { at: last, what: `last use of ${count}`, by }]),
    ...[...denials].map(([by, { at, reason }]) => ({ at, what: `first denial (${reason})`, by })),
  ];
};

/** A stable order: by time, then as they happened. */
export const inOrder = (rows: readonly TimelineRow[]): readonly TimelineRow[] => rows.toSorted((a, b) => a.at - b.at || (a.sequence ?? Number.MAX_SAFE_INTEGER) - (b.sequence ?? Number.MAX_SAFE_INTEGER));

export const timelineText = (rows: readonly TimelineRow[]): string =>
  rows.map(({ at, what, by, sequence, sealed }) =>
    `${new Date(at).toISOString()}  ${plain(what)}${by === undefined ? '' : `  ${plain(by)}`}${sequence === undefined ? '' : `  (${sequence}${sealed === true ? '' : ', not sealed: nothing proves it yet'})`}\n`).join('');
