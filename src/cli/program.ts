/** The command `curfew`: its tree, and how a run of it ends. Commands of the API mirror the API; local ones come from the starter. */
import { Command, CommanderError } from 'commander';
import { Failed } from './api-client.ts';
import { addAlertCommands } from './commands/alert.ts';
import { addAuditCommands } from './commands/audit.ts';
import { addClockCommands } from './commands/clock.ts';
import { addDirectoryCommands } from './commands/directory.ts';
import { addEndingCommands } from './commands/ending.ts';
import { addEntitlementCommands } from './commands/entitlement.ts';
import { addGrantCommands } from './commands/grant.ts';
import { addPolicyCommands } from './commands/policy.ts';
import { addReportCommands } from './commands/report.ts';
import { addRequestCommands } from './commands/request.ts';
import { addRecertifyCommands } from './commands/recertify.ts';
import { addReviewCommands } from './commands/review.ts';
import { addStoreCommands } from './commands/store.ts';
import { addStatusCommand } from './commands/status.ts';
import { addTaskCommands } from './commands/task.ts';
import { addWhyCommands } from './commands/why.ts';
import { DEFAULT_SERVER, DEFAULT_TOKEN_FILE, type CliDeps, type LocalCommand, type Run } from './context.ts';
import { EXIT } from './exit-codes.ts';
import { formatHelp } from './help.ts';
import { plain } from './print.ts';
import { secondsAsMs } from './terms.ts';

export type { CliDeps, LocalCommand } from './context.ts';

const addLocal = (parent: Command, run: Run, name: string, local: LocalCommand, summary: string, description = summary): Command => {
  const command = parent.command(name).summary(summary).description(description);
  local.options?.(command);
  return command.action(async (...given: unknown[]) => {
    // Commander passes arguments, then options, then the command itself.
    const self = given[given.length - 1] as Command;
    run.exitCode = await local.run(self.optsWithGlobals());
  });
};

/** How the many commands are told in the first help. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  start: ['dev', 'serve', 'config', 'dev-token'],
  'get access': ['entitlement', 'request', 'approve', 'deny', 'cancel', 'break-glass', 'recertify', 'grant', 'task'],
  'end access': ['revoke', 'suspend', 'lift'],
  'look into it': ['explain', 'decision', 'alert', 'review', 'audit', 'status'],
  'look for more': ['report', 'orphans', 'exceptions', 'residual', 'standing', 'manual', 'groups'],
  'set it up': ['operator', 'person', 'workload', 'policy', 'clock'],
  'keep the store': ['backup', 'restore', 'endings', 'migrate'],
};
const NO_STORE: LocalCommand = { run: async () => EXIT.unavailable };

/** The whole tree, for this run. */
export const buildProgram = (run: Run): Command => {
  const { deps } = run;
  const { local } = deps;
  const program = new Command('curfew')
    .description('Access that really ends. Exit codes: 0 ok, 1 refused, 2 unavailable, 3 denied.')
    .version(deps.version, '-V, --version', 'print the version')
    .option('--server <url>', `admin API (CURFEW_SERVER; ${DEFAULT_SERVER})`)
    .option('--token-file <path>', `operator credential (CURFEW_TOKEN; ${DEFAULT_TOKEN_FILE})`)
    .option('--realm <name>', 'realm (CURFEW_REALM)')
    .option('--json', "print the API's own objects")
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ formatHelp })
    .configureOutput({ writeOut: deps.stdout, writeErr: deps.stderr });

  addLocal(program, run, 'dev', local.dev, 'start for development, on loopback');
  addLocal(program, run, 'serve', local.serve, 'start for production, from a configuration');
  const config = program.command('config').summary('check the configuration').description('The configuration.');
  addLocal(config, run, 'check', local['config check'], 'check the configuration without starting anything');
  addLocal(program, run, 'dev-token', {
    options: (command) => {
      command
        .requiredOption('--workload <id>', 'spiffe://dev.local/...')
        .option('--audience <name>', 'audience of the token')
        .option('--ttl <duration>', 'how long it is valid: seconds, or 5m, 1h', secondsAsMs);
      local['dev-token'].options?.(command);
    },
    run: ({ ttl, ...options }) => local['dev-token'].run(ttl === undefined ? options : { ...options, ttlMs: ttl }),
  }, 'print a JWT-SVID of the development identities');
  addStoreCommands(program, (parent, name, of, summary, description) => addLocal(parent, run, name, deps.store?.[of] ?? NO_STORE, summary, description));
  addGrantCommands(program, run);
  addTaskCommands(program, run);
  addEndingCommands(program, run);
  addEntitlementCommands(program, run);
  addRequestCommands(program, run);
  addDirectoryCommands(program, run);
  addWhyCommands(program, run);
  addAlertCommands(program, run);
  addAuditCommands(program, run);
  addReviewCommands(program, run);
  addRecertifyCommands(program, run);
  addReportCommands(program, run);
  addStatusCommand(program, run);
  addPolicyCommands(program, run);
  addClockCommands(program, run);
  for (const [group, names] of Object.entries(GROUPS)) for (const command of program.commands) if (names.includes(command.name())) command.helpGroup(group);
  return program;
};

/** Runs one command line (without node and script); resolves to the exit code and never rejects. */
export const runCli = async (argv: readonly string[], deps: CliDeps): Promise<number> => {
  const run: Run = { deps, exitCode: EXIT.ok };
  try {
    await buildProgram(run).parseAsync([...argv], { from: 'user' });
    return run.exitCode;
  } catch (error) {
    // Commander has printed its own; help and version are no failure.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.refused;
    if (error instanceof Failed) {
      deps.stderr(`${error.message.split('\n').map(plain).join('\n')}\n`);
      return error.code;
    }
    deps.stderr(`curfew: ${error instanceof Error ? plain(error.message) : 'an unexpected failure'}\n`);
    return EXIT.unavailable;
  }
};
