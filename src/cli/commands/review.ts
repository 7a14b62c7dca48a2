/** `curfew review`: list, show, close, drills. */
import type { Command } from 'commander';
import { clientFor, show, type Run } from '../context.ts';
import type { Column } from '../print.ts';
import { wholeNumber } from '../terms.ts';
import { pageText } from './grant.ts';

const COLUMNS: readonly Column[] = [['GRANT', 'grant'], ['STATE', (item) => item['outcome'] ?? item['state']], ['DUE', 'dueAt'], ['BY', 'by'], ['ENTITLEMENT', 'entitlement'], ['REFERENCE', 'reference'], ['WORKLOAD', 'workload']];
const DRILLS: readonly Column[] = [['ENTITLEMENT', 'entitlement'], ['LAST', (item) => item['lastAt'] ?? 'never'], ['DUE', 'dueAt'], ['OVERDUE', (item) => (item['overdue'] === true ? 'yes' : '')]];

export const addReviewCommands = (program: Command, run: Run): void => {
  const review = program.command('review').summary('list and close reviews of emergency access').description('Reviews: what was made of emergency access. The first use opens one; overdue, it stops person and entitlement.');

  review.command('list')
    .description('List reviews.')
    .option('--open', 'only those that wait')
    .option('--limit <count>', 'how many at most', wholeNumber, 50)
    .option('--after <cursor>', 'the `next` of the page before')
    .action(async (options: { open?: boolean; limit: number; after?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).get('/reviews', { limit: String(options.limit), after: options.after, state: options.open === true ? 'open' : undefined }), (page) => pageText(page, COLUMNS)));

  review.command('show')
    .description('The review of one grant.')
    .argument('<grant>', 'id of the grant')
    .action(async (id: string, _options: unknown, command: Command) => show(run, command, await clientFor(run, command).get(`/reviews/${encodeURIComponent(id)}`)));

  review.command('close')
    .description('Sort a use of emergency access: a drill, real, or misuse.')
    .argument('<grant>', 'id of the grant')
    .argument('<outcome>', 'drill, real or misuse')
    .requiredOption('-n, --note <text>', 'what was found')
    .option('--idempotency-key <key>', 'repeat a command safely')
    .action(async (id: string, outcome: string, options: { note: string; idempotencyKey?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).send('POST', `/reviews/${encodeURIComponent(id)}`, { outcome, note: options.note }, { idempotencyKey: options.idempotencyKey })));

  review.command('drills')
    .description('When access by each entitlement for emergencies was last tried.')
    .option('--limit <count>', 'how many at most', wholeNumber, 50)
    .option('--after <cursor>', 'the `next` of the page before')
    .action(async (options: { limit: number; after?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).get('/drills', { limit: String(options.limit), after: options.after }), (page) => pageText(page, DRILLS)));
};
