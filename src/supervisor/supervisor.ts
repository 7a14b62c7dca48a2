/**
 * The supervisor: keeps the workers deciding, serves administration and metrics, watches the bundle, and decides nothing itself.
 *
 * - SIGTERM and SIGINT drain: nothing new is accepted, open requests end, within `limits.drainMs`.
 * - SIGHUP reads configuration and bundle again. Both are judged first; what is not valid changes nothing and says why.
 * - A worker that dies is replaced. One that its watchdog ended puts the evaluation that held it up into quarantine.
 */
import { availableParallelism } from 'node:os';
import { listenAdmin } from '../admin/listen.ts';
import { identityLog, openCore, type Core, type CoreOptions } from '../compose.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import type { HttpServer } from '../gateways/http/server.ts';
import { clearStaleSocket } from '../grpc/stale-socket.ts';
import { keepToolchain } from '../policy/toolchain/kept-toolchain.ts';
import { createLog, errorText, type Log } from '../telemetry/log.ts';
import { createSupervisorMetrics } from '../telemetry/metrics.ts';
import { tellLeft } from './answers-left.ts';
import { closeActive, makeActive, type Holder, type ValidConfig } from './active.ts';
import type { AdministrationParts } from './administration.ts';
import { watchBundleAge } from './bundle-age.ts';
import { createChanges, showBundle } from './changes.ts';
import { startClockMark } from './clock-mark.ts';
import { findFreePorts, onFreePorts, withPorts, type FreePorts } from './free-ports.ts';
import type { Mode, WorkerPorts, WorkerStart } from './messages.ts';
import { openListenersTls } from './listener-tls.ts';
import { tellExpositions } from './exposition.ts';
import { tellTraces } from './policy-trace.ts';
import { declareLost, handOn } from './lost-records.ts';
import { createNodeMetrics } from './metrics.ts';
import { nodeHealth } from './node-health.ts';
import { openOperatorToken } from './operator-token.ts';
import { openRecord } from './record.ts';
import { refreshBundles } from './refresh-bundles.ts';
import { listenSignals } from './signals.ts';
import { createShadowSource } from './shadow-source.ts';
import { createQuarantineBook } from './watchdog/quarantine.ts';
import { watchNode } from './status.ts';
import { adminTlsFiles, tlsFiles, watchFiles } from './watch-files.ts';
import { createWorkerPool } from './worker-pool.ts';
import { WorkerFailed, type EarlyWorker, type WorkerExit, type WorkerProcess } from './worker-process.ts';

export interface SupervisorOptions {
  readonly mode: Mode;
  readonly version: string;
  /** The first worker, already loading. */
  readonly early: EarlyWorker;
  readonly loaded: ValidConfig;
  /** Reads the configuration again. */
  readonly reload: () => LoadedConfig;
  readonly developmentDir?: string;
  /** Another bundle decides. */
  readonly onBundle?: (revision: string) => void;
}

export interface RunningSupervisor {
  readonly ports: WorkerPorts & { readonly admin: number; readonly signals?: number };
  readonly config: Config;
  readonly log: Log;
  reload(): Promise<void>;
  stop(): Promise<void>;
}

const TLS_LOOK_MS = 5_000;
const ACTIVATE_MS = 60_000;

const workerCount = ({ workers }: Config): number => workers ?? availableParallelism();

/** Rejects, with nothing left running, when it can't start. */
export const startSupervisor = async (options: SupervisorOptions): Promise<RunningSupervisor> => {
  const { mode, loaded } = options;
  const log = createLog(loaded.config.log, { pid: process.pid });
  const coreOptions = (config: Config): CoreOptions => ({ config, mode, log, developmentDir: options.developmentDir, version: options.version });
  const cleanUps: (() => unknown)[] = [];
  const cleanUp = async (): Promise<void> => {
    for (const undo of cleanUps.splice(0).toReversed()) await undo();
  };

  const metrics = createSupervisorMetrics();
  const nodeMetrics = createNodeMetrics(metrics);
  const book = createQuarantineBook();

  const start = async (): Promise<RunningSupervisor> => {
    const opened = await openCore(coreOptions(loaded.config));
    cleanUps.push(() => opened.store.close());
    const { clock, store } = opened;
    // Redis is also read by workers of other nodes.
    const core: Core = loaded.config.store.kind === 'embedded' ? { ...opened, deciders: { left: () => pool.deciders.left(), owing: (at) => pool.deciders.owing(at) } } : opened;
    const mark = await startClockMark(clock, (instant) => store.writeClockMark(instant), (error) => log.error('the clock mark can not be written', { detail: errorText(error) }));
    cleanUps.push(mark.stop);
    const record = await openRecord(core);
    let freePorts: FreePorts = { http: undefined, grpc: undefined };
    const operatorToken = await openOperatorToken(core, options.developmentDir, log);

    const notices = (): readonly string[] => {
      const refused = changes.refused();
      const newest = refused === undefined ? [] : [`the newest bundle is refused and an older one decides: ${refused}`];
      return [...newest, ...holder.active.sources.notices().map(({ detail }) => `the policy bundle can not be renewed: ${detail}`), ...age.notices()];
    };
    const parts: AdministrationParts = {
      policy: () => (age.mayDecide() ? holder.active.policy : undefined),
      operatorToken, log, record,
      version: options.version,
      health: async () => nodeHealth(await pool.health(), clock.now().trusted, notices()),
      resetWorkerClocks: () => pool.broadcast({ type: 'reset-clock' }),
      refreshBundles: async () => refreshBundles(holder.active.sources, changes),
      metrics: async () => {
        age.measure();
        metrics.bundleRefused.set(changes.refused() !== undefined || holder.active.sources.notices().some(({ kind }) => kind === 'refused') ? 1 : 0);
        return nodeMetrics.exposition(await pool.metrics());
      },
      node: () => node,
      rego: () => holder.active.rego,
      alertMetrics: metrics.alerts, canaryMetrics: metrics.canaries,
    };
    cleanUps.push(tellExpositions(parts.metrics), tellTraces((ask) => holder.active.administration.trace(ask)));
    const toolchain = keepToolchain();
    cleanUps.push(toolchain.letGo);
    const holder: Holder = { active: await makeActive(loaded, core, parts, toolchain, log) };
    cleanUps.push(() => closeActive(holder.active));
    const spillFailed = (error: unknown): void => log.error('what an ended process left in its spill file can not be handed on now', { detail: errorText(error) });
    await declareLost(holder.active.sink, loaded.config, 'the node ended without a farewell', spillFailed);
    showBundle(metrics, holder.active.policy);
    const age = watchBundleAge({
      clock, log, metrics: metrics.bundles,
      config: () => holder.active.core.config,
      sources: () => holder.active.sources,
      tell: (until) => pool.broadcast({ type: 'bundle-until', until }),
    });
    cleanUps.push(age.stop);
    const node = watchNode({
      version: options.version,
      startedAt: clock.now().latest,
      health: parts.health,
      workersWanted: () => workerCount(holder.active.core.config),
      bundle: () => ({ revision: holder.active.policy.revision, digest: holder.active.policy.digest }),
      metrics: async () => nodeMetrics.json(await pool.metrics('look')),
    }, clock, (error) => log.error('the workers can not be asked how they are', { detail: errorText(error) }));
    cleanUps.push(node.stop);

    const workerStart = (): WorkerStart => {
      const { raw, bundle, policy, core: { longest } } = holder.active;
      return {
        mode, bundle, longest,
        version: options.version,
        digest: policy.digest,
        rawConfig: withPorts(raw, freePorts),
        quarantine: book.list(),
        clockMark: clock.now().latest,
        bundleUntil: age.until(),
        ...(options.developmentDir === undefined ? {} : { developmentDir: options.developmentDir }),
      };
    };

    const lost = (worker: WorkerProcess, { code, signal, stall, freeze }: WorkerExit): void => {
      const watched = stall !== undefined || freeze !== undefined;
      metrics.restarts.inc({ cause: watched ? 'watchdog' : 'crash' });
      void declareLost(holder.active.sink, holder.active.core.config, watched ? 'a worker was ended by its watchdog' : 'a worker died', spillFailed, worker.pid);
      log.warn('a worker ended and is replaced', { worker: worker.pid, cause: stall?.cause ?? freeze ?? signal ?? `exit code ${code}` });
      if (stall?.fingerprint === undefined) return;
      const kept = book.add(stall.fingerprint, clock.monotonicMs());
      log.warn(stall.fingerprint.startsWith('["log",') ? "what the bundle's rules for the decision log took too long for is written without input and result from now on" : `the ${kept === 'workload' ? 'workload' : 'evaluation'} that stopped it is denied from now on`, { evaluation: stall.fingerprint });
      pool.broadcast({ type: 'quarantine', list: book.list() });
    };
    const shadow = createShadowSource({ clock, log, config: () => holder.active.core.config, tell: (bundle) => pool.broadcast({ type: 'shadow', bundle }) });
    cleanUps.push(shadow.close);
    const pool = createWorkerPool({
      count: workerCount(loaded.config),
      start: workerStart,
      drainMs: loaded.config.limits.drainMs,
      monotonicMs: clock.monotonicMs,
      now: () => clock.now().latest,
      onReady: async (worker, { digest }) => {
        worker.send({ type: 'quarantine', list: book.list() });
        worker.send({ type: 'bundle-until', until: age.until() });
        worker.send({ type: 'shadow', bundle: shadow.current() });
        const { bundle, policy } = holder.active;
        return digest === policy.digest ? undefined : worker.activate(bundle, policy.digest, ACTIVATE_MS);
      },
      onLost: lost,
      onGone: (worker) => {
        nodeMetrics.keep(worker.lastMetrics());
        if (worker.pid !== undefined) void handOn(holder.active.core.config, spillFailed, worker.pid);
      },
      onStartFailed: (error, retryMs) => log.error('a worker can not start', { detail: errorText(error), retryMs }),
      onCount: (count) => metrics.workers.set(count),
    });
    // Workers share these sockets, so what a dead process left behind is cleared here, once.
    for (const { unix } of [loaded.config.http, loaded.config.grpc]) if (unix !== undefined) await clearStaleSocket(unix.path);
    cleanUps.push(tellLeft(pool.deciders), pool.stop);
    let early: EarlyWorker | undefined = options.early;
    const ports = await onFreePorts(() => findFreePorts(loaded.config), (found) => {
      freePorts = found;
      return pool.start(early).finally(() => { early = undefined; });
    }, (error) => error instanceof WorkerFailed && error.kind === 'port-in-use');

    const { host, port } = loaded.config.admin;
    const { drainMs } = loaded.config.limits;
    const active = (): Config => holder.active.core.config;
    const tls = await openListenersTls(loaded.config.identity, [loaded.config.admin.tls], { clock, onEvent: identityLog(log), changed: (cut) => reloadAdminTls(cut) });
    cleanUps.push(tls.close);
    const adminTls = ({ admin: { tls: setting } } = active()) => setting && tls.read(setting);
    const admin: HttpServer = await listenAdmin({ host, port, drainMs, tls: adminTls(), fetch: (request) => holder.active.administration.fetch(request) });
    cleanUps.push(() => admin.close());
    const reloadAdminTls = (cut = false): void => {
      try {
        const pem = adminTls();
        if (pem !== undefined) admin.reloadTls({ ...pem, clientCertificate: 'optional' }, cut);
      } catch (error) {
        log.error("the administration's new certificate is not used; the old one stays", { detail: errorText(error) });
      }
    };
    const signals = await listenSignals(loaded.config, (request) => holder.active.administration.receiveSignal(request));
    if (signals !== undefined) cleanUps.push(() => signals.close());
    holder.active.administration.housekeeping.start();
    node.start();

    const changes = createChanges({ holder, pool, book, metrics, log, parts, toolchain, coreOptions, workerCount, reload: options.reload, onBundle: options.onBundle });
    changes.watch();
    shadow.follow();
    const tlsChanged = watchFiles(() => tlsFiles(active()));
    const adminTlsChanged = watchFiles(() => adminTlsFiles(active()));
    const tlsTimer = setInterval(() => {
      if (tlsChanged()) pool.broadcast({ type: 'reload-tls' });
      if (adminTlsChanged()) reloadAdminTls();
    }, TLS_LOOK_MS);
    cleanUps.push(() => clearInterval(tlsTimer));

    const reload = async (): Promise<void> => {
      await changes.configuration();
      shadow.follow();
    };
    return { ports: { ...ports, admin: admin.port, ...(signals === undefined ? {} : { signals: signals.port }) }, config: loaded.config, log, reload, stop: cleanUp };
  };

  try {
    return await start();
  } catch (error) {
    options.early.abandon();
    await cleanUp();
    throw error;
  }
};
