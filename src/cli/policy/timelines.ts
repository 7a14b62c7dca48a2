/** Timeline tests of a folder: which files they are, what runs one, and what came of it. `docs/guides/policies.md` has the language. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Policy } from '../../decision/ports.ts';
import { Failed } from '../api-client.ts';
import { EXIT } from '../exit-codes.ts';

export interface TimelineFailure {
  /** From 1. */
  readonly line: number;
  /** `+10m` after the start. */
  readonly at: string;
  readonly expected: string;
  readonly actual: string;
}

export interface TimelineResult {
  readonly title: string;
  readonly steps: number;
  /** Fewer when a step failed on which the others rest. */
  readonly stepsRun: number;
  readonly questions: number;
  /** Virtual time from the start to the last step. */
  readonly span: string;
  /** What is wrong with the file itself, each with its place; then nothing was run. */
  readonly faults: readonly string[];
  readonly failures: readonly TimelineFailure[];
}

/** One that was run. */
export interface ToldTimeline extends TimelineResult {
  readonly file: string;
}

/** `policyOf` is given the folders that the timeline names; none are what is under test. */
export type RunTimeline = (file: { readonly name: string; readonly text: string }, policyOf: (folders: readonly string[] | undefined) => Promise<Policy>) => Promise<TimelineResult>;

const SUFFIXES = ['.timeline.yaml', '.timeline.yml'];
export const TIMELINES_MAX = 1_000;

const filesBelow = (folder: string): readonly string[] => {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry): readonly string[] => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return entry.name.startsWith('.') || entry.name === 'node_modules' ? [] : filesBelow(path);
      return entry.isFile() && SUFFIXES.some((suffix) => entry.name.endsWith(suffix)) ? [path] : [];
    })
    .toSorted();
};

/** Paths of the timelines below a folder, sorted; none when it is not there. Throws when there are more than `TIMELINES_MAX`. */
export const timelineFiles = (folder: string): readonly string[] => {
  const files = filesBelow(folder);
  if (files.length > TIMELINES_MAX) throw new Failed(EXIT.refused, `${folder} has more than ${TIMELINES_MAX} timelines`);
  return files;
};

export const readTimelineFile = (path: string): string => readFileSync(path, 'utf8');
