/** What a replay found: counts, and the changed decisions by rule, for people (120 columns) and for programs (a line each). */
import type { DecisionRecord } from '../../decision/record.ts';
import type { Change } from '../../decision/rejudge.ts';
import { toRfc3339 } from '../../domain/instant.ts';
import { escapeInvisible } from '../../domain/invisible.ts';
import type { JsonObject, JsonValue } from '../../domain/json.ts';
import { fit } from '../print.ts';
import type { Judged, Side } from './replay-judge.ts';

/** Why a record could not be judged. */
export type Unjudged = 'no policy was asked' | 'its input is not in the log' | 'it stopped a worker';

interface Group {
  readonly change: Change;
  readonly before: string;
  readonly after: string;
  count: number;
  readonly shown: string[];
}

export interface ReplaySummary {
  readonly revision: string;
  readonly digest: string;
  decisions: number;
  unchanged: number;
  changed: number;
  masked: { count: number; differing: number };
  /** Evaluations of the candidate that were ended; they are among the changed. */
  stopped: number;
  /** Decisions with a grant whose entitlement the recorded bundle lacked: it might count again, which the log can't tell. */
  withoutEntitlement: number;
  readonly unjudged: Map<Unjudged, number>;
  readonly revisions: Map<string, number>;
  gaps: { lines: number; dropped: number; uncounted: number };
  readonly malformed: { count: number; readonly first: { readonly line: number; readonly fault: string }[] };
}

export const emptySummary = (revision: string, digest: string): ReplaySummary => ({
  revision, digest, decisions: 0, unchanged: 0, changed: 0, masked: { count: 0, differing: 0 }, stopped: 0, withoutEntitlement: 0,
  unjudged: new Map(), revisions: new Map(), gaps: { lines: 0, dropped: 0, uncounted: 0 }, malformed: { count: 0, first: [] },
});

export const countUp = <K>(counts: Map<K, number>, key: K): void => void counts.set(key, (counts.get(key) ?? 0) + 1);

const GROUPS_MAX = 1_000;
const COLUMNS = 120;

/** The worst first. */
const ORDER: readonly Change[] = ['deny to allow', 'allow to deny', 'another reason', 'another grant', 'another result'];

type Changed = Extract<Judged, { kind: 'changed' }>;

const aboutOf = ({ id, now, workload, action, resource }: DecisionRecord): JsonObject => ({
  id, at: toRfc3339(now.latest), ...(workload === undefined ? {} : { workload }), ...(action === undefined ? {} : { action }), ...(resource === undefined ? {} : { resource: { ...resource } }),
});

const sideJson = ({ answer, result }: Side): JsonObject => ({ ...(answer as unknown as JsonObject), ...(result === undefined ? {} : { result }) });

export const changeJson = (record: DecisionRecord, { change, before, after }: Changed): string =>
  `${escapeInvisible(JSON.stringify({ change, ...aboutOf(record), before: sideJson(before), after: sideJson(after) }))}\n`;

const lineOf = ({ id, now, workload, action, resource }: DecisionRecord, { change, before, after }: Changed): string => {
  const what = resource === undefined ? '' : `${action ?? ''} ${resource.type}:${resource.id}`;
  const grants = change === 'another grant' ? `${before.answer.grant ?? 'none'} -> ${after.answer.grant ?? 'none'} ` : '';
  return `${toRfc3339(now.latest)} ${id} ${grants}${what} ${workload ?? ''}`;
};

export interface ChangeGroups {
  add(record: DecisionRecord, changed: Changed): void;
  text(): string;
  json(): readonly JsonObject[];
}

/** `shownMax`: decisions that are listed of each group. */
export const createGroups = (shownMax: number): ChangeGroups => {
  const groups = new Map<string, Group>();
  const other = new Map<Change, Group>();
  const sorted = (): readonly Group[] => [...groups.values(), ...other.values()].toSorted((a, b) => ORDER.indexOf(a.change) - ORDER.indexOf(b.change) || b.count - a.count);
  return {
    add: (record, changed) => {
      const { change, before, after } = changed;
      const key = `${change}\n${before.label}\n${after.label}`;
      let group = groups.get(key);
      if (group === undefined && groups.size < GROUPS_MAX) groups.set(key, (group = { change, before: before.label, after: after.label, count: 0, shown: [] }));
      if (group === undefined) {
        group = other.get(change) ?? { change, before: 'others', after: 'others', count: 0, shown: [] };
        other.set(change, group);
      }
      group.count += 1;
      if (group.shown.length < shownMax) group.shown.push(lineOf(record, changed));
    },
    text: () =>
      sorted().map(({ change, before, after, count, shown }) => {
        const rule = before === after ? before : `${before} -> ${after}`;
        const rest = count > shown.length ? `  and ${count - shown.length} more (--show, or --json for all)\n` : '';
        return `\n${fit(`${count} x ${change}: ${rule}`, COLUMNS)}\n${shown.map((line) => `${fit(`  ${line}`, COLUMNS)}\n`).join('')}${rest}`;
      }).join(''),
    json: () => sorted().map(({ change, before, after, count }) => ({ change, before, after, count })),
  };
};

const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

export const summaryText = (summary: ReplaySummary): string => {
  const { decisions, unchanged, changed, masked, stopped, unjudged, revisions, gaps, malformed, withoutEntitlement } = summary;
  const were = [...revisions].map(([revision, count]) => `${revision} ${count}`).join(', ');
  const faults = malformed.first.map(({ line, fault }) => `${line}: ${fault}`).join('; ');
  const lines = [
    `${plural(decisions, 'decision')}, by ${were === '' ? 'no policy' : were}; now by ${summary.revision}`,
    `${unchanged} as they were`,
    `${changed} would change${stopped === 0 ? '' : `, ${stopped} of them because the policy took too long`}`,
    ...(masked.count === 0 ? [] : [`${masked.count} read a masked field, whose value is not in the log; with the mask in its place ${masked.differing} differ`]),
    ...[...unjudged].map(([why, count]) => `${count} not judged: ${why}`),
    ...(withoutEntitlement === 0 ? [] : [`${withoutEntitlement} with a grant that had no entitlement then: whether it counts now is not in the log`]),
    ...(gaps.lines === 0 ? [] : [`${plural(gaps.lines, 'gap')} declared in the log: ${gaps.dropped} records missing${gaps.uncounted === 0 ? '' : ', and some that nobody counted'}`]),
    ...(malformed.count === 0 ? [] : [`${plural(malformed.count, 'line')} that can not be read (${faults}${malformed.count > malformed.first.length ? '; ...' : ''})`]),
  ];
  return lines.map((line) => `${fit(line, COLUMNS)}\n`).join('');
};

export const summaryJson = (summary: ReplaySummary, groups: ChangeGroups): string => {
  const { unjudged, revisions, ...rest } = summary;
  const named = (counts: Map<string, number>): JsonObject => Object.fromEntries(counts);
  return `${escapeInvisible(JSON.stringify({ summary: { ...(rest as unknown as JsonObject), unjudged: named(unjudged), recordedRevisions: named(revisions), groups: groups.json() as unknown as JsonValue } }))}\n`;
};
