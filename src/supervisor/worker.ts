/** A worker process: opens what it decides with, listens, and does what the supervisor says. Its life ends with the supervisor's. */
import { activatePolicy, startGateways, type Gateways } from '../compose-worker.ts';
import { composeDecider, identityLog, openCore, type Core } from '../compose.ts';
import { configSchema } from '../config/schema.ts';
import type { DecisionSink } from '../decision/ports.ts';
import type { LoadedPolicy } from '../policy/load-policy.ts';
import { createUseNotes } from '../lifecycle/use-notes.ts';
import { createLog, errorText, type Log } from '../telemetry/log.ts';
import { createWorkerMetrics, type MetricsJson } from '../telemetry/metrics.ts';
import { createLeftAsker, whenWritten } from './answers-left.ts';
import { createExpositionAsker } from './exposition.ts';
import { createTraceAsker } from './policy-trace.ts';
import type { Asked, FromWorker, ToWorker, WorkerStart } from './messages.ts';
import { openListenersTls } from './listener-tls.ts';
import { watchReadiness } from './readiness.ts';
import { rehearse } from './rehearse.ts';
import { openLog } from './open-log.ts';
import { openShadow } from './open-shadow.ts';
import { LEAVE_MS, type Connections, type Spread, type Spreads } from './spread.ts';
import { PULSE_MS } from './watchdog/freeze.ts';
import { createWatchdog } from './watchdog/watchdog.ts';
import { REPORT_FD } from './worker-process.ts';

const tell = (message: FromWorker): void => {
  if (process.connected) process.send?.(message);
};

interface RunningWorker {
  receive(message: ToWorker): void;
  connections(): Connections;
}

const SINK_CLOSE_MS = 2_000;

const run = async (start: WorkerStart, log: Log): Promise<RunningWorker> => {
  const config = configSchema.parse(start.rawConfig);
  const left = createLeftAsker(tell);
  const opened = await openCore({ config, mode: start.mode, log, clockMark: start.clockMark, developmentDir: start.developmentDir, version: start.version, longest: start.longest });
  const core: Core = config.store.kind === 'embedded' ? { ...opened, deciders: left.deciders } : opened;
  let policy: LoadedPolicy | undefined;
  // For tests of what the watchdog is for; production can't be without it.
  const watched = start.mode === 'production' || process.env['CURFEW_TEST_WATCHDOG'] !== 'off';
  const watchdog = createWatchdog({ evaluationBudgetMs: config.limits.evaluationBudgetMs, reportFd: watched ? REPORT_FD : undefined });
  watchdog.replace(start.quarantine);
  const decisionLog = openLog(config, log, () => policy, { enter: watchdog.enterLog, leave: watchdog.leave });
  // However it ends, short of a kill: what it held is written, and the chain closed.
  process.on('exit', () => {
    decisionLog.flushNow();
    // An exit waits for every thread, and once one was seen not to end: for 45 minutes, when the supervisor that ends such a worker was gone itself.
    if (!process.connected && !draining) process.kill(process.pid, 'SIGKILL');
  });
  const metrics = createWorkerMetrics({ sink: decisionLog.stats, quarantined: watchdog.size, spansDropped: () => core.traces?.stats().dropped ?? 0 });
  const shadow = openShadow(core, log);
  const useNotes = createUseNotes({ store: core.store, clock: core.clock, everyMs: config.lifecycle.useNotesMs, onError: (error) => log.warn('what was used can not be noted now', { detail: errorText(error) }) });
  const sink: DecisionSink = {
    place: decisionLog.place,
    write: (record) => {
      metrics.sink.write(record);
      decisionLog.write(record);
      useNotes.note(record);
      // A candidate is asked what the configured rule says.
      if (record.policy.entrypoint === config.policy.entrypoint) shadow.offer(record);
    },
  };
  const allMetrics = async (scraped: boolean): Promise<MetricsJson> => [...(await metrics.json(scraped)), ...(await shadow.metrics())];
  const load = async (bundle: Uint8Array): Promise<LoadedPolicy> => {
    const loaded = await activatePolicy(core, bundle);
    if (loaded.opaBuiltins.length > 0) {
      log.warn("the bundle needs builtins that only OPA's own implementation has, which is loaded into this process for it", { builtins: loaded.opaBuiltins.join(', '), residentBytes: loaded.opaBuiltinsBytes });
    }
    return loaded;
  };
  policy = await load(start.bundle);
  await rehearse(core, policy);
  let { bundleUntil } = start;
  const activePolicy = (): LoadedPolicy | undefined => (bundleUntil === undefined || core.clock.now().latest < bundleUntil ? policy : undefined);
  const decider = composeDecider(core, { policy: activePolicy, sink, quarantine: watchdog });
  const expositions = createExpositionAsker(tell);
  const traces = createTraceAsker(tell);
  let draining = false;
  const running: { gateways?: Gateways } = {};
  const reloadTls = (cut: boolean): void => {
    try {
      running.gateways?.reloadTls(cut);
    } catch (error) {
      log.error('certificates can not be read again; the old ones stay', { detail: errorText(error) });
    }
  };
  const tls = await openListenersTls(config.identity, [config.http.tls, config.grpc.tls], { clock: core.clock, onEvent: identityLog(log), changed: reloadTls });
  const readiness = watchReadiness(core, { policyActive: () => activePolicy() !== undefined && !draining, tlsFault: tls.fault }, (ready) => running.gateways?.grpc.setServing(ready));
  const started = await startGateways(core, {
    ...decider, tls,
    version: start.version,
    metrics: expositions.ask,
    trace: traces.ask,
    onNoOpinion: metrics.noOpinion,
    onShed: metrics.shed,
    notEmitted: decisionLog.notEmitted,
    policy: activePolicy,
    ready: () => {
      const { ready, faults } = readiness.now();
      return { ready, ...(faults.length === 0 ? {} : { detail: faults.join('; ') }) };
    },
  });
  running.gateways = started;
  // What came while they were started.
  if (config.identity.workloadApi !== undefined) reloadTls(false);
  useNotes.start();
  await readiness.start();
  watchdog.watch();

  const fatal = (error: unknown): void => {
    log.error('the worker fails and is replaced', { detail: errorText(error) });
    decisionLog.flushNow();
    process.exit(1);
  };
  process.on('uncaughtException', fatal);
  process.on('unhandledRejection', fatal);

  const activate = async (bundle: Uint8Array, digest: string): Promise<void> => {
    try {
      const next = await load(bundle);
      if (next.digest !== digest) throw new Error('the bundle arrived damaged');
      policy = next;
      tell({ type: 'bundle', digest });
    } catch (error) {
      tell({ type: 'bundle', digest, fault: errorText(error) });
    }
  };

  const drain = async (): Promise<void> => {
    if (draining) return;
    draining = true;
    readiness.stop();
    tls.close();
    await started.close();
    await useNotes.stop();
    await decisionLog.close(SINK_CLOSE_MS);
    tell({ type: 'drained', metrics: await allMetrics(false) });
    await watchdog.close();
    await core.close();
    process.disconnect();
    process.exit(0);
  };
  process.on('SIGTERM', () => void drain().catch(fatal));

  const answer = async (id: number, what: Asked): Promise<void> => {
    if (what !== 'health') tell({ type: 'metrics', id, metrics: await allMetrics(what === 'metrics') });
    else tell({ type: 'health', id, health: readiness.now() });
  };

  const listeners = { http1: started.http, http2: started.grpc };
  const leaving: Partial<Record<Spreads, NodeJS.Timeout>> = {};
  const spread = (of: Spreads, asked: Spread): void => {
    clearTimeout(leaving[of]);
    listeners[of].spread(asked);
    // The supervisor may be gone, or busy.
    if (!asked.accept) leaving[of] = setTimeout(() => listeners[of].spread({ accept: true, shed: 0 }), LEAVE_MS).unref();
  };

  tell({ type: 'ready', ports: { http: config.http.port === false ? undefined : started.http.port, grpc: started.grpc.port } });
  return {
    connections: () => ({ http1: started.http.connections(), http2: started.grpc.connections() }),
    receive: (message) => {
      switch (message.type) {
        case 'start':
        case 'left': return;
        case 'all-left': return left.receive(message);
        case 'bundle': return void activate(message.bundle, message.digest);
        case 'quarantine': return watchdog.replace(message.list);
        case 'bundle-until': {
          bundleUntil = message.until;
          return;
        }
        case 'shadow': return void shadow.replace(message.bundle);
        case 'ask': return void answer(message.id, message.what).catch(fatal);
        case 'reload-tls': return reloadTls(false);
        case 'reset-clock': return core.clock.reset();
        case 'exposition': return expositions.receive(message);
        case 'trace': return traces.receive(message);
        case 'spread': return spread(message.of, message.spread);
        case 'drain': return void drain().catch(fatal);
      }
    },
  };
};

const failureKind = (error: unknown): 'port-in-use' | 'other' =>
  ['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL'].includes((error as NodeJS.ErrnoException).code ?? '') ? 'port-in-use' : 'other';

/** Entry of a worker process. */
export const runWorker = (): void => {
  // A terminal's interrupt goes to the whole group; the supervisor decides what follows from it.
  process.on('SIGINT', () => undefined);
  process.on('SIGHUP', () => undefined);
  let running: RunningWorker | undefined;
  let starting = false;
  process.on('message', (message: ToWorker) => {
    // Also while it starts: it may listen sooner than its supervisor knows.
    if (message.type === 'left') return whenWritten(() => tell({ type: 'left', id: message.id }));
    if (message.type !== 'start') {
      running?.receive(message);
      if (message.type === 'drain' && running === undefined) process.exit(0);
      return;
    }
    if (starting) return;
    starting = true;
    const log = createLog(configSchema.parse(message.start.rawConfig).log, { pid: process.pid });
    run(message.start, log).then(
      (worker) => { running = worker; },
      (error: unknown) => {
        tell({ type: 'failed', message: errorText(error), kind: failureKind(error) });
        // Leaves the message the time to arrive; then the exit code tells.
        process.disconnect();
        process.exitCode = 1;
        setImmediate(() => process.exit(1));
      },
    );
  });
  tell({ type: 'hello' });
  setInterval(() => tell({ type: 'pulse', connections: running?.connections() ?? { http1: 0, http2: 0 } }), PULSE_MS).unref();
};
