/** The commands that this process carries out itself, joined with the command line. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { LocalCommand, StoreCommand } from './cli/context.ts';
import { runCli } from './cli/program.ts';
import { DEVELOPMENT_DIR } from './supervisor/development-dir.ts';

const ENTRY = fileURLToPath(new URL('./main.js', import.meta.url));
const version = (): string => (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;

type Options = Readonly<Record<string, unknown>>;
const textOption = (options: Options, name: string): string | undefined => {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
};

/** `--set path=value`, repeated. */
const settings = (options: Options): Record<string, string> => {
  const given = Array.isArray(options['set']) ? (options['set'] as readonly unknown[]).map(String) : [];
  return Object.fromEntries(given.map((setting) => {
    const at = setting.indexOf('=');
    return at === -1 ? [setting, ''] : [setting.slice(0, at), setting.slice(at + 1)];
  }));
};

const NAMED_FLAGS = { 'http.port': 'httpPort', 'grpc.port': 'grpcPort', 'admin.port': 'adminPort', 'store.path': 'store', 'policy.bundle.directory': 'policy', workers: 'workers' } as const;

/** By setting path. A flag of its own wins over `--set`; one that is not given leaves what `--set` says. */
const flagsOf = (options: Options): Record<string, string> => {
  const named = Object.entries(NAMED_FLAGS).flatMap(([path, option]) => {
    const given = textOption(options, option);
    return given === undefined ? [] : [[path, given] as const];
  });
  return { ...settings(options), ...Object.fromEntries(named) };
};

type Command = Parameters<NonNullable<LocalCommand['options']>>[0];

const addFlags = (command: Command): Command =>
  command
    .option('--http-port <n>', 'decisions over HTTP (8181; 0: any free one)')
    .option('--grpc-port <n>', 'decisions over gRPC (9191)')
    .option('--admin-port <n>', 'administration (8182)')
    .option('--store <dir>', 'directory of the store')
    .option('--policy <folder>', 'folder of Rego that decides; what is saved there is active at once')
    .option('--workers <n>', 'processes that decide')
    .option('--set <path=value...>', 'any setting, such as limits.drainMs=5000');

const configFileOf = (options: Options, env: NodeJS.ProcessEnv): string | undefined => {
  const path = textOption(options, 'config') ?? env['CURFEW_CONFIG'];
  return path === undefined || path === '' ? undefined : path;
};

const start = (mode: 'development' | 'production') => async (options: Options): Promise<number> => {
  const configFile = configFileOf(options, process.env);
  if (mode === 'production' && configFile === undefined) {
    process.stderr.write('curfew serve needs its configuration: --config curfew.yaml (or CURFEW_CONFIG). For a first try: curfew dev\n');
    return 1;
  }
  // Both processes load their code at the same time.
  const { prepareWorkers, startEarlyWorker } = await import('./supervisor/worker-process.ts');
  prepareWorkers(ENTRY);
  const early = startEarlyWorker();
  const { run } = await import('./supervisor/run.ts');
  const { announceDevelopment, announceProduction } = await import('./supervisor/announce.ts');
  return run({
    mode, configFile, early, version: version(), flags: flagsOf(options), env: process.env,
    announce: (running, directory) => (directory === undefined ? announceProduction(running) : announceDevelopment(running, directory, ENTRY)),
    out: (line) => void process.stdout.write(line),
    complain: (line) => void process.stderr.write(line),
  });
};

const checkConfig = async (options: Options): Promise<number> => {
  const { loadConfig } = await import('./config/load.ts');
  const { productionFaults } = await import('./config/checks.ts');
  const { readConfigFile } = await import('./config/read-file.ts');
  const { faultText } = await import('./config/fault.ts');
  const path = configFileOf(options, process.env);
  const read = path === undefined ? undefined : readConfigFile(path);
  const loaded = read?.ok === false ? read : loadConfig({ env: process.env, flags: flagsOf(options), ...(read === undefined ? {} : { file: read.file }) });
  const faults = loaded.ok ? productionFaults(loaded.config) : loaded.faults;
  if (faults.length === 0) process.stdout.write('The configuration is valid.\n');
  else process.stderr.write(`The configuration is not valid:\n${faults.map((fault) => `  ${faultText(fault)}\n`).join('')}`);
  return faults.length === 0 ? 0 : 1;
};

const printDevelopmentToken = async (options: Options): Promise<number> => {
  const { DEVELOPMENT_TTL_MS_MAX, mintDevelopmentToken, readDevelopmentKey } = await import('./identity/development.ts');
  const { createClock } = await import('./time/clock.ts');
  const workload = textOption(options, 'workload') ?? '';
  const audience = textOption(options, 'audience');
  const ttlMs = typeof options['ttlMs'] === 'number' ? options['ttlMs'] : DEVELOPMENT_TTL_MS_MAX / 24;
  const key = readDevelopmentKey(resolve(textOption(options, 'dir') ?? DEVELOPMENT_DIR));
  const now = createClock({ maxClockStepMs: 1 }).now().latest;
  process.stdout.write(`${await mintDevelopmentToken({ key, workload, ttlMs, now, ...(audience === undefined ? {} : { audience }) })}\n`);
  return 0;
};

/** Loaded when one of them runs. */
const storeCommands = (): Record<StoreCommand, LocalCommand> => {
  const names: readonly StoreCommand[] = ['backup', 'restore', 'endings export', 'endings import', 'endings accept-loss', 'migrate'];
  const streams = { out: (line: string) => void process.stdout.write(line), complain: (line: string) => void process.stderr.write(line), env: process.env };
  const commands = names.map((name): readonly [StoreCommand, LocalCommand] => [name, {
    run: async (options) => (await import('./operations/commands.ts')).createOperations(streams)[name](options),
  }]);
  return Object.fromEntries(commands) as Record<StoreCommand, LocalCommand>;
};

/** Resolves to the exit code. */
export const runCommand = (argv: readonly string[]): Promise<number> =>
  runCli(argv, {
    version: version(),
    stdout: (line) => void process.stdout.write(line),
    stderr: (line) => void process.stderr.write(line),
    env: process.env,
    readFile: (path) => readFileSync(path, 'utf8'),
    readStdin: () => readText(process.stdin),
    fetch: globalThis.fetch,
    timelines: async () => (await import('./timeline/run-timeline.ts')).runTimeline,
    store: storeCommands(),
    local: {
      dev: { options: (command) => void addFlags(command).option('--config <file>', 'configuration, over which development puts its own'), run: start('development') },
      serve: { options: (command) => void addFlags(command).option('--config <file>', 'configuration file (CURFEW_CONFIG)'), run: start('production') },
      'config check': { options: (command) => void addFlags(command).option('--config <file>', 'configuration file (CURFEW_CONFIG)'), run: checkConfig },
      'dev-token': { options: (command) => void command.option('--dir <dir>', `directory of the development start (${DEVELOPMENT_DIR})`), run: printDevelopmentToken },
    },
  });
