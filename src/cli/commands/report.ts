/** `curfew report`, `orphans`, `exceptions`, `residual`, `standing`, `manual`, `groups`: what a period shows, and what is there that should not be. */
import { Option, type Command } from 'commander';
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { readControls } from '../controls.ts';
import { Failed } from '../api-client.ts';
import { clientFor, readInput, show, type Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { asJson, scopesText, type Column } from '../print.ts';
import { instantText, wholeNumber } from '../terms.ts';
import { pageText } from './grant.ts';

const share = (item: JsonObject): string => (typeof item['share'] === 'number' ? `${(100 * item['share']).toFixed(1)} %` : '');
const nameText = (value: JsonValue): string => (typeof value === 'string' ? value : JSON.stringify(value));
const listText = (value: JsonValue | undefined): string =>
  Array.isArray(value) ? (value as readonly JsonValue[]).map((one) => (Array.isArray(one) ? (one as readonly JsonValue[]).map(nameText).join(' > ') : nameText(one))).join(', ') : '';
const count = (name: string) => (item: JsonObject): string => listText(item[name]);

const REPORTS: readonly (readonly [name: string, path: string, description: string, columns: readonly Column[]])[] = [
  ['orphans', '/orphans', 'Live grants that nobody answers for or uses.', [['GRANT', 'grant'], ['CAUSE', 'cause'], ['ACTION', 'action'], ['ENDS', 'expiresAt'], ['OWNER', 'owner'], ['WORKLOAD', 'workload'], ['UNUSED', scopesText]]],
  ['exceptions', '/exceptions', 'Standing entries and other exceptions: owned, tiered, ending.', [['ID', 'id'], ['KIND', 'kind'], ['TIER', 'tier'], ['STATE', 'state'], ['ENDS', 'end'], ['OWNER', 'owner'], ['SUBJECT', 'subject'], ['REASON', 'reason']]],
  ['residual', '/residual', 'Access that ended within a week and is still open by another grant, a standing entry or a group.', [['GRANT', 'grant'], ['ENDED', 'endedAt'], ['BECAUSE', 'endedBecause'], ['GRANTS', count('grants')], ['STANDING', count('standing')], ['GROUPS', count('groups')], ['WORKLOAD', 'workload']]],
  ['standing', '/standing-share', 'How much of the last 30 days each workload had access.', [['SHARE', share], ['GRANTS', 'grants'], ['WORKLOAD', 'workload']]],
];

/** The record is read through: a million events take some 10 s. */
const REPORT_MS_MAX = 280_000;
const FORMATS = ['markdown', 'html', 'json'];
/** A server that starts reads this file, too, and writes no report. */
const writerOf = async (format: string): Promise<(report: JsonObject) => string> => {
  if (format === 'json') return asJson;
  const { periodHtml, periodMarkdown } = await import('../period-pages.ts');
  return format === 'html' ? periodHtml : periodMarkdown;
};

export const addReportCommands = (program: Command, run: Run): void => {
  program.command('report')
    .summary('what a period shows an auditor')
    .description('What a period shows an auditor: access by entitlement, how it ended and how fast, overdue reviews, exceptions, coverage of systems and gateways, canaries; and the controls of frameworks that tests of this version bear on.')
    .option('--from <instant>', 'its begin; absent: of the last calendar quarter (UTC)', instantText)
    .option('--to <instant>', 'its end; absent: now, or the end of that quarter', instantText)
    .addOption(new Option('--format <format>', 'how it is written').choices(FORMATS).default('markdown'))
    .action(async ({ from, to, format }: { from?: string; to?: string; format: string }, command: Command) =>
      {
      const controls = readControls();
      const report = await clientFor(run, command).get('/period-report', { from, to }, REPORT_MS_MAX);
      return show(run, command, { ...report, ...(controls === undefined ? {} : { controls }) }, await writerOf(format));
    });

  for (const [name, path, description, columns] of REPORTS) {
    program.command(name).description(description).action(async (_options: unknown, command: Command) =>
      show(run, command, await clientFor(run, command).get(path), (answer) => `${pageText(answer, columns)}${answer['truncated'] === true ? 'there is more\n' : ''}`));
  }

  const manual = program.command('manual').summary('systems that must be told by hand').description('Steps for systems that must be told by hand that access ended.');
  manual.command('list')
    .description('List them.')
    .option('--open', 'only those that wait')
    .option('--limit <count>', 'how many at most', wholeNumber, 50)
    .option('--after <cursor>', 'the `next` of the page before')
    .action(async (options: { open?: boolean; limit: number; after?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).get('/manual-revocations', { limit: String(options.limit), after: options.after, state: options.open === true ? 'open' : undefined }),
        (page) => pageText(page, [['ID', 'id'], ['STATE', 'state'], ['SYSTEM', 'system'], ['DUE', 'dueAt'], ['ASSIGNEE', 'assignee'], ['WORKLOAD', 'workload']])));
  manual.command('done')
    .description('Say that a system was told, with the proof.')
    .argument('<id>', 'id of the step')
    .requiredOption('-p, --proof <text>', 'a link, a ticket, the answer of the system')
    .option('--idempotency-key <key>', 'repeat a command safely')
    .action(async (id: string, options: { proof: string; idempotencyKey?: string }, command: Command) =>
      show(run, command, await clientFor(run, command).send('POST', `/manual-revocations/${encodeURIComponent(id)}`, { proof: options.proof }, { idempotencyKey: options.idempotencyKey })));

  program.command('groups')
    .summary('import what groups of another system give')
    .description('Import what groups of another system give: {"groups": [{"id", "members": [workloads, "group:<id>"], "scopes"}]}.')
    .argument('<source>', 'name of the system')
    .argument('<file>', 'JSON (- is stdin)')
    .action(async (source: string, file: string, _options: unknown, command: Command) => {
      let body: JsonValue = null;
      try {
        body = JSON.parse(await readInput(run.deps, file)) as JsonValue;
      } catch (error) {
        if (error instanceof Failed) throw error;
      }
      if (!isJsonObject(body)) throw new Failed(EXIT.refused, `${file} does not hold a JSON object`);
      show(run, command, await clientFor(run, command).send('PUT', `/groups/${encodeURIComponent(source)}`, body));
    });
};
