/** What every command works with: where the server is, the credential, and where output goes. */
import type { Command } from 'commander';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import type { Toolchain } from '../policy/toolchain/toolchain.ts';
import { createApiClient, Failed, type ApiClient } from './api-client.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { RunTimeline } from './policy/timelines.ts';
import { asJson, details, plain } from './print.ts';

/** A command that this process carries out itself; given by whoever starts the program. */
export interface LocalCommand {
  /** Adds its options. */
  readonly options?: (command: Command) => void;
  /** Resolves to the exit code. */
  readonly run: (options: Readonly<Record<string, unknown>>) => Promise<number>;
}

/** On the store itself, not through a running service. */
export type StoreCommand = 'backup' | 'restore' | 'endings export' | 'endings import' | 'endings accept-loss' | 'migrate';

export interface CliDeps {
  readonly version: string;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Throws when it can't be read. */
  readonly readFile: (path: string) => string;
  readonly readStdin: () => Promise<string>;
  readonly fetch: typeof globalThis.fetch;
  /** Instead of the one of this machine, which each command starts and ends. */
  readonly openToolchain?: () => Promise<Toolchain>;
  /** What runs timelines; loaded when there are some. */
  readonly timelines?: () => Promise<RunTimeline>;
  readonly local: Readonly<Record<'serve' | 'dev' | 'config check' | 'dev-token', LocalCommand>>;
  /** Absent: this program has no store at hand. */
  readonly store?: Readonly<Record<StoreCommand, LocalCommand>>;
}

export interface GlobalOptions {
  readonly server?: string;
  readonly tokenFile?: string;
  readonly realm?: string;
  readonly json?: boolean;
}

export const DEFAULT_SERVER = 'http://127.0.0.1:8182';
export const DEFAULT_TOKEN_FILE = '.curfew/admin-token';

/** One run of the program. */
export interface Run {
  readonly deps: CliDeps;
  /** What the process will exit with; 0 until a command says otherwise. */
  exitCode: ExitCode | number;
}

const readToken = (deps: CliDeps, options: GlobalOptions): string => {
  const given = deps.env['CURFEW_TOKEN'];
  if (options.tokenFile === undefined && given !== undefined && given !== '') return given.trim();
  const path = options.tokenFile ?? DEFAULT_TOKEN_FILE;
  try {
    return deps.readFile(path).trim();
  } catch {
    throw new Failed(EXIT.refused, `no operator credential: ${path} can not be read (set CURFEW_TOKEN or --token-file)`);
  }
};

export const globalOptions = (command: Command): GlobalOptions => command.optsWithGlobals();

export const serverOf = ({ deps }: Run, command: Command): string => globalOptions(command).server ?? deps.env['CURFEW_SERVER'] ?? DEFAULT_SERVER;

export const clientFor = (run: Run, command: Command): ApiClient => {
  const { deps } = run;
  const options = globalOptions(command);
  return createApiClient({
    server: serverOf(run, command),
    token: () => readToken(deps, options),
    realm: options.realm ?? deps.env['CURFEW_REALM'],
    fetch: deps.fetch,
  });
};

/** Prints an answer: the API's own object with `--json`, else what is for people. */
export const show = (run: Run, command: Command, answer: JsonObject, people: (answer: JsonObject) => string = details): void => {
  run.deps.stdout(globalOptions(command).json === true ? asJson(answer) : people(answer));
};

/** As `show`, of a command that ends access: a script must not go on as if it were enforced. */
export const showEnded = (run: Run, command: Command, answer: JsonObject): void => {
  show(run, command, answer);
  const { nodes } = answer;
  const standing = Array.isArray(nodes) ? nodes.filter(isJsonObject).filter(({ state }) => state === 'pending').map(({ node }) => (typeof node === 'string' ? plain(node) : 'a process')) : [];
  if (standing.length > 0) throw new Failed(EXIT.unavailable, `it is recorded, but not known to be enforced yet: ${standing.join(', ')} stands still`);
};

/** A file's text, or standard input for `-`. */
export const readInput = async (deps: CliDeps, path: string): Promise<string> => {
  try {
    return path === '-' ? await deps.readStdin() : deps.readFile(path);
  } catch {
    throw new Failed(EXIT.refused, `${path} can not be read`);
  }
};
