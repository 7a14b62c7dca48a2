/** `curfew alert`: list, show, test, redeliver. */
import type { Command } from 'commander';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import { clientFor, show, type Run } from '../context.ts';
import type { Column } from '../print.ts';
import { wholeNumber } from '../terms.ts';
import { pageText } from './grant.ts';

const deliveriesText = ({ deliveries }: JsonObject): string =>
  isJsonObject(deliveries) ? Object.entries(deliveries).map(([channel, delivery]) => `${channel} ${isJsonObject(delivery) && typeof delivery['state'] === 'string' ? delivery['state'] : ''}`).join(', ') : '';

const COLUMNS: readonly Column[] = [['AT', 'at'], ['SEVERITY', 'severity'], ['STATE', 'state'], ['DELIVERIES', deliveriesText], ['ID', 'id'], ['MEANING', 'text']];

export const addAlertCommands = (program: Command, run: Run): void => {
  const alert = program.command('alert').summary('list, show, try and redeliver alerts').description('Alerts: what somebody should hear of. They are committed with their cause and delivered until every channel has them.');

  alert.command('list')
    .description('List alerts, newest first.')
    .option('--pending', 'only those that some channel has not had yet')
    .option('--limit <count>', 'how many at most', wholeNumber, 50)
    .option('--after <cursor>', 'the `next` of the page before')
    .action(async (options: { pending?: boolean; limit: number; after?: string }, command: Command) => {
      const query = { limit: String(options.limit), after: options.after, state: options.pending === true ? 'pending' : undefined };
      show(run, command, await clientFor(run, command).get('/alerts', query), (page) => pageText(page, COLUMNS));
    });

  alert.command('show')
    .description('One alert, with what became of it at each channel.')
    .argument('<id>', 'id of the alert')
    .action(async (id: string, _options: unknown, command: Command) => show(run, command, await clientFor(run, command).get(`/alerts/${encodeURIComponent(id)}`)));

  alert.command('test')
    .description('Raise an alert that only tries the channels.')
    .action(async (_options: unknown, command: Command) => show(run, command, await clientFor(run, command).send('POST', '/alerts', {})));

  alert.command('redeliver')
    .description('Deliver an alert again, to every channel.')
    .argument('<id>', 'id of the alert')
    .option('--idempotency-key <key>', 'repeat a command safely')
    .action(async (id: string, options: { idempotencyKey?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).send('POST', `/alerts/${encodeURIComponent(id)}/redeliver`, {}, options)));
};
