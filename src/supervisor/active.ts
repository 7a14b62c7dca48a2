/** What belongs to one configuration: its core, policy, decision log and administration. A reload makes another one. */
import type { LineSink } from '../audit/line-sink.ts';
import { openLog, policyOptions, type Core } from '../compose.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import type { JsonObject } from '../domain/json.ts';
import { openSources, type BundleSources } from '../policy/source/open-sources.ts';
import { prepareBundle } from '../policy/source/prepare-bundle.ts';
import type { Log } from '../telemetry/log.ts';
import { createAdministration, type Administration, type AdministrationParts } from './administration.ts';
import { startBoundedPolicy, type BoundedPolicy } from './bounded-policy.ts';

export type ValidConfig = Extract<LoadedConfig, { ok: true }>;

export interface Active {
  readonly raw: JsonObject;
  readonly core: Core;
  readonly sources: BundleSources;
  readonly sink: LineSink;
  readonly administration: Administration;
  readonly bundle: Uint8Array;
  readonly policy: BoundedPolicy;
}

/** The one that counts now. */
export interface Holder {
  active: Active;
}

const LOAD_POLICY_MS = 10_000;
const SINK_CLOSE_MS = 2_000;

/** Rejects with `PolicyRefused` when the bundle is not acceptable. */
export const loadBundle = (config: Config, bundle: Uint8Array): Promise<BoundedPolicy> =>
  startBoundedPolicy(bundle, { load: policyOptions(config), evaluationBudgetMs: config.limits.evaluationBudgetMs, loadTimeoutMs: LOAD_POLICY_MS });

export const makeActive = async ({ raw, config }: ValidConfig, core: Core, parts: AdministrationParts, log: Log): Promise<Active> => {
  const sources = openSources(config.policy);
  const { archive: bundle } = await prepareBundle(await sources.read());
  const policy = await loadBundle(config, bundle);
  return { raw, core, sources, bundle, policy, sink: openLog(config, log), administration: createAdministration(core, parts) };
};

/** Everything but the store and the clock, which outlive it. */
export const closeActive = async ({ administration, core, policy, sink, sources }: Active): Promise<void> => {
  await administration.housekeeping.stop();
  core.authenticator.close();
  await Promise.all([sources.close(), policy.close(), sink.close(SINK_CLOSE_MS)]);
};
