/** `curfew person` and `curfew workload`: who people and workloads are. */
import type { Command } from 'commander';
import { clientFor, show, showEnded, type Run } from '../context.ts';
import type { Column } from '../print.ts';
import { wholeNumber, words } from '../terms.ts';
import { pageText } from './grant.ts';

const PERSONS: readonly Column[] = [['ID', 'id'], ['ACTIVE', 'active'], ['TEAMS', 'teams'], ['ACCOUNTS', 'accounts']];
const WORKLOADS: readonly Column[] = [['ID', 'id'], ['KIND', 'kind'], ['ACTIVE', 'active'], ['TIER', 'tier'], ['OWNERS', 'owners']];

const reading = (parent: Command, run: Run, path: string, columns: readonly Column[], what: string): void => {
  parent.command('list')
    .description(`List every ${what}.`)
    .option('--limit <count>', 'how many at most', wholeNumber, 50)
    .option('--after <cursor>', 'the `next` of the page before')
    .action(async ({ limit, after }: { limit: number; after?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).get(path, { limit: String(limit), after }), (page) => pageText(page, columns)));
  parent.command('show')
    .description(`One ${what}.`)
    .argument('<id>', `id of the ${what}`)
    .action(async (id: string, _options: unknown, command: Command) => show(run, command, await clientFor(run, command).get(`${path}/${encodeURIComponent(id)}`)));
};

export const addDirectoryCommands = (program: Command, run: Run): void => {
  const person = program.command('person').summary('who a person is, and who has left').description('People: their accounts and teams. Whoever leaves takes along what rests on them.');
  person.command('set')
    .description('Say who a person is.')
    .argument('<id>', 'user:alice')
    .option('--account <id>', 'oidc:issuer/subject; repeatable', words, [])
    .option('--team <id>', 'team:shop; repeatable', words, [])
    .option('--left', 'the person is gone: what rests on them ends now')
    .option('--idempotency-key <key>', 'repeat a command safely')
    .action(async (id: string, options: { account: string[]; team: string[]; left?: boolean; idempotencyKey?: string }, command: Command) =>
      showEnded(run, command, await clientFor(run, command).send('PUT', `/people/${encodeURIComponent(id)}`, { accounts: options.account, teams: options.team, active: options.left !== true }, options)));
  reading(person, run, '/people', PERSONS, 'person');

  const workload = program.command('workload').summary('register workloads').description('Workloads: what they are and who answers for them.');
  workload.command('set')
    .description('Register a workload, or change who answers for it.')
    .argument('<id>', 'spiffe://... or oidc:...')
    .requiredOption('-o, --owner <id>', 'who answers for it: team:shop, user:alice')
    .requiredOption('--fallback-owner <id>', 'who does when the owner does not')
    .option('-k, --kind <kind>', 'service, ci, batch, agent, third-party, device, other', 'service')
    .option('--tier <name>', 'its tier', 'standard')
    .option('--alias <id>', 'another name of it; repeatable', words, [])
    .option('--retired', 'it is no more: what it has ends now')
    .option('--idempotency-key <key>', 'repeat a command safely')
    .action(async (id: string, options: { owner: string; fallbackOwner: string; kind: string; tier: string; alias: string[]; retired?: boolean; idempotencyKey?: string }, command: Command) => {
      const { owner, fallbackOwner, kind, tier, alias, retired } = options;
      const body = { owner, fallbackOwner, kind, tier, aliases: alias, active: retired !== true };
      showEnded(run, command, await clientFor(run, command).send('PUT', `/workloads/${encodeURIComponent(id)}`, body, options));
    });
  reading(workload, run, '/workloads', WORKLOADS, 'workload');
};
