/**
 * What a worker decides and answers HTTP with, in a process of its own, composed as a worker composes it: with the decision log that its configuration names, or with none (`off`),
 * which the product does not offer: there every decision is recorded. Tells its port. Arguments: the configuration as JSON, the file of the bundle, `off` or `on`.
 */
import { readFileSync } from 'node:fs';
import { activatePolicy, startGateways } from '../../src/compose-worker.ts';
import { composeDecider, openCore } from '../../src/compose.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { DecisionSink } from '../../src/decision/ports.ts';
import { openListenersTls } from '../../src/supervisor/listener-tls.ts';
import { openLog } from '../../src/supervisor/open-log.ts';
import { createWatchdog } from '../../src/supervisor/watchdog/watchdog.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { createWorkerMetrics } from '../../src/telemetry/metrics.ts';

const [, , text = '', bundle = '', wanted] = process.argv;
const config = configSchema.parse(JSON.parse(text));
const log = createLog(config.log, { pid: process.pid });
const core = await openCore({ config, mode: 'production', log });
const policy = await activatePolicy(core, readFileSync(bundle));
const watchdog = createWatchdog({ evaluationBudgetMs: config.limits.evaluationBudgetMs, reportFd: undefined });
const decisionLog = wanted === 'off' ? undefined : openLog(config, log, () => policy, { enter: watchdog.enterLog, leave: watchdog.leave });
const metrics = createWorkerMetrics({ sink: decisionLog?.stats ?? (() => ({ dropped: 0, failures: 0, buffered: 0 })), quarantined: watchdog.size, spansDropped: () => 0 });
const sink: DecisionSink = {
  ...(decisionLog === undefined ? {} : { place: decisionLog.place }),
  write: (record) => {
    metrics.sink.write(record);
    decisionLog?.write(record);
  },
};
const tls = await openListenersTls(config.identity, [], { clock: core.clock, onEvent: () => undefined, changed: () => undefined });
const gateways = await startGateways(core, {
  ...composeDecider(core, { policy: () => policy, sink, quarantine: watchdog }), tls,
  version: 'bench',
  metrics: () => Promise.reject(new Error('none here')),
  trace: async () => undefined, onNoOpinion: metrics.noOpinion,
  onShed: metrics.shed,
  notEmitted: (decision) => decisionLog?.notEmitted(decision),
  policy: () => policy,
  ready: () => ({ ready: true }),
});

let ending = false;
const end = async (): Promise<void> => {
  if (ending) return;
  ending = true;
  await gateways.close();
  await decisionLog?.close(10_000);
  const lost = decisionLog?.stats();
  await watchdog.close();
  tls.close();
  await core.close();
  if (lost !== undefined && lost.dropped + lost.failures > 0) throw new Error(`the decision log lost ${lost.dropped} records, ${lost.failures} writes failed`);
  process.exit(0);
};
process.on('SIGTERM', () => void end());
process.on('disconnect', () => void end());
process.send?.(gateways.http.port);
