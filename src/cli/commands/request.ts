/** `curfew request`, `approve`, `deny`, `cancel` and `break-glass`: access that is asked for. */
import type { Command } from 'commander';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import { Failed } from '../api-client.ts';
import { clientFor, show, type Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { scopesText, type Column } from '../print.ts';
import { durationMs, instantText, parameter, scope, wholeNumber, type ScopeText } from '../terms.ts';
import { pageText } from './grant.ts';

interface AskOptions {
  readonly workload: string;
  readonly parameter?: Readonly<Record<string, string>>;
  readonly scope?: readonly ScopeText[];
  readonly ttl?: number;
  readonly notBefore?: string;
  readonly expiresAt?: string;
  readonly owner?: string;
  readonly justification: string;
  readonly reference?: string;
  readonly task?: string;
  readonly uses?: number;
  readonly idempotencyKey?: string;
}

const terms = (item: JsonObject): JsonObject => (isJsonObject(item['terms']) ? item['terms'] : {});
const COLUMNS: readonly Column[] = [
  ['ID', 'id'], ['STATE', 'state'], ['ENTITLEMENT', 'entitlement'], ['BY', (item) => (isJsonObject(item['requester']) ? item['requester']['id'] : '')],
  ['WORKLOAD', (item) => terms(item)['workload']], ['APPROVALS', (item) => `${Array.isArray(item['approvals']) ? item['approvals'].length : 0}/${JSON.stringify(item['needed'])}`], ['SCOPES', (item) => scopesText(terms(item))],
];

const present = (members: Readonly<Record<string, unknown>>): JsonObject => Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as JsonObject;

const withTerms = (command: Command): Command =>
  command
    .requiredOption('-w, --workload <id>', 'for whom: spiffe://... or oidc:...')
    .requiredOption('-j, --justification <text>', 'why it is needed')
    .option('-t, --ttl <duration>', 'ends so long after it is approved', durationMs)
    .option('--not-before <instant>', 'with --expires-at, instead of --ttl', instantText)
    .option('--expires-at <instant>', 'end of the window', instantText)
    .option('-r, --reference <text>', 'ticket, change or incident')
    .option('--task <id>', 'the task it serves')
    .option('-p, --parameter <name=value>', 'of the entitlement; repeatable', parameter)
    .option('-s, --scope <text>', 'narrower than the entitlement; repeatable', scope)
    .option('-o, --owner <id>', 'who answers for it, if not the owner')
    .option('--uses <count>', 'how often it may be used', wholeNumber)
    .option('--idempotency-key <key>', 'repeat a command safely');

const bodyOf = (entitlement: string, options: AskOptions): JsonObject => present({
  entitlement, workload: options.workload, parameters: options.parameter, scopes: options.scope, ttlMs: options.ttl, notBefore: options.notBefore, expiresAt: options.expiresAt,
  owner: options.owner, justification: options.justification, reference: options.reference, task: options.task, uses: options.uses,
});

const at = (id: string, step = ''): string => `/requests/${encodeURIComponent(id)}${step}`;

export const addRequestCommands = (program: Command, run: Run): void => {
  const request = program.command('request').summary('ask for access').description('Ask for access for a workload, and look at requests.');
  withTerms(request.command('create').description('Ask for an entitlement.').argument('<entitlement>', 'name of the entitlement'))
    .action(async (entitlement: string, options: AskOptions, command: Command) =>
      show(run, command, await clientFor(run, command).send('POST', '/requests', bodyOf(entitlement, options), { idempotencyKey: options.idempotencyKey })));
  request.command('extend')
    .description('Ask for more of a grant, from its end on.')
    .argument('<grant>', 'id of the grant')
    .requiredOption('-t, --ttl <duration>', 'how much more', durationMs)
    .requiredOption('-j, --justification <text>', 'why it is needed')
    .option('--idempotency-key <key>', 'repeat a command safely')
    .action(async (grant: string, { ttl, justification, idempotencyKey }: { ttl: number; justification: string; idempotencyKey?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).send('POST', `/grants/${encodeURIComponent(grant)}/extensions`, { ttlMs: ttl, justification }, { idempotencyKey })));
  request.command('list')
    .description('List requests; without a role only yours.')
    .option('--state <state>', 'pending, approved, denied, expired or cancelled')
    .option('--limit <count>', 'how many at most', wholeNumber, 50)
    .option('--after <cursor>', 'the `next` of the page before')
    .action(async ({ limit, ...filter }: { limit: number; state?: string; after?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).get('/requests', { ...filter, limit: String(limit) }), (page) => pageText(page, COLUMNS)));
  request.command('show')
    .description('One request.')
    .argument('<id>', 'id of the request')
    .action(async (id: string, _options: unknown, command: Command) => show(run, command, await clientFor(run, command).get(at(id))));

  program.command('approve')
    .summary('approve a request')
    .description('Approve a request: what it asks for now, as `request show` shows it.')
    .argument('<id>', 'id of the request')
    .option('--digest <sha256>', 'of what you looked at; absent: as it is now')
    .option('--idempotency-key <key>', 'repeat a command safely')
    .action(async (id: string, { digest, idempotencyKey }: { digest?: string; idempotencyKey?: string }, command: Command) => {
      const client = clientFor(run, command);
      const seen = digest ?? (await client.get(at(id)))['digest'];
      if (typeof seen !== 'string') throw new Failed(EXIT.unavailable, 'the server did not say what would be approved');
      show(run, command, await client.send('POST', at(id, '/approve'), { digest: seen }, { idempotencyKey }));
    });
  program.command('deny')
    .summary('deny a request for good')
    .description('Deny a request for good.')
    .argument('<id>', 'id of the request')
    .requiredOption('--reason <text>', 'why')
    .option('--idempotency-key <key>', 'repeat a command safely')
    .action(async (id: string, { reason, idempotencyKey }: { reason: string; idempotencyKey?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).send('POST', at(id, '/deny'), { reason }, { idempotencyKey })));
  program.command('cancel')
    .summary('withdraw a request of yours')
    .description('Withdraw a request of yours.')
    .argument('<id>', 'id of the request')
    .option('--reason <text>', 'why')
    .option('--idempotency-key <key>', 'repeat a command safely')
    .action(async (id: string, { reason, idempotencyKey }: { reason?: string; idempotencyKey?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).send('POST', at(id, '/cancel'), reason === undefined ? {} : { reason }, { idempotencyKey })));

  withTerms(program.command('break-glass').summary('emergency access').description('Emergency access. CURFEW_BREAK_GLASS_KEY holds your key; its clock runs at once.').argument('<entitlement>', 'name of the entitlement'))
    .action(async (entitlement: string, options: AskOptions, command: Command) => {
      const key = run.deps.env['CURFEW_BREAK_GLASS_KEY'];
      const headers: Readonly<Record<string, string>> = key === undefined ? {} : { 'curfew-break-glass-key': key };
      show(run, command, await clientFor(run, command).send('POST', '/break-glass', bodyOf(entitlement, options), { idempotencyKey: options.idempotencyKey, headers }));
    });
};
