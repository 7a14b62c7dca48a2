/** `curfew recertify`: list, confirm, grace. */
import type { Command } from 'commander';
import { clientFor, show, type Run } from '../context.ts';
import type { Column } from '../print.ts';
import { wholeNumber } from '../terms.ts';
import { pageText } from './grant.ts';

const COLUMNS: readonly Column[] = [['GRANT', 'grant'], ['STATE', 'state'], ['DUE', 'dueAt'], ['OWNER', 'owner'], ['ENTITLEMENT', 'entitlement'], ['WORKLOAD', 'workload']];

interface WordOptions {
  readonly note: string;
  readonly idempotencyKey?: string;
}

export const addRecertifyCommands = (program: Command, run: Run): void => {
  const recertify = program.command('recertify').summary('confirm that access is still needed').description('What owners have to confirm. Not confirmed by its day, a grant denies.');
  const word = (name: string, path: string, description: string): Command =>
    recertify.command(name)
      .description(description)
      .argument('<grant>', 'id of the grant')
      .requiredOption('-n, --note <text>', 'why it is still needed')
      .option('--idempotency-key <key>', 'repeat a command safely')
      .action(async (id: string, { note, idempotencyKey }: WordOptions, command: Command) =>
        show(run, command, await clientFor(run, command).send('POST', `/grants/${encodeURIComponent(id)}/${path}`, { note }, { idempotencyKey })));

  recertify.command('list')
    .description('List what owners have to confirm.')
    .option('--limit <count>', 'how many at most', wholeNumber, 50)
    .option('--after <cursor>', 'the `next` of the page before')
    .action(async (options: { limit: number; after?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).get('/recertifications', { limit: String(options.limit), after: options.after }), (page) => pageText(page, COLUMNS)));
  word('confirm', 'recertify', 'Confirm, as an owner, that a grant is still needed.');
  word('grace', 'grace', 'Give a grant one short grace, as a person who is neither its owner nor asked for it.');
};
