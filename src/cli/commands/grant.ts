/** `curfew grant`: issue, list, show. */
import type { Command } from 'commander';
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { Failed } from '../api-client.ts';
import { clientFor, readInput, show, type Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { scopesText, table, type Column } from '../print.ts';
import { durationMs, instantText, pairs, scope, wholeNumber, type ScopeText } from '../terms.ts';

type Named = Readonly<Record<string, readonly string[]>>;

interface IssueOptions {
  readonly workload?: string;
  readonly model: string;
  readonly scope?: readonly ScopeText[];
  readonly ttl?: number;
  readonly notBefore?: string;
  readonly expiresAt?: string;
  readonly owner?: string;
  readonly justification?: string;
  readonly reference?: string;
  readonly task?: string;
  readonly entitlement?: string;
  readonly condition?: Named;
  readonly binding?: Named;
  readonly uses?: number;
  readonly file?: string;
  readonly idempotencyKey?: string;
}

const COLUMNS: readonly Column[] = [
  ['ID', 'id'], ['STATE', (item) => item['endedBecause'] ?? item['state']], ['MODEL', 'model'], ['ENDS', 'expiresAt'], ['WORKLOAD', 'workload'], ['SCOPES', scopesText],
];

const present = (members: Readonly<Record<string, unknown>>): JsonObject =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as JsonObject;

const bodyOf = (options: IssueOptions): JsonObject =>
  present({
    workload: options.workload, model: options.model, scopes: options.scope ?? [], ttlMs: options.ttl, notBefore: options.notBefore, expiresAt: options.expiresAt,
    owner: options.owner, justification: options.justification, reference: options.reference, task: options.task, entitlement: options.entitlement, uses: options.uses,
    conditions: options.condition,
    binding: options.binding === undefined ? undefined : Object.fromEntries(Object.entries(options.binding).map(([name, values]) => [name, values[values.length - 1]])),
  });

const bodyFrom = async (run: Run, path: string): Promise<JsonObject> => {
  const text = await readInput(run.deps, path);
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch {
    throw new Failed(EXIT.refused, `${path} is not JSON`);
  }
  if (isJsonObject(value)) return value;
  throw new Failed(EXIT.refused, `${path} does not hold a JSON object`);
};

export const addGrantCommands = (program: Command, run: Run): void => {
  const grant = program.command('grant').summary('issue, list and show grants').description('Grants: issued access, never without an end.');

  grant.command('issue')
    .description('Issue a grant. A duration is 60s, 5m, 1h or whole milliseconds.')
    .option('-w, --workload <id>', 'spiffe://... or oidc:...')
    .option('-m, --model <model>', 'time-boxed, jit (ends with its task) or break-glass', 'time-boxed')
    .option('-s, --scope <text>', '"GET,POST http:shop.local/orders/**"; repeatable', scope)
    .option('-t, --ttl <duration>', 'ends so long from now', durationMs)
    .option('--not-before <instant>', 'with --expires-at, instead of --ttl', instantText)
    .option('--expires-at <instant>', 'end of the window', instantText)
    .option('-o, --owner <id>', 'who answers for it: team:shop, user:alice')
    .option('-j, --justification <text>', 'why it is needed')
    .option('-r, --reference <text>', 'change, ticket or incident')
    .option('--task <id>', 'the task it serves')
    .option('--entitlement <id>', 'the entitlement it is made from')
    .option('--condition <name=value>', 'audience=, pep= or source= (CIDR); repeatable', pairs(['audience', 'pep', 'source']))
    .option('--binding <name=value>', 'x5t= or jkt= of the key it is bound to', pairs(['x5t', 'jkt']))
    .option('--uses <count>', 'how often it may be used', wholeNumber)
    .option('-f, --file <path>', 'the whole body as JSON instead (- is stdin)')
    .option('--idempotency-key <key>', 'repeat a command safely')
    .action(async (options: IssueOptions, command: Command) => {
      const body = options.file === undefined ? bodyOf(options) : await bodyFrom(run, options.file);
      show(run, command, await clientFor(run, command).send('POST', '/grants', body, { idempotencyKey: options.idempotencyKey }));
    });

  grant.command('list')
    .description('List grants with their state as it is now.')
    .option('-w, --workload <id>', 'only of this workload')
    .option('--state <state>', 'scheduled, active or ended')
    .option('-m, --model <model>', 'only of this model')
    .option('--task <id>', 'only of this task')
    .option('--limit <count>', 'how many at most', wholeNumber, 50)
    .option('--after <cursor>', 'the `next` of the page before')
    .action(async (options: { limit: number; workload?: string; state?: string; model?: string; task?: string; after?: string }, command: Command) => {
      const { limit, ...filter } = options;
      const page = await clientFor(run, command).get('/grants', { ...filter, limit: String(limit) });
      show(run, command, page, (answer) => pageText(answer, COLUMNS));
    });

  grant.command('show')
    .description('One grant with its history.')
    .argument('<id>', 'id of the grant')
    .action(async (id: string, _options: unknown, command: Command) => show(run, command, await clientFor(run, command).get(`/grants/${encodeURIComponent(id)}`)));
};

/** A page of a list, and how to get the next one. */
export const pageText = (page: JsonObject, columns: readonly Column[]): string => {
  const items = Array.isArray(page['items']) ? page['items'].filter((item): item is JsonObject => isJsonObject(item)) : [];
  return `${table(items, columns)}${typeof page['next'] === 'string' ? `more: --after ${page['next']}\n` : ''}`;
};
