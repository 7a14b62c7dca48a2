/** `curfew policy test`: every `_test.rego` in OPA's tester and in the engine that decides, which must agree; every timeline. */
import { writeFileSync } from 'node:fs';
import { compileCacheFolder, withCompileCache } from '../../policy/toolchain/compile-cache.ts';
import { openToolchain } from '../../policy/toolchain/open-toolchain.ts';
import type { Toolchain } from '../../policy/toolchain/toolchain.ts';
import { Failed } from '../api-client.ts';
import type { Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { plain } from '../print.ts';
import { testJunit } from './report-junit.ts';
import { countOf, testJson, testText, type TestRun } from './report.ts';
import { asFailed } from './session.ts';
import { testFolder, type OpenToolchain } from './test-folder.ts';
import { onEveryChange } from './watch-tests.ts';

export interface TestCommandOptions {
  readonly coverage?: boolean;
  readonly run?: string;
  readonly trace?: boolean;
  readonly json?: boolean;
  /** File for the JUnit report. */
  readonly junit?: string;
  readonly watch?: boolean;
}

const testOnce = async (run: Run, open: OpenToolchain, folders: readonly string[], options: TestCommandOptions): Promise<void> => {
  const { coverage = false, trace = false, run: filter = '', json = false, junit } = options;
  const runs: TestRun[] = [];
  for (const folder of folders) {
    try {
      runs.push(await testFolder(run, open, folder, { coverage, trace, filter }));
    } catch (error) {
      throw asFailed(error, folder);
    }
  }
  if (junit !== undefined) writeFileSync(junit, testJunit(runs));
  run.deps.stdout(json ? testJson(runs) : testText(runs));
  const bare = runs.find(({ tests, timelines }) => tests.length + timelines.length === 0);
  if (bare !== undefined) throw new Failed(EXIT.refused, `${bare.folder} has no tests${filter === '' ? '' : ' of that name'}`);
  run.exitCode = runs.every((one) => countOf(one).failed === 0) ? EXIT.ok : EXIT.refused;
};

/** A run that could not begin is told, and the next change tries again. */
const tellFailure = (run: Run, error: unknown): void => {
  if (!(error instanceof Failed)) throw error;
  run.deps.stderr(`${error.message.split('\n').map(plain).join('\n')}\n`);
};

export const testCommand = async (run: Run, folders: readonly string[], options: TestCommandOptions): Promise<void> => {
  let opened: Promise<Toolchain> | undefined;
  const cache = compileCacheFolder(run.deps.env);
  const start = async (): Promise<Toolchain> => {
    const toolchain = await (run.deps.openToolchain ?? openToolchain)();
    return cache === undefined ? toolchain : withCompileCache(toolchain, cache, run.deps.version);
  };
  const open: OpenToolchain = () => (opened ??= start());
  try {
    if (options.watch !== true) await testOnce(run, open, folders, options);
    else await onEveryChange(folders, () => testOnce(run, open, folders, options).catch((error: unknown) => tellFailure(run, error)));
  } finally {
    await (await opened?.catch(() => undefined))?.close();
  }
};
