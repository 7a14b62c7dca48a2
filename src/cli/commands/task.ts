/** `curfew task`: open, beat, pause, resume, close, list, show. */
import type { Command } from 'commander';
import type { JsonObject } from '../../domain/json.ts';
import { clientFor, show, showEnded, type Run } from '../context.ts';
import type { Column } from '../print.ts';
import { durationMs, instantText, wholeNumber } from '../terms.ts';
import { pageText } from './grant.ts';

const COLUMNS: readonly Column[] = [
  ['ID', 'id'], ['STATE', (item) => item['endedBecause'] ?? item['state']], ['KIND', 'kind'], ['OWNER', 'owner'], ['REFERENCE', 'reference'], ['DEADLINE', 'deadline'],
];

const CHANGES = [
  ['beat', 'heartbeat', 'Say that the task goes on. A missed heartbeat is final.'],
  ['pause', 'pause', 'Pause the task: its grants do not hold meanwhile.'],
  ['resume', 'resume', 'Resume a paused task.'],
  ['close', 'close', 'Close the task for good: its grants end.'],
] as const;

export const addTaskCommands = (program: Command, run: Run): void => {
  const task = program.command('task').summary('open, beat, pause, resume, close and show tasks').description('Tasks: the reason why access exists. Grants on a task end with it.');

  task.command('open')
    .description('Open a task.')
    .requiredOption('-k, --kind <kind>', 'what it is: ci-run, ticket, agent-session, ...')
    .requiredOption('-o, --owner <id>', 'who answers for it: team:shop, user:alice')
    .option('-r, --reference <text>', 'run, ticket or change')
    .option('--heartbeat <duration>', 'it ends when no beat comes for so long', durationMs)
    .option('--deadline <instant>', 'it ends then at the latest', instantText)
    .option('--source <id>', 'its id at a source outside: github:run:1:1')
    .option('--idempotency-key <key>', 'repeat a command safely')
    .action(async (options: { kind: string; owner: string; source?: string; reference?: string; heartbeat?: number; deadline?: string; idempotencyKey?: string }, command: Command) => {
      const { kind, owner, source, reference, heartbeat, deadline, idempotencyKey } = options;
      const body: JsonObject = {
        kind, owner, ...(source === undefined ? {} : { source }), ...(reference === undefined ? {} : { reference }), ...(heartbeat === undefined ? {} : { heartbeatMs: heartbeat }), ...(deadline === undefined ? {} : { deadline }),
      };
      show(run, command, await clientFor(run, command).send('POST', '/tasks', body, { idempotencyKey }));
    });

  for (const [name, path, description] of CHANGES) {
    task.command(name)
      .description(description)
      .argument('<id>', 'id of the task')
      .option('--idempotency-key <key>', 'repeat a command safely')
      .action(async (id: string, options: { idempotencyKey?: string }, command: Command) =>
        showEnded(run, command, await clientFor(run, command).send('POST', `/tasks/${encodeURIComponent(id)}/${path}`, {}, options)));
  }

  task.command('list')
    .description('List tasks.')
    .option('--limit <count>', 'how many at most', wholeNumber, 50)
    .option('--after <cursor>', 'the `next` of the page before')
    .action(async (options: { limit: number; after?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).get('/tasks', { limit: String(options.limit), after: options.after }), (page) => pageText(page, COLUMNS)));

  task.command('show')
    .description('One task.')
    .argument('<id>', 'id of the task')
    .action(async (id: string, _options: unknown, command: Command) => show(run, command, await clientFor(run, command).get(`/tasks/${encodeURIComponent(id)}`)));
};
