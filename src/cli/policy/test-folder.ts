/** All tests of one folder: Rego tests in OPA's tester and in the engine that decides, timelines against the whole decision point. */
import { statSync } from 'node:fs';
import { hasRego, readSources } from '../../policy/toolchain/read-sources.ts';
import type { TestReport, Toolchain } from '../../policy/toolchain/toolchain.ts';
import { createClock } from '../../time/clock.ts';
import { Failed } from '../api-client.ts';
import type { Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import type { TestRun } from './report.ts';
import { readTimelineFile, timelineFiles, type ToldTimeline } from './timelines.ts';

export interface FolderTestOptions {
  readonly coverage: boolean;
  readonly trace: boolean;
  /** Rego tests and timelines whose full name matches; empty: all. */
  readonly filter: string;
}

/** Opens the toolchain on the first call; a folder of timelines about the default pack needs none. */
export type OpenToolchain = () => Promise<Toolchain>;

const NOTHING: TestReport & Pick<TestRun, 'differences'> = { tests: [], differences: [] };

const testRego = async (open: OpenToolchain, folder: string, { coverage, trace, filter }: FolderTestOptions): Promise<typeof NOTHING> => {
  if (!hasRego(folder)) return NOTHING;
  const sources = readSources(folder);
  const toolchain = await open();
  const testing = toolchain.test(sources, { coverage, trace, run: filter });
  // Loaded while OPA's tester works in its thread.
  const [report, { compareEngines }] = await Promise.all([testing, import('../../policy/toolchain/compare-engines.ts')]);
  const now = createClock({ maxClockStepMs: 1 }).now().latest;
  return { ...report, differences: await compareEngines(toolchain, sources, report.tests, now) };
};

const matches = (filter: string, file: string): boolean => {
  try {
    return new RegExp(filter).test(file);
  } catch {
    throw new Failed(EXIT.refused, `--run ${filter} is not a regular expression`);
  }
};

const testTimelines = async (run: Run, open: OpenToolchain, folder: string, filter: string): Promise<readonly ToldTimeline[]> => {
  const files = timelineFiles(folder).filter((file) => matches(filter, file));
  if (files.length === 0) return [];
  const tell = await run.deps.timelines?.();
  if (tell === undefined) throw new Failed(EXIT.unavailable, 'this program can not run timelines');
  const { policiesOf } = await import('./timeline-policies.ts');
  const policyOf = policiesOf(open, folder);
  const told: ToldTimeline[] = [];
  for (const file of files) told.push({ file, ...(await tell({ name: file, text: readTimelineFile(file) }, (folders) => policyOf(file, folders))) });
  return told;
};

/** Rejects when the folder's own sources are at fault; what a test has against them is in the result. */
export const testFolder = async (run: Run, open: OpenToolchain, folder: string, options: FolderTestOptions): Promise<TestRun> => {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) throw new Failed(EXIT.refused, `${folder} is not a folder`);
  if (!hasRego(folder) && timelineFiles(folder).length === 0) throw new Failed(EXIT.refused, `${folder} has neither .rego files nor timelines (*.timeline.yaml)`);
  const [rego, timelines] = await Promise.all([testRego(open, folder, options), testTimelines(run, open, folder, options.filter)]);
  return { ...rego, folder, timelines };
};
