/** Help in as few lines as it can say it: every page fits a terminal of 80 columns and 24 lines. */
import type { Command, Help } from 'commander';

const WIDTH = 80;

/** Two columns; the right one wraps under itself. */
const rows = (entries: readonly (readonly [string, string])[], helper: Help): string => {
  const left = Math.min(32, Math.max(0, ...entries.map(([term]) => term.length))) + 2;
  return entries.map(([term, text]) => `  ${helper.boxWrap(`${term.padEnd(left)}${text}`, WIDTH - 2).replaceAll('\n', `\n  ${' '.repeat(left)}`)}\n`).join('');
};

/** So many fit with a line each; more are named by group. */
const LINES_MAX = 14;

const commandRows = (commands: readonly Command[]): (readonly [string, string])[] => {
  if (commands.length <= LINES_MAX) return commands.map((child) => [child.name(), child.summary() || child.description()]);
  const groups = new Map<string, string[]>();
  for (const child of commands) {
    const group = child.helpGroup() || 'more';
    groups.set(group, [...(groups.get(group) ?? []), child.name()]);
  }
  return [...groups].map(([group, names]) => [`${group}:`, names.join(', ')]);
};

export const formatHelp = (command: Command, helper: Help): string => {
  const options = helper.visibleOptions(command).filter(({ long }) => long !== '--help');
  const commands = helper.visibleCommands(command).filter((child) => child.name() !== 'help');
  const section = (title: string, entries: readonly (readonly [string, string])[]): string => (entries.length === 0 ? '' : `${title}\n${rows(entries, helper)}`);
  return [
    `Usage: ${helper.commandUsage(command)}\n`,
    command.description() === '' ? '' : `${helper.boxWrap(command.description(), WIDTH)}\n`,
    section('Arguments:', helper.visibleArguments(command).map((argument) => [helper.argumentTerm(argument), helper.argumentDescription(argument)])),
    section(commands.length > LINES_MAX ? 'Commands (each with a --help of its own):' : 'Commands:', commandRows(commands)),
    section('Options:', options.map((option) => [helper.optionTerm(option), helper.optionDescription(option)])),
  ].join('');
};
