/** `curfew policy explain`, `replay`, `shadow`, `bench`: policies held against decisions. */
import type { Command } from 'commander';
import { clientFor, globalOptions, readInput, serverOf, type Run } from '../context.ts';
import { Failed } from '../api-client.ts';
import { EXIT } from '../exit-codes.ts';
import type { BenchOptions } from '../policy/bench.ts';
import type { Asked } from '../policy/explain-facts.ts';
import type { ExplainOptions } from '../policy/explain.ts';
import type { ReplayOptions } from '../policy/replay.ts';
import { durationMs, instantText, resource, wholeNumber } from '../terms.ts';

const DECISION_RULE = 'curfew/access/decision';

type ExplainFlags = Omit<ExplainOptions, 'asked'> & Partial<Omit<Asked, 'token'>> & { readonly jwt?: string };

/** Without the members that are not given. */
const defined = <T extends object>(value: { readonly [K in keyof T]?: T[K] | undefined }): T =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;

export const addPolicyDecisionCommands = (policy: Command, run: Run): void => {
  policy.command('replay').summary('which recorded decisions a candidate would change')
    .description('Replays a decision log under a candidate bundle. Exits with 0 when nothing would change, 1 when something would, 2 when it can not be told.')
    .requiredOption('--log <file>', 'decision log (- is stdin)')
    .requiredOption('--bundle <path>', 'candidate: folder of sources, or .tar.gz')
    .option('-e, --entrypoint <rule>', `rule that decides (${DECISION_RULE})`)
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

  policy.command('explain').summary('why a decision came out as it did, down to the rules')
    .description("Facts, grants and the rules of a folder, by OPA's evaluator on the same input. Secrets are replaced by short hashes before.")
    .argument('[folder]', 'the sources of the policy', '.')
    .option('-d, --decision <id>', 'a decision on record (x-curfew-decision-id)')
    .option('--log <file>', 'in this decision log, instead of a running Curfew')
    .option('-i, --input <file>', 'a record, or an input document (- is stdin)')
    .option('--action <action>', 'ask a running Curfew: GET, POST, ...')
    .option('--resource <resource>', 'of what: type:id', resource)
    .option('-w, --workload <id>', 'as this workload')
    .option('--jwt <path>', 'with this credential instead')
    .option('--audience <name...>', 'audiences the credential would have')
    .option('--pep <id>', 'the enforcement point that would ask')
    .option('--source <address>', 'the address of the end client')
    .option('--at <instant>', 'as if it were then', instantText)
    .option('-e, --entrypoint <rule>', 'rule to explain (as recorded)')
    .option('--redact-header <name...>', 'names that are secret beyond the usual ones')
    .option('--trace', "OPA's own trace too")
    .action(async (folder: string, options: ExplainFlags, command: Command) => {
      const { action, resource: asked, workload, jwt, audience, pep, source, at, ...rest } = options;
      if ((action === undefined) !== (asked === undefined)) throw new Failed(EXIT.refused, '--action and --resource belong together');
      const token = jwt === undefined ? undefined : (await readInput(run.deps, jwt)).trim();
      const question = action === undefined || asked === undefined ? undefined : defined<Asked>({ action, resource: { ...asked }, workload, token, audience, pep, source, at });
      const { explainCommand } = await import('../policy/explain.ts');
      return explainCommand(run, folder, () => clientFor(run, command), defined<ExplainOptions>({ ...rest, at, asked: question, json: globalOptions(command).json === true }));
    });

  policy.command('shadow').summary('where the candidate in the shadow differs')
    .description('What the candidate of `policy.shadow` would have answered, by both answers. Exits with 0 when nothing differs, 1 when something does, 2 when there is no candidate.')
    .action(async (_options: unknown, command: Command) => (await import('../policy/shadow.ts')).shadowCommand(run, serverOf(run, command), globalOptions(command).json === true));
};
