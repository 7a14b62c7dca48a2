/** `curfew policy ...`: what authors of policies work with; needs no running Curfew. The work is loaded when it is asked for. */
import type { Command } from 'commander';
import { Option } from 'commander';
import { globalOptions, type Run } from '../context.ts';
import { instantText } from '../terms.ts';
import { addPolicyDecisionCommands } from './policy-decisions.ts';
import { addPolicyRefreshCommand } from './policy-refresh.ts';
import type { BuildOptions } from '../policy/build.ts';
import type { EvalOptions } from '../policy/eval.ts';
import type { TestCommandOptions } from '../policy/test.ts';

const FOLDER = 'folder of .rego files and data.json';

export const addPolicyCommands = (program: Command, run: Run): void => {
  const policy = program.command('policy').summary('write, check, test and build policies').description('Policies: folders of Rego and data, and the bundles made of them.');

  policy.command('init').summary('write a starter pack').description('Writes the default pack and a first rule of your own.')
    .argument('<folder>', 'new or empty')
    .action(async (folder: string) => (await import('../policy/eval.ts')).initCommand(run, folder));

  policy.command('check').summary('find faults, with file, line and column')
    .description('Strict: also unused variables, and members of input that Curfew does not write where a package has annotations with schema["policy-input"] or schema["admin-input"].')
    .argument('[folder]', FOLDER, '.')
    .action(async (folder: string) => (await import('../policy/build.ts')).checkCommand(run, folder));

  policy.command('fmt').summary('format').description('Formats in place, and names what it changed.')
    .argument('[folder]', FOLDER, '.')
    .option('--check', 'only say what is not formatted')
    .action(async (folder: string, options: { check?: boolean }) => (await import('../policy/build.ts')).formatCommand(run, folder, options));

  policy.command('test').summary('run tests, in OPA and in the engine that decides')
    .description("Runs every _test.rego in OPA's tester and in Curfew's engine; a difference between them is a failure. Runs every .timeline.yaml against a whole decision point on a virtual clock.")
    .argument('[folder...]', FOLDER, ['.'])
    .option('--run <regex>', 'only tests whose full name matches, and timelines whose path does')
    .option('--coverage', 'which lines no test reached')
    .option('--trace', 'how each failed test came out')
    .option('--junit <file>', 'write a JUnit report too')
    .option('--watch', 'again after every change')
    .action(async (folders: readonly string[], options: TestCommandOptions, command: Command) =>
      (await import('../policy/test.ts')).testCommand(run, folders, { ...options, json: globalOptions(command).json === true }));

  policy.command('build').summary('make a bundle, the same bytes every time').description('Compiles into a bundle that Curfew loads. The revision is a hash of the content.')
    .argument('[folder]', FOLDER, '.')
    .requiredOption('-o, --out <file>', 'the bundle, .tar.gz')
    .option('--name <name>', "begins the revision (the folder's name)")
    .option('-e, --entrypoint <path...>', 'rules to ask (curfew/access/decision, curfew/admin/decision)')
    .action(async (folder: string, options: BuildOptions) => (await import('../policy/build.ts')).buildCommand(run, folder, options));

  policy.command('eval').summary('what a rule says for an input').description("Evaluates one rule in OPA's evaluator.")
    .argument('[folder]', FOLDER, '.')
    .option('-i, --input <file>', 'input document, JSON (- is stdin)')
    .option('-r, --rule <path>', 'the rule', 'curfew/access/decision')
    .option('--at <instant>', 'what time.now_ns says', instantText)
    .addOption(new Option('--trace <kind>', 'how it came out').choices(['full', 'fails', 'notes', 'debug']))
    .action(async (folder: string, options: EvalOptions) => (await import('../policy/eval.ts')).evalCommand(run, folder, options));

  addPolicyRefreshCommand(policy, run);

  addPolicyDecisionCommands(policy, run);
};
