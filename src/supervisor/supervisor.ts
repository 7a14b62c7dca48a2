/**
 * The supervisor: keeps the workers deciding, serves administration and metrics, watches the bundle, and decides nothing itself.
 *
 * - SIGTERM and SIGINT drain: nothing new is accepted, open requests end, within `limits.drainMs`.
 * - SIGHUP reads configuration and bundle again. Both are judged first; what is not valid changes nothing and says why.
 * - A worker that dies is replaced. One that its watchdog ended puts the evaluation that held it up into quarantine.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { listenAdmin } from '../admin/listen.ts';
import type { LineSink } from '../audit/line-sink.ts';
import { openCore, openLog, policyOptions, reconfigure, type Core, type CoreOptions } from '../compose.ts';
import { faultText } from '../config/fault.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { clearStaleSocket } from '../grpc/stale-socket.ts';
import { createLog, errorText, type Log } from '../telemetry/log.ts';
import { createSupervisorMetrics } from '../telemetry/metrics.ts';
import { createAdministration, type Administration, type AdministrationParts } from './administration.ts';
import { startBoundedPolicy, type BoundedPolicy } from './bounded-policy.ts';
import { bundlePath, createBundleSource, type BundleSource } from './bundle-source.ts';
import { startClockMark } from './clock-mark.ts';
import { findFreePorts, withPorts } from './free-ports.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Mode, WorkerHealth, WorkerPorts, WorkerStart } from './messages.ts';
import { createNodeMetrics } from './metrics.ts';
import { needsRestart } from './needs-restart.ts';
import { openOperatorToken } from './operator-token.ts';
import { createQuarantineBook } from './watchdog/quarantine.ts';
import { tlsFiles, watchFiles } from './watch-files.ts';
import { createWorkerPool } from './worker-pool.ts';
import type { EarlyWorker, WorkerExit, WorkerProcess } from './worker-process.ts';

type Valid = Extract<LoadedConfig, { ok: true }>;

export interface SupervisorOptions {
  readonly mode: Mode;
  readonly version: string;
  /** The first worker, already loading. */
  readonly early: EarlyWorker;
  readonly loaded: Valid;
  /** Reads the configuration again. */
  readonly reload: () => LoadedConfig;
  readonly developmentDir?: string;
}

export interface RunningSupervisor {
  readonly ports: WorkerPorts & { readonly admin: number };
  readonly config: Config;
  readonly log: Log;
  reload(): Promise<void>;
  stop(): Promise<void>;
}

const LOAD_POLICY_MS = 10_000;
const SINK_CLOSE_MS = 2_000;
const TLS_LOOK_MS = 5_000;

/** Everything that belongs to one configuration. */
interface Active {
  readonly raw: JsonObject;
  readonly core: Core;
  readonly source: BundleSource;
  readonly sink: LineSink;
  bundle: Uint8Array;
  policy: BoundedPolicy;
  administration: Administration;
}

/** Rejects, with nothing left running, when it can't start. */
export const startSupervisor = async (options: SupervisorOptions): Promise<RunningSupervisor> => {
  const { mode, loaded } = options;
  const log = createLog(loaded.config.log, { pid: process.pid });
  const coreOptions = (config: Config): CoreOptions => ({ config, mode, log, developmentDir: options.developmentDir });
  const cleanUps: (() => unknown)[] = [];
  const cleanUp = async (): Promise<void> => {
    for (const undo of cleanUps.splice(0).toReversed()) await undo();
  };

  const metrics = createSupervisorMetrics();
  const nodeMetrics = createNodeMetrics(metrics);
  const book = createQuarantineBook();

  const loadBundle = async (config: Config, bundle: Uint8Array): Promise<BoundedPolicy> =>
    startBoundedPolicy(bundle, { load: policyOptions(config), evaluationBudgetMs: config.limits.evaluationBudgetMs, loadTimeoutMs: LOAD_POLICY_MS });
  const showBundle = ({ revision, digest }: BoundedPolicy): void => {
    metrics.bundle.reset();
    metrics.bundle.set({ revision, digest }, 1);
  };
  const start = async (): Promise<RunningSupervisor> => {
    const core = await openCore(coreOptions(loaded.config));
    cleanUps.push(() => core.store.close());
    const { clock, store } = core;
    const mark = await startClockMark(clock, (instant) => store.writeClockMark(instant), (error) => log.error('the clock mark can not be written', { detail: errorText(error) }));
    cleanUps.push(mark.stop);
    const freePorts = await findFreePorts(loaded.config);
    const operatorToken = await openOperatorToken(core, options.developmentDir, log);

    const parts: AdministrationParts = {
      policy: () => active.policy,
      operatorToken, log,
      version: options.version,
      health: async () => nodeHealth(await pool.health()),
      metrics: async () => nodeMetrics.exposition(await pool.metrics()),
    };
    const activate = async (valid: Valid, its: Core): Promise<Active> => {
      const source = createBundleSource(bundlePath(valid.config));
      const bundle = await source.read();
      const policy = await loadBundle(valid.config, bundle);
      return { raw: valid.raw, core: its, source, bundle, policy, sink: openLog(valid.config, log), administration: createAdministration(its, parts) };
    };
    let active = await activate(loaded, core);
    cleanUps.push(() => active.policy.close(), () => active.core.authenticator.close(), () => active.sink.close(SINK_CLOSE_MS));
    showBundle(active.policy);

    const nodeHealth = (workers: readonly (WorkerHealth | undefined)[]): WorkerHealth => {
      const faults = new Set(workers.flatMap((worker) => (worker === undefined ? [] : worker.faults)));
      const ready = workers.some((worker) => worker?.ready === true);
      if (workers.length === 0) faults.add('no worker runs');
      else if (workers.every((worker) => worker === undefined)) faults.add('no worker answers');
      return { ready, faults: [...faults] };
    };
    const workerCount = ({ workers }: Config): number => workers ?? availableParallelism();

    const workerStart = (): WorkerStart => {
      const { raw, bundle } = active;
      return {
        mode, bundle,
        rawConfig: withPorts(raw, freePorts),
        quarantine: book.list(),
        clockMark: clock.now().latest,
        ...(options.developmentDir === undefined ? {} : { developmentDir: options.developmentDir }),
      };
    };

    const lost = (worker: WorkerProcess, { code, signal, stall }: WorkerExit): void => {
      metrics.restarts.inc({ cause: stall === undefined ? 'crash' : 'watchdog' });
      active.sink.declareGap({ dropped: null, cause: stall === undefined ? 'a worker died' : 'a worker was ended by its watchdog', pid: worker.pid });
      log.warn('a worker ended and is replaced', { worker: worker.pid, cause: stall?.cause ?? signal ?? `exit code ${code}` });
      if (stall?.fingerprint === undefined) return;
      const kept = book.add(stall.fingerprint, clock.monotonicMs());
      log.warn(`the ${kept === 'workload' ? 'workload' : 'evaluation'} that stopped it is denied from now on`, { evaluation: stall.fingerprint });
      pool.broadcast({ type: 'quarantine', list: book.list() });
    };
    const pool = createWorkerPool({
      count: workerCount(loaded.config),
      start: workerStart,
      drainMs: loaded.config.limits.drainMs,
      monotonicMs: clock.monotonicMs,
      onLost: lost,
      onGone: (worker) => nodeMetrics.keep(worker.lastMetrics()),
      onStartFailed: (error, retryMs) => log.error('a worker can not start', { detail: errorText(error), retryMs }),
      onCount: (count) => metrics.workers.set(count),
    });
    // Workers share these sockets, so what a dead process left behind is cleared here, once.
    for (const { unix } of [loaded.config.http, loaded.config.grpc]) if (unix !== undefined) await clearStaleSocket(unix.path);
    cleanUps.push(pool.stop);
    const ports = await pool.start(options.early);

    const { host, port, tls } = loaded.config.admin;
    const { drainMs } = loaded.config.limits;
    const adminTls = () => tls && { cert: readFileSync(tls.cert), key: readFileSync(tls.key) };
    const admin = await listenAdmin({ host, port, drainMs, tls: adminTls(), fetch: (request) => active.administration.fetch(request) });
    cleanUps.push(() => admin.close());
    active.administration.sweeper.start();
    cleanUps.push(() => active.administration.sweeper.stop());

    let busy: Promise<void> = Promise.resolve();
    /** One change at a time. */
    const inTurn = (change: () => Promise<void>): Promise<void> => (busy = busy.then(change).catch((error: unknown) => log.error('a change failed', { detail: errorText(error) })));

    const adoptBundle = async (bundle: Uint8Array): Promise<void> => {
      let policy: BoundedPolicy;
      try {
        policy = await loadBundle(active.core.config, bundle);
      } catch (error) {
        metrics.reloads.inc({ what: 'bundle', result: 'refused' });
        return log.error('the new bundle is refused; the active one stays', { file: active.source.path, detail: errorText(error) });
      }
      if (policy.digest === active.policy.digest) return policy.close();
      const before = active.policy;
      Object.assign(active, { bundle, policy });
      const faults = await pool.activate(bundle, policy.digest);
      // Only now: under the old bundle what stopped a worker would stop the next one.
      book.clear();
      pool.broadcast({ type: 'quarantine', list: book.list() });
      await before.close();
      showBundle(policy);
      metrics.reloads.inc({ what: 'bundle', result: 'done' });
      log.info('a new bundle is active', { revision: policy.revision, digest: policy.digest });
      if (faults.length > 0) log.error('workers could not activate the new bundle', { detail: faults.join('; '), workers: faults.length });
    };

    const readAgain = async (): Promise<void> => {
      const next = options.reload();
      const refuse = (why: string): void => {
        metrics.reloads.inc({ what: 'configuration', result: 'refused' });
        log.error('the configuration is not reloaded; the running one stays', { detail: why });
      };
      if (!next.ok) return refuse(next.faults.map(faultText).join('; '));
      const restart = needsRestart(active.core.config, next.config);
      if (restart.length > 0) return refuse(`only a restart can change ${restart.join(', ')}`);
      const before = active;
      const nextCore = await reconfigure(core, coreOptions(next.config));
      try {
        active = await activate(next, nextCore);
      } catch (error) {
        nextCore.authenticator.close();
        return refuse(errorText(error));
      }
      try {
        await pool.roll({ count: workerCount(next.config), drainMs: next.config.limits.drainMs });
      } catch (error) {
        const failed = active;
        active = before;
        await Promise.all([failed.policy.close(), failed.sink.close(0)]);
        nextCore.authenticator.close();
        return refuse(errorText(error));
      }
      await before.administration.sweeper.stop();
      active.administration.sweeper.start();
      before.core.authenticator.close();
      await Promise.all([before.policy.close(), before.sink.close(SINK_CLOSE_MS)]);
      showBundle(active.policy);
      metrics.reloads.inc({ what: 'configuration', result: 'done' });
      log.info('the configuration is reloaded', { workers: pool.pids().length });
    };

    const lookAtBundle = async (): Promise<void> => {
      const bundle = await active.source.changed();
      if (bundle !== undefined) await adoptBundle(bundle);
    };
    const { reloadIntervalMs } = loaded.config.policy.bundle;
    if (reloadIntervalMs > 0) {
      const timer = setInterval(() => void inTurn(lookAtBundle), reloadIntervalMs);
      cleanUps.push(() => clearInterval(timer));
    }
    const tlsChanged = watchFiles(tlsFiles(loaded.config));
    const adminTlsChanged = watchFiles(tls === undefined ? [] : [tls.cert, tls.key]);
    const tlsTimer = setInterval(() => {
      if (tlsChanged()) pool.broadcast({ type: 'reload-tls' });
      if (!adminTlsChanged()) return;
      try {
        const pem = adminTls();
        if (pem !== undefined) admin.reloadTls({ ...pem, clientCertificate: 'optional' });
      } catch (error) {
        log.error("the administration's new certificate is not used; the old one stays", { detail: errorText(error) });
      }
    }, TLS_LOOK_MS);
    cleanUps.push(() => clearInterval(tlsTimer));

    return { ports: { ...ports, admin: admin.port }, config: loaded.config, log, reload: () => inTurn(readAgain), stop: cleanUp };
  };

  try {
    return await start();
  } catch (error) {
    options.early.abandon();
    await cleanUp();
    throw error;
  }
};
