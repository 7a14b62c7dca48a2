/** `curfew entitlement`: list, show, who-can. */
import type { Command } from 'commander';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import { clientFor, show, type Run } from '../context.ts';
import { scopesText, type Column } from '../print.ts';
import { scope, type ScopeText } from '../terms.ts';
import { pageText } from './grant.ts';

const listText = (value: unknown): string => (Array.isArray(value) ? value.join(', ') : '');
const member = (item: JsonObject, name: string): JsonObject => (isJsonObject(item[name]) ? item[name] : {});

const COLUMNS: readonly Column[] = [
  ['ID', 'id'], ['MODEL', 'model'], ['TIER', 'tier'], ['OWNER', 'owner'], ['SCOPES', scopesText],
];

const WHO: readonly Column[] = [
  ['ID', 'id'],
  ['MAY ASK', (item) => listText([...(member(item, 'request')['workloads'] as readonly string[] | undefined ?? []), ...(member(item, 'request')['persons'] as readonly string[] | undefined ?? [])]) || '(nobody)'],
  ['FOR', (item) => listText(member(item, 'request')['for']) || (member(item, 'request')['workloads'] === undefined ? '' : '(themselves)')],
  ['APPROVALS', (item) => member(item, 'approval')['count'] ?? ''],
  ['APPROVED BY', (item) => listText(member(item, 'approval')['by'])],
  ['DIRECT', (item) => (item['direct'] === true ? 'by issuers' : '')],
];

export const addEntitlementCommands = (program: Command, run: Run): void => {
  const entitlement = program.command('entitlement').summary('what may be granted at all, and who can get it').description('Entitlements: what may be granted at all. They are code, in the policy bundle.');

  entitlement.command('list')
    .description('List the entitlements of the active bundle.')
    .action(async (_options: unknown, command: Command) => show(run, command, await clientFor(run, command).get('/entitlements'), (page) => pageText(page, COLUMNS)));

  entitlement.command('show')
    .description('One entitlement.')
    .argument('<id>', 'name of the entitlement')
    .action(async (id: string, _options: unknown, command: Command) => show(run, command, await clientFor(run, command).get(`/entitlements/${encodeURIComponent(id)}`)));

  entitlement.command('who-can')
    .description('Who can get access to something: which entitlements cover it, who may ask for them and who approves.')
    .argument('<scope>', '"GET http:shop.local/orders/1"', (text: string) => scope(text, []))
    .action(async ([wanted]: readonly ScopeText[], _options: unknown, command: Command) => {
      const query = { action: wanted?.actions[0], resourceType: wanted?.resource.type, resourceId: wanted?.resource.id };
      show(run, command, await clientFor(run, command).get('/entitlements', query), (page) => pageText(page, WHO));
    });
};
