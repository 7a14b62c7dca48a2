/** `curfew status`: ready or why not, and what goes on, on one screen. */
import type { Command } from 'commander';
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import { Failed } from '../api-client.ts';
import { clientFor, show, type Run } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { plain } from '../print.ts';

const SECOND_MS = 1_000;
const UNITS = [['d', 86_400_000], ['h', 3_600_000], ['min', 60_000], ['s', SECOND_MS]] as const;

/** The two largest units. */
export const roughly = (ms: number): string => {
  const from = UNITS.findIndex(([, unit]) => ms >= unit);
  if (from < 0) return '0 s';
  let rest = ms;
  return UNITS.slice(from, from + 2).flatMap(([name, unit]) => {
    const count = Math.floor(rest / unit);
    rest -= count * unit;
    return count === 0 ? [] : [`${count} ${name}`];
  }).join(' ');
};

const member = (value: JsonValue | undefined, name: string): JsonValue | undefined => (isJsonObject(value) ? value[name] : undefined);
const listOf = (value: JsonValue | undefined): readonly JsonValue[] => (Array.isArray(value) ? (value as readonly JsonValue[]) : []);
const number = (value: JsonValue | undefined): number => (typeof value === 'number' ? value : 0);
const word = (value: JsonValue | undefined): string => plain(typeof value === 'string' ? value : '?');
const agoText = (from: JsonValue | undefined, to: JsonValue | undefined): string => roughly(Math.max(0, Date.parse(word(to)) - Date.parse(word(from))));

const latelyText = (lately: JsonValue | undefined): string => {
  if (!isJsonObject(lately)) return '';
  const { ms, allow, deny, reasons } = lately;
  const counts = listOf(reasons).map((item) => `${word(member(item, 'reason'))} ${number(member(item, 'count'))}`);
  const rate = ((number(allow) + number(deny)) * SECOND_MS) / Math.max(1, number(ms));
  return `\n  in the last ${roughly(number(ms))}: ${rate.toFixed(1)} a second, ${number(deny)} denied${counts.length === 0 ? '' : ` (${counts.join(', ')})`}`;
};

const issuerText = (item: JsonValue): string => {
  const keys = member(item, 'keys');
  return `${word(member(item, 'issuer'))} ${keys === undefined ? 'HAS NO KEYS' : `${number(keys)} key${keys === 1 ? '' : 's'}`}`;
};

export const statusText = (status: JsonObject): string => {
  const { ready, faults, now, version, startedAt, workers, bundle, clock, store, decisions, issuers, suspensions, rollback } = status;
  const restarts = member(workers, 'restarts');
  const quarantined = number(member(workers, 'quarantined'));
  const behind = number(member(clock, 'behindMs'));
  const unrecorded = number(member(decisions, 'unrecorded'));
  const lines = [
    `ready: ${ready === true ? 'true' : 'false'}${listOf(faults).map((fault) => `\n  ${word(fault)}`).join('')}`,
    `curfew ${word(version)}, up ${agoText(startedAt, now)}`,
    `workers: ${number(member(workers, 'ready'))} of ${number(member(workers, 'wanted'))} decide; ended by the watchdog ${number(member(restarts, 'watchdog'))}, died ${number(member(restarts, 'crash'))}`
      + (quarantined === 0 ? '' : `; ${quarantined} in quarantine`),
    `bundle: ${word(member(bundle, 'revision'))}, for ${agoText(member(bundle, 'since'), now)}\n  ${word(member(bundle, 'digest'))}`,
    `clock: ${member(clock, 'trusted') === true ? 'trusted' : 'NOT TRUSTED'}${behind === 0 ? '' : `, ${roughly(behind)} behind time already used`}`,
    `store: ${member(store, 'readable') === true ? 'readable' : 'NOT READABLE'}, ${member(store, 'writable') === true ? 'writable' : 'NOT WRITABLE'}`
      + (member(store, 'detail') === undefined ? '' : ` (${word(member(store, 'detail'))})`) + `\n  position ${word(member(store, 'position'))}, ${number(member(store, 'endings'))} endings${rollback === 'undetectable' ? '; no anchor would tell if it were put back' : ''}`,
    `decisions: ${number(member(decisions, 'allow'))} allowed, ${number(member(decisions, 'deny'))} denied${unrecorded === 0 ? '' : `, ${unrecorded} RECORDS LOST`}${latelyText(member(decisions, 'lately'))}`,
    `suspensions: ${number(member(suspensions, 'standing'))}${member(suspensions, 'atLeast') === true ? ' or more' : ''} standing`,
    `issuers: ${listOf(issuers).length === 0 ? 'none' : listOf(issuers).map(issuerText).join(', ')}`,
  ];
  return `${lines.join('\n')}\n`;
};

export const addStatusCommand = (program: Command, run: Run): void => {
  program.command('status')
    .summary('is the server ready, and what goes on (exit code 2: not ready)')
    .description('Is the server ready, and what goes on? Exits with 2 when it is not ready.\nWithout an operator credential only whether it is ready.')
    .action(async (_options: unknown, command: Command) => {
      const client = clientFor(run, command);
      const { status, body } = await client.open('/health/ready');
      const ready = status === 200;
      if (!ready) run.exitCode = EXIT.unavailable;
      let answer: JsonObject | undefined;
      try {
        answer = await client.get('/status');
      } catch (error) {
        if (!(error instanceof Failed)) throw error;
        run.deps.stderr(`more can not be told: ${error.message}\n`);
      }
      show(run, command, answer ?? { ready, ...body }, answer === undefined ? undefined : statusText);
    });
};
