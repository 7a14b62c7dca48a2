/** What every bench command does around its measuring: conditions before and after, tables, `--write`, and the exit code. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { conditions, machineShape } from './machine.ts';
import { keepResults } from './performance-page.ts';
import { asText, conditionsTable, goalsTable, type Findings, type Results } from './results.ts';

/** The repository: the nearest folder above with a package.json, wherever the bench was compiled to. */
export const repositoryRoot = (from = import.meta.dirname): string => {
  if (existsSync(join(from, 'package.json'))) return from;
  const above = dirname(from);
  if (above === from) throw new Error('no package.json above');
  return repositoryRoot(above);
};

export const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

/** Missed goals are reported, not failed: a loud neighbour must not break a build. A wrong answer is thrown, and fails. */
export const runBench = async (bench: string, command: string, options: { readonly write: boolean }, measure: () => Promise<Findings>): Promise<void> => {
  const machine = machineShape();
  say(`${bench}: ${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, ${machine.platform}, Node ${machine.node}`);
  const before = await conditions();
  say(`calibration ${before.calibrationMs.toFixed(1)} ms, load ${before.load.toFixed(2)}`);
  const startedMs = performance.now();
  const findings = await measure();
  const after = await conditions();
  const results: Results = { bench, command, date: new Date().toISOString().slice(0, 10), machine, before, after, ...findings };
  for (const table of [...results.tables, conditionsTable(results), goalsTable(results)]) say(asText(table));
  say(`\n${bench}: ${((performance.now() - startedMs) / 1_000).toFixed(0)} s`);
  if (options.write) {
    keepResults(repositoryRoot(), results);
    say('docs/reference/performance.md is written');
  }
};
