/** `curfew serve` and `curfew dev`: from flags to a running supervisor to an exit code. Says on standard error why it does not start. */
import { join, resolve } from 'node:path';
import { productionFaults } from '../config/checks.ts';
import { faultText, type ConfigFault } from '../config/fault.ts';
import { loadConfig, type LoadedConfig } from '../config/load.ts';
import { readConfigFile } from '../config/read-file.ts';
import type { Config } from '../config/schema.ts';
import type { JsonObject } from '../domain/json.ts';
import { isLoopback } from '../domain/loopback.ts';
import { openDevelopmentKey } from '../identity/development.ts';
import { errorText } from '../telemetry/log.ts';
import { DEVELOPMENT_DIR } from './development-dir.ts';
import { EXIT, type ExitCode } from './exit-code.ts';
import { InstanceRunning, lockInstance } from './instance-lock.ts';
import type { Mode } from './messages.ts';
import type { RunningSupervisor } from './supervisor.ts';
import { HEAP_MEGABYTES, heapMegabytes } from './worker-heap.ts';
import { giveHeap, startEarlyWorker, WorkerFailed, type EarlyWorker } from './worker-process.ts';

export interface RunOptions {
  readonly mode: Mode;
  readonly version: string;
  /** Loads its code while this process reads the configuration. */
  readonly early: EarlyWorker;
  readonly configFile?: string | undefined;
  /** By setting path, such as `http.port`. */
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What to print once it runs. */
  readonly announce: (running: RunningSupervisor, developmentDir: string | undefined) => string;
  readonly out: (text: string) => void;
  readonly complain: (text: string) => void;
}

const developmentPresets = (directory: string): JsonObject => ({
  store: { path: join(directory, 'store') },
  decisionLog: { to: 'file', path: join(directory, 'decisions.jsonl') },
  log: { level: 'warn' },
});

/** Development identities and its one operator token must not be reachable from anywhere else. */
const developmentFaults = (config: Config): readonly ConfigFault[] =>
  (['http', 'grpc', 'admin'] as const)
    .filter((section) => !isLoopback(config[section].host))
    .map((section) => ({ where: '', path: `${section}.host`, message: 'development listens on loopback only; use `curfew serve` with a configuration for everything else' }));

const load = ({ mode, configFile, flags, env }: RunOptions, developmentDir: string | undefined): LoadedConfig => {
  const read = configFile === undefined ? undefined : readConfigFile(configFile);
  if (read?.ok === false) return read;
  const loaded = loadConfig({ env, flags, ...(read === undefined ? {} : { file: read.file }), ...(developmentDir === undefined ? {} : { presets: developmentPresets(developmentDir) }) });
  if (!loaded.ok) return loaded;
  const faults = (mode === 'development' ? developmentFaults : productionFaults)(loaded.config);
  return faults.length === 0 ? loaded : { ok: false, faults };
};

const explainFailure = (error: unknown, { config }: { readonly config: Config }): { readonly code: ExitCode; readonly text: string } => {
  if (error instanceof InstanceRunning) return { code: EXIT.instanceRunning, text: `${error.message}. Stop it first, or give this one another store (--store or CURFEW_STORE_PATH).` };
  const { code, port } = error as NodeJS.ErrnoException & { port?: number };
  if ((error instanceof WorkerFailed && error.kind === 'port-in-use') || code === 'EADDRINUSE') {
    const what = error instanceof WorkerFailed ? error.message : `listen ${code} ${config.admin.host}:${port ?? config.admin.port}`;
    return { code: EXIT.portInUse, text: `An address can not be had: ${what}. Choose others with --http-port, --grpc-port and --admin-port; 0 takes any free one.` };
  }
  return { code: EXIT.failed, text: errorText(error) };
};

/** Workers with the heap that the configuration asks for; the early one too. */
const sizedWorker = (early: EarlyWorker, config: Config): EarlyWorker => {
  const megabytes = heapMegabytes(config);
  if (megabytes === HEAP_MEGABYTES) return early;
  early.abandon();
  giveHeap(megabytes);
  return startEarlyWorker();
};

/** Resolves when the process should end. */
export const run = async (options: RunOptions): Promise<ExitCode> => {
  const developmentDir = options.mode === 'development' ? resolve(DEVELOPMENT_DIR) : undefined;
  const reload = (): LoadedConfig => load(options, developmentDir);
  const loaded = reload();
  if (!loaded.ok) {
    options.early.abandon();
    options.complain(`The configuration is not valid:\n${loaded.faults.map((fault) => `  ${faultText(fault)}\n`).join('')}`);
    return EXIT.configuration;
  }
  let running: RunningSupervisor;
  let { early } = options;
  let release: () => void = () => undefined;
  try {
    // A server is there for several; one machine's directory for one.
    if (loaded.config.store.kind === 'embedded') release = (await lockInstance(loaded.config.store.path)).release;
    const { spill } = loaded.config.decisionLog;
    if (spill !== undefined) {
      const [before, folder] = [release, await lockInstance(spill.path)];
      release = () => { folder.release(); before(); };
    }
    if (developmentDir !== undefined) openDevelopmentKey(developmentDir);
    const { mode, version } = options;
    early = sizedWorker(early, loaded.config);
    const { startSupervisor } = await import('./supervisor.ts');
    running = await startSupervisor({ mode, version, early, loaded, reload, ...(developmentDir === undefined ? {} : { developmentDir, onBundle: (revision) => options.out(`Policy ${revision} decides now.\n`) }) });
  } catch (error) {
    early.abandon();
    release();
    const { code, text } = explainFailure(error, loaded);
    options.complain(`Curfew does not start: ${text}\n`);
    return code;
  }
  // In production standard output is the decision log's, if anybody's.
  const say = options.mode === 'development' ? options.out : options.complain;
  say(options.announce(running, developmentDir));

  const signal = await new Promise<'stop' | 'failed'>((ended) => {
    process.on('SIGTERM', () => ended('stop'));
    process.on('SIGINT', () => ended('stop'));
    process.on('SIGHUP', () => void running.reload());
    const fatal = (error: unknown): void => {
      running.log.error('the supervisor fails', { detail: errorText(error) });
      ended('failed');
    };
    process.on('uncaughtException', fatal);
    process.on('unhandledRejection', fatal);
  });
  // Whoever asks twice does not want to wait.
  process.on('SIGTERM', () => process.exit(EXIT.failed));
  process.on('SIGINT', () => process.exit(EXIT.failed));
  await running.stop();
  release();
  return signal === 'stop' ? EXIT.ok : EXIT.failed;
};
