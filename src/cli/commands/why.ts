/** `curfew explain`, `decision`, `operator`: what is and why. */
import type { Command } from 'commander';
import { isInstant, toRfc3339 } from '../../domain/instant.ts';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import { clientFor, readInput, show, type Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { details, table } from '../print.ts';
import { instantText, resource, wholeNumber } from '../terms.ts';
import { pageText } from './grant.ts';

interface ExplainOptions {
  readonly workload?: string;
  readonly jwt?: string;
  readonly audience?: string[];
  readonly pep?: string;
  readonly source?: string;
  readonly at?: string;
}

const explained = (answer: JsonObject): string => {
  const { grants, record: _record, ...rest } = answer;
  const items = Array.isArray(grants) ? grants.filter((item): item is JsonObject => isJsonObject(item)) : [];
  return `${details(rest)}${items.length === 0 ? 'grants: (none)\n' : `\n${table(items, [['GRANT', 'id'], ['COUNTS', (item) => (item['counts'] === true ? 'yes' : 'no')], ['REASON', 'reason'], ['WHY', 'text']])}`}`;
};

/** Parts of a record in which instants are milliseconds since the epoch, as the log has them. */
const INSTANTS: Readonly<Record<string, readonly string[]>> = { now: ['earliest', 'latest'], credential: ['issuedAt', 'expiresAt'], result: ['validUntil', 'cacheUntil'] };

/** A record for people. */
const recorded = (record: JsonObject): string => {
  const readable = (part: JsonObject, names: readonly string[]): JsonObject =>
    Object.fromEntries(Object.entries(part).map(([name, value]) => [name, names.includes(name) && isInstant(value) ? toRfc3339(value) : value]));
  return details(Object.fromEntries(Object.entries(record).map(([name, value]) => [name, isJsonObject(value) && Object.hasOwn(INSTANTS, name) ? readable(value, INSTANTS[name] ?? []) : value])));
};

export const addWhyCommands = (program: Command, run: Run): void => {
  program.command('explain')
    .summary('what would be decided, and why (exit code 3: deny)')
    .description('What would be decided, and which grants counted. Exits with 3 when it is a deny.')
    .argument('<action>', 'GET, POST, ...')
    .argument('<resource>', 'type:id, such as http:shop.local/orders/1', resource)
    .option('-w, --workload <id>', 'as this workload')
    .option('--jwt <path>', 'with this credential instead (- is stdin)')
    .option('--audience <name...>', 'audiences the credential would have')
    .option('--pep <id>', 'the enforcement point that would ask')
    .option('--source <address>', 'the address of the end client')
    .option('--at <instant>', 'as if it were then', instantText)
    .action(async (action: string, asked: ReturnType<typeof resource>, options: ExplainOptions, command: Command) => {
      const { jwt, ...given } = options;
      const token = jwt === undefined ? undefined : (await readInput(run.deps, jwt)).trim();
      const answer = await clientFor(run, command).send('POST', '/explain', { action, resource: { ...asked }, ...given, ...(token === undefined ? {} : { token }) });
      show(run, command, answer, explained);
      if (answer['decision'] !== 'allow') run.exitCode = EXIT.denied;
    });

  program.command('decision')
    .summary('the record of a decision')
    .description('The record of a decision, by the id that its answer carried.')
    .argument('<id>', 'x-curfew-decision-id')
    .action(async (id: string, _options: unknown, command: Command) => show(run, command, await clientFor(run, command).get(`/decisions/${encodeURIComponent(id)}`), recorded));

  const operator = program.command('operator').summary('set and list operators').description('Operators of the realm, beside those that groups of the identity provider name.');
  operator.command('set')
    .description('Set the roles of an operator; none takes all away.')
    .argument('<id>', 'user:alice, or an account: oidc:issuer.example/subject')
    .argument('[roles...]', 'issuer, approver, responder, configurer')
    .option('--idempotency-key <key>', 'repeat a command safely')
    .action(async (id: string, roles: string[], options: { idempotencyKey?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).send('PUT', `/operators/${encodeURIComponent(id)}`, { roles }, options)));
  operator.command('list')
    .description('List the operators that were set here.')
    .option('--limit <count>', 'how many at most', wholeNumber, 50)
    .option('--after <cursor>', 'the `next` of the page before')
    .action(async (options: { limit: number; after?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).get('/operators', { limit: String(options.limit), after: options.after }), (page) =>
        pageText(page, [['ID', 'id'], ['ROLES', (item) => (Array.isArray(item['roles']) ? item['roles'].join(', ') : '')], ['SET BY', 'setBy']])));
};
