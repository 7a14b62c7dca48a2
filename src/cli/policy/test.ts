/** `curfew policy test`: every `_test.rego` in OPA's tester and in the engine that decides; they must agree. */
import { watch, writeFileSync } from 'node:fs';
import { compareEngines } from '../../policy/toolchain/compare-engines.ts';
import { readSources } from '../../policy/toolchain/read-sources.ts';
import type { Toolchain } from '../../policy/toolchain/toolchain.ts';
import { createClock } from '../../time/clock.ts';
import { Failed } from '../api-client.ts';
import type { Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { plain } from '../print.ts';
import { countOf, testJson, testJunit, testText, type TestRun } from './report.ts';
import { asFailed, withToolchain } from './session.ts';

export interface TestCommandOptions {
  readonly coverage?: boolean;
  readonly run?: string;
  readonly trace?: boolean;
  readonly json?: boolean;
  /** File for the JUnit report. */
  readonly junit?: string;
  readonly watch?: boolean;
}

const testOnce = async (run: Run, toolchain: Toolchain, folder: string, options: TestCommandOptions): Promise<void> => {
  const { coverage = false, trace = false, run: filter = '', json = false, junit } = options;
  const sources = readSources(folder);
  const report = await toolchain.test(sources, { coverage, trace, run: filter });
  const now = createClock({ maxClockStepMs: 1 }).now().latest;
  const result: TestRun = { ...report, differences: await compareEngines(toolchain, sources, report.tests, now) };
  if (junit !== undefined) writeFileSync(junit, testJunit(result));
  run.deps.stdout(json ? testJson(result) : testText(result, folder));
  if (result.tests.length === 0) throw new Failed(EXIT.refused, `${folder} has no tests${filter === '' ? '' : ' of that name'}`);
  run.exitCode = countOf(result).failed === 0 ? EXIT.ok : EXIT.refused;
};

/** An editor writes a file in several steps. */
const QUIET_MS = 50;

/** Runs once and again after every change; ends with the process. */
const testOnChange = (run: Run, toolchain: Toolchain, folder: string, options: TestCommandOptions): Promise<void> =>
  new Promise((_, reject) => {
    let timer: NodeJS.Timeout | undefined;
    let last: Promise<void> = Promise.resolve();
    const again = (): void => {
      last = last
        .then(() => testOnce(run, toolchain, folder, options))
        .catch((error: unknown) => {
          const failed = asFailed(error, folder);
          if (!(failed instanceof Failed)) return reject(failed instanceof Error ? failed : new Error(String(failed)));
          run.deps.stderr(`${failed.message.split('\n').map(plain).join('\n')}\n`);
        });
    };
    watch(folder, { recursive: true }, () => {
      clearTimeout(timer);
      timer = setTimeout(again, QUIET_MS);
    }).on('error', reject);
    again();
  });

export const testCommand = (run: Run, folder: string, options: TestCommandOptions): Promise<void> =>
  withToolchain(run, folder, (toolchain) => {
    if (options.watch !== true) return testOnce(run, toolchain, folder, options);
    readSources(folder);
    return testOnChange(run, toolchain, folder, options);
  });
