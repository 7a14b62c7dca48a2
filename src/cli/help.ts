/** Help in as few lines as it can say it: every page fits a terminal of 80 columns and 24 lines. */
import type { Command, Help } from 'commander';

const WIDTH = 80;

/** Two columns; the right one wraps under itself. */
const rows = (entries: readonly (readonly [string, string])[], helper: Help): string => {
  const left = Math.min(32, Math.max(0, ...entries.map(([term]) => term.length))) + 2;
  return entries.map(([term, text]) => `  ${helper.boxWrap(`${term.padEnd(left)}${text}`, WIDTH - 2).replaceAll('\n', `\n  ${' '.repeat(left)}`)}\n`).join('');
};

/** Commands that say they belong together (`helpGroup`) share a line. */
const commandRows = (commands: readonly Command[]): readonly (readonly [string, string])[] => {
  const grouped = new Map<string, readonly string[]>();
  for (const child of commands) {
    const text = child.helpGroup() || child.summary() || child.description();
    grouped.set(text, [...(grouped.get(text) ?? []), child.name()]);
  }
  return [...grouped].map(([text, names]) => [names.join(', '), text]);
};

export const formatHelp = (command: Command, helper: Help): string => {
  const options = helper.visibleOptions(command).filter(({ long }) => long !== '--help');
  const commands = helper.visibleCommands(command).filter((child) => child.name() !== 'help');
  const section = (title: string, entries: readonly (readonly [string, string])[]): string => (entries.length === 0 ? '' : `${title}\n${rows(entries, helper)}`);
  return [
    `Usage: ${helper.commandUsage(command)}\n`,
    command.description() === '' ? '' : `${helper.boxWrap(command.description(), WIDTH)}\n`,
    section('Arguments:', helper.visibleArguments(command).map((argument) => [helper.argumentTerm(argument), helper.argumentDescription(argument)])),
    section('Commands:', commandRows(commands)),
    section('Options:', options.map((option) => [helper.optionTerm(option), helper.optionDescription(option)])),
  ].join('');
};
