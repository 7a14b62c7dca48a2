/** Changes while it runs: a new bundle, a new configuration. Judged first; what is not acceptable changes nothing and says why. */
import { reconfigure, type CoreOptions } from '../compose.ts';
import { faultText } from '../config/fault.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import type { SourceBundle } from '../policy/source/bundle-source.ts';
import { contentKey } from '../policy/source/prepare-bundle.ts';
import type { KeptToolchain } from '../policy/toolchain/kept-toolchain.ts';
import { SourcesRefused, ToolchainMissing } from '../policy/toolchain/fault.ts';
import { errorText, type Log } from '../telemetry/log.ts';
import type { SupervisorMetrics } from '../telemetry/metrics.ts';
import { closeActive, makeActive, type Holder } from './active.ts';
import type { AdministrationParts } from './administration.ts';
import type { BoundedPolicy } from './bounded-policy.ts';
import { nextBundle, type NextBundle } from './next-bundle.ts';
import { needsRestart } from './needs-restart.ts';
import type { QuarantineBook } from './watchdog/quarantine.ts';
import { heapMegabytes } from './worker-heap.ts';
import { giveHeap } from './worker-process.ts';
import type { WorkerPool } from './worker-pool.ts';

export interface ChangeDeps {
  readonly holder: Holder;
  readonly pool: WorkerPool;
  readonly book: QuarantineBook;
  readonly metrics: SupervisorMetrics;
  readonly log: Log;
  readonly parts: AdministrationParts;
  readonly toolchain: KeptToolchain;
  readonly coreOptions: (config: Config) => CoreOptions;
  readonly workerCount: (config: Config) => number;
  readonly reload: () => LoadedConfig;
  /** Another bundle decides. */
  readonly onBundle?: ((revision: string) => void) | undefined;
}

/** What became of the sources' newest bundle; `revision` and `digest` are of the one that decides now. */
export interface BundleChange {
  readonly result: 'active' | 'unchanged' | 'refused';
  readonly revision: string;
  readonly digest: string;
  /** Why it was refused, with file and line where there is one. */
  readonly detail?: string;
}

export interface Changes {
  /** Reads the sources again, and activates what they give when it is something else. */
  bundle(): Promise<BundleChange>;
  /** Why the newest bundle does not decide, while that is so. */
  refused(): string | undefined;
  /** From now on the sources say when there is something new. */
  watch(): void;
  configuration(): Promise<void>;
}

export const showBundle = (metrics: SupervisorMetrics, { revision, digest }: BoundedPolicy): void => {
  metrics.bundle.reset();
  metrics.bundle.set({ revision, digest }, 1);
};

export const createChanges = (deps: ChangeDeps): Changes => {
  const { holder, pool, book, metrics, log } = deps;

  /** Digests that decided since the start. Nothing goes back silently (I14); servers may not go back at all. */
  const past = new Set<string>();
  /** The content that was refused last, and why. */
  let refused: { readonly key: string; readonly detail: string; readonly final: boolean } | undefined;

  const outcome = (result: BundleChange['result'], detail?: string): BundleChange => {
    const { revision, digest } = holder.active.policy;
    return { result, revision, digest, ...(detail === undefined ? {} : { detail }) };
  };

  const refuse = (key: string, error: unknown): BundleChange => {
    const detail = errorText(error);
    if (refused?.key !== key || refused.detail !== detail) {
      metrics.reloads.inc({ what: 'bundle', result: 'refused' });
      const [fault] = error instanceof SourcesRefused ? error.faults : [];
      const { file, row: line, col: column = file === undefined ? undefined : 1 } = fault ?? {};
      log.error('the new bundle is refused; the active one stays', { from: holder.active.sources.where, file, line, column, detail });
    }
    // A toolchain may be there the next time.
    refused = { key, detail, final: !(error instanceof ToolchainMissing) };
    metrics.bundleRefused.set(1);
    return outcome('refused', detail);
  };

  const accepted = (): void => {
    refused = undefined;
    metrics.bundleRefused.set(0);
  };

  const swap = async ({ bundle, policy, rego }: NextBundle, key: string, read: readonly SourceBundle[]): Promise<BundleChange> => {
    const { active } = holder;
    accepted();
    holder.active = { ...active, bundle, policy, rego, contentKey: key };
    await active.sources.accepted(read);
    const faults = await pool.activate(bundle, policy.digest);
    // Only now: under the old bundle what stopped a worker would stop the next one.
    book.clear();
    pool.broadcast({ type: 'quarantine', list: book.list() });
    await active.policy.close();
    showBundle(metrics, policy);
    metrics.reloads.inc({ what: 'bundle', result: 'done' });
    const { revision, digest } = policy;
    // In development that is what undoing looks like.
    if (past.has(digest) && active.core.mode === 'production') log.warn('a bundle that was active before is active again', { revision, digest });
    else log.info('a new bundle is active', { revision, digest });
    past.add(active.policy.digest);
    deps.onBundle?.(policy.revision);
    if (faults.length > 0) log.error('workers could not activate the new bundle and are replaced', { detail: faults.join('; '), workers: faults.length });
    return outcome('active');
  };

  const adoptBundle = async (): Promise<BundleChange> => {
    const { active } = holder;
    let key = '';
    try {
      const read = await active.sources.read();
      key = contentKey(read);
      if (key === active.contentKey) {
        // The same files in another archive are as good.
        await active.sources.accepted(read);
        accepted();
        return outcome('unchanged');
      }
      if (key === refused?.key && refused.final) return outcome('refused', refused.detail);
      const next = await nextBundle(active.core.config, read, deps.toolchain, active.core.clock);
      if (next.policy.digest !== active.policy.digest) return await swap(next, key, read);
      await next.policy.close();
      await active.sources.accepted(read);
      holder.active = { ...active, contentKey: key };
      accepted();
      return outcome('unchanged');
    } catch (error) {
      return refuse(key, error);
    }
  };

  const watchSources = (): void => holder.active.sources.watch(() => void inTurn(adoptBundle).catch(() => undefined));

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
      holder.active = await makeActive(next, core, deps.parts, deps.toolchain, log);
    } catch (error) {
      core.authenticator.close();
      await core.traces?.close();
      return refuse(errorText(error));
    }
    giveHeap(heapMegabytes(next.config));
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
    watchSources();
    accepted();
    showBundle(metrics, holder.active.policy);
    metrics.reloads.inc({ what: 'configuration', result: 'done' });
    log.info('the configuration is reloaded', { workers: pool.pids().length });
  };

  let busy: Promise<unknown> = Promise.resolve();
  /** One change at a time. */
  const inTurn = <T>(change: () => Promise<T>): Promise<T> => {
    const done = busy.then(change);
    busy = done.catch((error: unknown) => log.error('a change failed', { detail: errorText(error) }));
    return done;
  };
  const changes: Changes = {
    bundle: () => inTurn(adoptBundle),
    watch: watchSources,
    refused: () => refused?.detail,
    configuration: () => inTurn(readAgain).catch(() => undefined),
  };
  return changes;
};
