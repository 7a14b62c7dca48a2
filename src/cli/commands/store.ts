/** `curfew backup`, `restore`, `endings` and `migrate`. */
import type { Command } from 'commander';
import type { StoreCommand } from '../context.ts';

export type AddLocal = (parent: Command, name: string, of: StoreCommand, summary: string, description?: string) => Command;

const CONFIG = ['--config <file>', 'configuration file (CURFEW_CONFIG)'] as const;

export const addStoreCommands = (program: Command, add: AddLocal): void => {
  add(program, 'backup', 'backup', 'copy the store into a file', 'Copy the store into one file, consistent although the service runs. It holds who may do what: keep it as you keep the store.')
    .option(...CONFIG)
    .requiredOption('--out <file>', 'file to write; it must not be there');
  add(program, 'restore', 'restore', 'make a store from a backup', 'Make a store from a backup, in an empty directory or database. What ended since the backup is not in it, so everything is denied until an operator has said what it was: `curfew endings import`, or `curfew endings accept-loss`.')
    .option(...CONFIG)
    .requiredOption('--from <file>', 'file that `curfew backup` wrote');
  const endings = program.command('endings').summary('what ended, for a store that has forgotten').description('What ended, exported while a store is there, and imported into one that was restored from an older backup; or a loss that is accepted.');
  add(endings, 'export', 'endings export', 'write what happened since', 'Write what happened since a backup or an earlier export. Do this often, to another machine: it is what a restored store lacks.')
    .option(...CONFIG)
    .requiredOption('--out <file>', 'file to write; it must not be there')
    .option('--since-backup <file>', 'only what came after this backup')
    .option('--since <file>', 'only what came after this earlier export');
  const says = (command: Command): Command => command.option(...CONFIG).requiredOption('--by <person>', 'who says so: user:alice').requiredOption('-r, --reason <text>', 'why');
  says(add(endings, 'import', 'endings import', 'say what ended since the backup', 'Say what ended since the backup, from exports that follow it without a gap. It takes effect anew; then grants from before the restore count again.'))
    .requiredOption('--from <file...>', 'files that `curfew endings export` wrote, oldest first');
  says(add(endings, 'accept-loss', 'endings accept-loss', 'go on without knowing what ended', 'Go on without knowing what ended, since the backup of a store that is restored, or as far as a Redis server has lost it (facts.regressed; run it in a place where a node ran, which knows what is lost): nothing that was issued before now counts any more, grants and credentials, for good.'))
    .option('--loss <name>', 'name of what the server lost; without it the command says what that is, and changes nothing')
    .option('--keep-grants', 'grants that were issued before go on counting, also those whose end is lost');
  add(program, 'migrate', 'migrate', 'move realms to another store', 'Move realms from the store of one configuration to that of another, embedded to Redis or back, with everything: grants, endings, history, positions. The old store refuses them from then on. Interrupted, it is run again and goes on.')
    .option(...CONFIG)
    .requiredOption('--to <file>', 'configuration that names the new store: empty, or with other realms of the same store')
    .option('--only <realm>', 'only this realm; absent: all that are configured')
    .option('--abandon', 'give up a move that was not finished');
};
