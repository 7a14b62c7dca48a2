/**
 * A period's report as Markdown and as HTML. Whatever a string of the report holds, it stays text in its cell: nothing of it is markup, a new
 * line, a script, or invisible.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import { plain } from './print.ts';

interface Section {
  readonly title: string;
  readonly note: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value));
const listOf = (value: JsonValue | undefined): readonly JsonObject[] => (Array.isArray(value) ? (value as readonly JsonValue[]).filter(isJsonObject) : []);
const cells = (...names: readonly string[]) => (item: JsonObject): readonly string[] => names.map((name) => textOf(item[name]));
const namesIn = (value: JsonValue | undefined): string => (Array.isArray(value) ? (value as readonly JsonValue[]).map(textOf).join(', ') : '');
const ms = (value: JsonValue | undefined): string => (typeof value === 'number' ? `${value} ms` : '');

const endedText = ({ because, selector, count, longestMs }: JsonObject): string =>
  `${textOf(count)} ${textOf(because)}${selector === undefined ? '' : ` (by ${textOf(selector)})`}${longestMs === undefined ? '' : `, enforced within ${ms(longestMs)}`}`;

const sectionsOf = (report: JsonObject): readonly Section[] => {
  const placed = isJsonObject(report['placed']) ? report['placed'] : {};
  return [
    {
      title: 'Access by entitlement', note: 'Used: a use was noted. Used after the end: expired or revoked, and allowed once more after that was to be enforced; anything but 0 is to be looked into.',
      head: ['Entitlement', 'Issued', 'Used', 'Live at the end', 'Ended', 'Used after the end'],
      rows: listOf(report['entitlements']).map((one) => [
        typeof one['entitlement'] === 'string' ? one['entitlement'] : '(without an entitlement)', textOf(one['issued']), textOf(one['used']), textOf(one['live']), listOf(one['ended']).map(endedText).join('; '), textOf(one['usedAfterEnd']),
      ]),
    },
    {
      title: 'From revoke to refusal', note: 'How long after a revocation or suspension no allow that relies on what it ended is usable anywhere, at the latest.',
      head: ['Revocations', 'Suspensions', 'Shortest', 'Longest'],
      rows: [[textOf(placed['revocations']), textOf(placed['suspensions']), ms(placed['shortestMs']), ms(placed['longestMs'])]],
    },
    { title: 'Overdue reviews', note: 'As it is now.', head: ['Kind', 'Grant', 'Entitlement', 'Whose', 'Due'], rows: listOf(report['overdue']).map(cells('kind', 'grant', 'entitlement', 'who', 'dueAt')) },
    {
      title: 'Exceptions', note: 'As it is now.', head: ['Id', 'Kind', 'Tier', 'State', 'End', 'Owner', 'Subject', 'Reason', 'Last used'],
      rows: listOf(report['exceptions']).map(cells('id', 'kind', 'tier', 'state', 'end', 'owner', 'subject', 'reason', 'lastUsedAt')),
    },
    {
      title: 'Coverage', note: 'Enforcement points of the configuration as it is now, and others through which grants of this period were used. Observing: it lets through what would be denied, until these entries end.',
      head: ['Enforcement point', 'Configured', 'Mode', 'Until', 'Last use', 'Canary'],
      rows: listOf(report['coverage']).map((one) => [
        one['pep'] === '-' ? '(without a name)' : textOf(one['pep']), one['configured'] === true ? 'yes' : 'no', textOf(one['mode']),
        listOf(one['observe']).map(({ entry, end }) => `${textOf(entry)}: ${textOf(end)}`).join('; '), textOf(one['lastUsedAt']) || 'none noted', textOf(one['canary']) || 'none',
      ]),
    },
    {
      title: 'Canaries', note: 'Grants that Curfew issues and watches to their end through a gateway. Ended: refused before, let through under the grant, refused from its end on. Open: not so. Unproven: it could not be shown.',
      head: ['Canary', 'Enforcement point', 'Result', 'Last run', 'Last ended', 'First refusal after the end', 'What was seen'],
      rows: listOf(report['canaries']).map((one) => [...cells('canary', 'pep', 'result', 'at', 'endedAt')(one), ms(one['flipMs']), textOf(one['detail'])]),
    },
    {
      title: 'Systems', note: `${listOf(report['systems']).filter(({ mode }) => mode === 'enforcing').length} of ${listOf(report['systems']).length} are asked about at each use. For the others an end of access is advice: it is bounded by the longest grant. The riskiest first.`,
      head: ['System', 'Mode', 'Tier', 'Owner', 'Enforcement points', 'Longest grant', 'Live grants', 'Reason'],
      rows: listOf(report['systems']).map((one) => [...cells('system', 'mode', 'tier', 'owner')(one), namesIn(one['peps']), ms(one['maxGrantMs']), textOf(one['live']), textOf(one['reason'])]),
    },
    ...listOf(report['controls']).map((one): Section => ({
      title: `Controls: ${textOf(one['framework'])}`, note: 'Which tests of this version of Curfew bear on which control, generated from their names. Of the program, not of this installation; the part of a program in a control makes nobody compliant.',
      head: ['Control', 'Subject', 'State', 'By', 'Missing, and what is left to others', 'Tests'],
      rows: listOf(one['controls']).map((control) => [...cells('control', 'subject', 'state')(control), namesIn(control['by']), [namesIn(control['missing']), textOf(control['limits'])].filter((text) => text !== '').join('. '), textOf(control['tests'])]),
    })),
  ];
};

const heading = (report: JsonObject): string => `Access from ${textOf(report['from'])} to ${textOf(report['to'])}`;
const about = (report: JsonObject): string =>
  `Realm ${textOf(report['realm'])}, as of ${textOf(report['asOf'])}.${report['truncated'] === true ? ' NOT COMPLETE: the record holds more than was looked at.' : ''}`;

const markdown = (text: string): string => plain(text).replaceAll(/[\\`*_{}[\]<>|#~!&]/g, '\\$&');
export const periodMarkdown = (report: JsonObject): string => {
  const row = (list: readonly string[]): string => `| ${list.map(markdown).join(' | ')} |\n`;
  const section = ({ title, note, head, rows }: Section): string =>
    `\n## ${title}\n\n${note}\n\n${rows.length === 0 ? 'None.\n' : `${row(head)}|${' --- |'.repeat(head.length)}\n${rows.map(row).join('')}`}`;
  return `# ${markdown(heading(report))}\n\n${markdown(about(report))}\n${sectionsOf(report).map(section).join('')}`;
};

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const html = (text: string): string => plain(text).replaceAll(/[&<>"']/g, (char) => ENTITIES[char] ?? char);
export const periodHtml = (report: JsonObject): string => {
  const row = (tag: 'td' | 'th') => (list: readonly string[]): string => `<tr>${list.map((cell) => `<${tag}>${html(cell)}</${tag}>`).join('')}</tr>\n`;
  const section = ({ title, note, head, rows }: Section): string =>
    `<h2>${html(title)}</h2>\n<p>${html(note)}</p>\n${rows.length === 0 ? '<p>None.</p>\n' : `<table>\n<thead>${row('th')(head)}</thead>\n<tbody>\n${rows.map(row('td')).join('')}</tbody>\n</table>\n`}`;
  return [
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="content-security-policy" content="default-src \'none\'; style-src \'unsafe-inline\'">\n',
    `<title>${html(heading(report))}</title>\n<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.3em .6em;text-align:left}</style>\n</head>\n<body>\n`,
    `<h1>${html(heading(report))}</h1>\n<p>${html(about(report))}</p>\n`, ...sectionsOf(report).map(section), '</body>\n</html>\n',
  ].join('');
};
