/** `curfew policy replay`, `bench`: policies held against decisions. */
import type { Command } from 'commander';
import { globalOptions, type Run } from '../context.ts';
import type { BenchOptions } from '../policy/bench.ts';
import type { ReplayOptions } from '../policy/replay.ts';
import { durationMs, instantText, wholeNumber } from '../terms.ts';

const DECISION_RULE = 'curfew/access/decision';

export const addPolicyDecisionCommands = (policy: Command, run: Run): void => {
  policy.command('replay').summary('which recorded decisions a candidate would change')
    .description('Replays a decision log under a candidate bundle. Exits with 0 when nothing would change, 1 when something would, 2 when it can not be told.')
    .requiredOption('--log <file>', 'decision log (- is stdin)')
    .requiredOption('--bundle <path>', 'candidate: folder of sources, or .tar.gz')
    .option('-e, --entrypoint <rule>', 'rule that decides', DECISION_RULE)
    .option('--may-set <name...>', 'what limits.policyMaySet lists')
    .option('--obligation <type...>', 'obligations that the gateways declare')
    .option('--budget <duration>', 'the most that one evaluation may take', durationMs, 1_000)
    .option('--show <count>', 'decisions listed of each rule', wholeNumber, 100)
    .action(async ({ budget, ...options }: Omit<ReplayOptions, 'budgetMs'> & { readonly budget: number }, command: Command) =>
      (await import('../policy/replay.ts')).replayCommand(run, { ...options, budgetMs: budget, json: globalOptions(command).json === true }));

  policy.command('bench').summary('how long an evaluation takes in the engine that decides')
    .description('Times single evaluations in the engine that decides, with a calibration loop by which machines can be compared.')
    .argument('<bundle>', 'folder of sources, or .tar.gz')
    .option('-i, --input <file...>', 'input document or decision record, JSON')
    .option('--log <file>', 'decision log: the inputs of its first 20 decisions')
    .option('-e, --entrypoint <rule>', 'rule to ask', DECISION_RULE)
    .option('--count <n>', 'evaluations of each input', wholeNumber, 20_000)
    .option('--at <instant>', 'what time.now_ns says (the input says)', instantText)
    .action(async (bundle: string, options: BenchOptions, command: Command) =>
      (await import('../policy/bench.ts')).benchCommand(run, bundle, { ...options, json: globalOptions(command).json === true }));
};
