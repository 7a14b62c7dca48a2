/** `curfew backup`, `restore`, `endings` and `migrate`: carried out on the store itself, not through a running service. */
import { hostname, userInfo } from 'node:os';
import { productionFaults } from '../config/checks.ts';
import { faultText } from '../config/fault.ts';
import { loadConfig } from '../config/load.ts';
import { readConfigFile } from '../config/read-file.ts';
import type { Config } from '../config/schema.ts';
import { toRfc3339 } from '../domain/instant.ts';
import type { RealmEnd } from '../store/copy/entries.ts';
import { StoreUnavailable } from '../store/port.ts';
import { InstanceRunning } from '../supervisor/instance-lock.ts';
import { abandonMove, backup, exportEndings, fileKey, migrate, restore } from './copies.ts';
import { acceptLoss, importEndings, LossNotNamed, type Statement } from './endings.ts';
import type { Loss } from '../store/redis/declare-lost.ts';

type Options = Readonly<Record<string, unknown>>;

export interface Streams {
  readonly out: (text: string) => void;
  readonly complain: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const [OK, REFUSED, UNAVAILABLE] = [0, 1, 2];

/** In a container there may be no name for it. */
const account = (): string => {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.()}`;
  }
};
const PERSON = /^user:\S{1,200}$/;

class Invalid extends Error {}

const text = (options: Options, name: string): string => {
  const value = options[name];
  if (typeof value !== 'string' || value.trim() === '') throw new Invalid(`--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} is missing`);
  return value;
};
const given = (options: Options, name: string): string | undefined => (typeof options[name] === 'string' ? options[name] : undefined);

const configAt = (path: string, env: Streams['env']): Config => {
  const read = readConfigFile(path);
  const loaded = read.ok ? loadConfig({ env, flags: {}, file: read.file }) : read;
  const faults = loaded.ok ? productionFaults(loaded.config) : loaded.faults;
  if (!loaded.ok || faults.length > 0) throw new Invalid(`The configuration is not valid:\n${faults.map((fault) => `  ${faultText(fault)}\n`).join('')}`.trimEnd());
  return loaded.config;
};

const stood = (ends: ReadonlyMap<string, RealmEnd>): string =>
  [...ends].map(([realm, { sequence, at, endings }]) => `  ${realm}: ${sequence} events, ${endings.sequence} endings${sequence === 0 ? '' : `, the last at ${toRfc3339(at)}`}\n`).join('');

const lossText = ({ name, realms }: Loss): string =>
  `The server has lost what this node knew:\n${realms
    .map(({ realm, known, there }) => `  ${realm}: known up to event ${known.sequence} with ${known.endings.sequence} endings; there are ${there.sequence} events and ${there.endings.sequence} endings, or others under these numbers\n`)
    .join('')}Nothing was changed. To accept this, and nothing else, give its name: --loss ${name}`;

export const createOperations = ({ out, complain, env }: Streams) => {
  const command = (work: (config: Config, options: Options) => Promise<string>) => async (options: Options): Promise<number> => {
    try {
      const path = given(options, 'config') ?? env['CURFEW_CONFIG'];
      if (path === undefined || path === '') throw new Invalid('--config is missing (or CURFEW_CONFIG)');
      out(await work(configAt(path, env), options));
      return OK;
    } catch (error) {
      if (error instanceof Invalid || error instanceof InstanceRunning) {
        complain(`${error.message}${error instanceof InstanceRunning ? '. Stop it first' : ''}\n`);
        return REFUSED;
      }
      const { code } = error as NodeJS.ErrnoException;
      const why = error instanceof StoreUnavailable ? error.message : code === 'EEXIST' ? 'the file is there already; nothing was written' : code === undefined ? undefined : `a file can not be used: ${code}`;
      if (why === undefined) throw error;
      complain(`${why}\n`);
      return UNAVAILABLE;
    }
  };
  const statement = (options: Options): Statement => {
    const by = text(options, 'by');
    if (!PERSON.test(by)) throw new Invalid('--by must be a person, as user:alice');
    return { by, reason: text(options, 'reason'), ranAs: `${account()}@${hostname()}` };
  };

  return {
    backup: command(async (config, options) => `Backed up, while the service may go on:\n${stood(await backup(config, text(options, 'out')))}`),
    restore: command(async (config, options) => {
      const ends = await restore(config, text(options, 'from'));
      const { realms } = config;
      const unnamed = [...ends.keys()].filter((realm) => !realms.includes(realm));
      return `Restored, as of the backup:\n${stood(ends)}${unnamed.length === 0 ? '' : `Not among the configured realms: ${unnamed.join(', ')}.\n`}Everything is denied (facts.restored) until you say what ended since: curfew endings import, or curfew endings accept-loss.\n`;
    }),
    'endings export': command(async (config, options) => {
      const [sinceBackup, sinceEndings] = [given(options, 'sinceBackup'), given(options, 'since')];
      const since = sinceEndings !== undefined ? { path: sinceEndings, kind: 'endings' as const } : sinceBackup === undefined ? undefined : { path: sinceBackup, kind: 'backup' as const };
      return `Exported:\n${stood(await exportEndings(config, text(options, 'out'), since))}`;
    }),
    'endings import': command(async (config, options) => {
      const from = options['from'];
      if (!Array.isArray(from) || from.length === 0) throw new Invalid('--from is missing');
      const imported = await importEndings(config, from.map(String), fileKey(config), statement(options));
      const lines = [...imported].map(([realm, { taken, sequence, at }]) => `  ${realm}: ${taken} endings and uses, up to event ${sequence}${at === undefined ? '' : ` at ${toRfc3339(at)}`}\n`);
      return `Imported; the store answers again, and grants from before the restore count:\n${lines.join('')}What ended after that is not known here.\n`;
    }),
    'endings accept-loss': command(async (config, options) => {
      const keepsGrants = options['keepGrants'] === true;
      await acceptLoss(config, statement(options), { loss: given(options, 'loss'), keepsGrants }).catch((error: unknown) => {
        throw error instanceof LossNotNamed ? new Invalid(lossText(error.loss)) : error;
      });
      return keepsGrants
        ? 'The loss is accepted: grants that were issued before go on counting, also those that had ended without this store knowing. Restart nodes that run.\n'
        : 'The loss is accepted: nothing issued before now counts any more, in any realm. Issue anew what is needed, and restart nodes that run.\n';
    }),
    migrate: command(async (config, options) => {
      const to = configAt(text(options, 'to'), env);
      const realm = given(options, 'only');
      const realms = realm === undefined ? config.realms : [realm];
      if (options['abandon'] === true) {
        await abandonMove(config, to, realms);
        return 'Abandoned: the realms are used where they were. Empty the new store before another try.\n';
      }
      const ends = await migrate(config, to, realms);
      return `Moved:\n${stood(ends)}${ends.size === 0 ? '  nothing; it was there already\n' : ''}The old store refuses these realms from now on. Start the nodes with the new configuration.\n`;
    }),
  };
};
