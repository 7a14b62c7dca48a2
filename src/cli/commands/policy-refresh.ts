/** `curfew policy refresh`: a running Curfew looks for a newer bundle now. */
import type { Command } from 'commander';
import { clientFor, show, type Run } from '../context.ts';

export const addPolicyRefreshCommand = (policy: Command, run: Run): void => {
  policy.command('refresh').summary('make a running Curfew look for a newer bundle')
    .description('The node behind --server asks its bundle sources now. Prints the bundle that decides, or why the newest one does not (exit code 1: refused, 2: it can not be had).')
    .option('--idempotency-key <key>', 'repeat a command safely')
    .action(async ({ idempotencyKey }: { idempotencyKey?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).send('POST', '/bundles/refresh', {}, { idempotencyKey })));
};
