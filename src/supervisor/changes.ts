/** Changes while it runs: a new bundle, a new configuration. Judged first; what is not acceptable changes nothing and says why. */
import { reconfigure, type CoreOptions } from '../compose.ts';
import { faultText } from '../config/fault.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { prepareBundle } from '../policy/source/prepare-bundle.ts';
import { errorText, type Log } from '../telemetry/log.ts';
import type { SupervisorMetrics } from '../telemetry/metrics.ts';
import { closeActive, loadBundle, makeActive, type Holder } from './active.ts';
import type { AdministrationParts } from './administration.ts';
import type { BoundedPolicy } from './bounded-policy.ts';
import { needsRestart } from './needs-restart.ts';
import type { QuarantineBook } from './watchdog/quarantine.ts';
import type { WorkerPool } from './worker-pool.ts';

export interface ChangeDeps {
  readonly holder: Holder;
  readonly pool: WorkerPool;
  readonly book: QuarantineBook;
  readonly metrics: SupervisorMetrics;
  readonly log: Log;
  readonly parts: AdministrationParts;
  readonly coreOptions: (config: Config) => CoreOptions;
  readonly workerCount: (config: Config) => number;
  readonly reload: () => LoadedConfig;
}

export interface Changes {
  /** Reads the sources again, and activates what they give when it is something else. */
  bundle(): Promise<void>;
  configuration(): Promise<void>;
}

export const showBundle = (metrics: SupervisorMetrics, { revision, digest }: BoundedPolicy): void => {
  metrics.bundle.reset();
  metrics.bundle.set({ revision, digest }, 1);
};

export const createChanges = (deps: ChangeDeps): Changes => {
  const { holder, pool, book, metrics, log } = deps;

  const adoptBundle = async (): Promise<void> => {
    const { active } = holder;
    let policy: BoundedPolicy;
    let bundle: Uint8Array;
    try {
      ({ archive: bundle } = await prepareBundle(await active.sources.read()));
      policy = await loadBundle(active.core.config, bundle);
    } catch (error) {
      metrics.reloads.inc({ what: 'bundle', result: 'refused' });
      return log.error('the new bundle is refused; the active one stays', { file: active.sources.where, detail: errorText(error) });
    }
    if (policy.digest === active.policy.digest) return policy.close();
    holder.active = { ...active, bundle, policy };
    const faults = await pool.activate(bundle, policy.digest);
    // Only now: under the old bundle what stopped a worker would stop the next one.
    book.clear();
    pool.broadcast({ type: 'quarantine', list: book.list() });
    await active.policy.close();
    showBundle(metrics, policy);
    metrics.reloads.inc({ what: 'bundle', result: 'done' });
    log.info('a new bundle is active', { revision: policy.revision, digest: policy.digest });
    if (faults.length > 0) log.error('workers could not activate the new bundle and are replaced', { detail: faults.join('; '), workers: faults.length });
  };

  const readAgain = async (): Promise<void> => {
    const refuse = (why: string): void => {
      metrics.reloads.inc({ what: 'configuration', result: 'refused' });
      log.error('the configuration is not reloaded; the running one stays', { detail: why });
    };
    const next = deps.reload();
    if (!next.ok) return refuse(next.faults.map(faultText).join('; '));
    const before = holder.active;
    const restart = needsRestart(before.core.config, next.config);
    if (restart.length > 0) return refuse(`only a restart can change ${restart.join(', ')}`);
    const core = await reconfigure(before.core, deps.coreOptions(next.config));
    try {
      holder.active = await makeActive(next, core, deps.parts, log);
    } catch (error) {
      core.authenticator.close();
      return refuse(errorText(error));
    }
    try {
      await pool.roll({ count: deps.workerCount(next.config), drainMs: next.config.limits.drainMs });
    } catch (error) {
      const failed = holder.active;
      holder.active = before;
      await closeActive(failed);
      return refuse(errorText(error));
    }
    await closeActive(before);
    holder.active.administration.housekeeping.start();
    holder.active.sources.watch(() => void changes.bundle());
    showBundle(metrics, holder.active.policy);
    metrics.reloads.inc({ what: 'configuration', result: 'done' });
    log.info('the configuration is reloaded', { workers: pool.pids().length });
  };

  let busy: Promise<void> = Promise.resolve();
  /** One change at a time. */
  const inTurn = (change: () => Promise<void>): Promise<void> => {
    busy = busy.then(change).catch((error: unknown) => log.error('a change failed', { detail: errorText(error) }));
    return busy;
  };
  const changes: Changes = {
    bundle: () => inTurn(adoptBundle),
    configuration: () => inTurn(readAgain),
  };
  return changes;
};
