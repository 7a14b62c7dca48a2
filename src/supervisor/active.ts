/** What belongs to one configuration: its core, policy, decision log and administration. A reload makes another one. */
import type { LineSink } from '../audit/line-sink.ts';
import { openLog, type Core } from '../compose.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { JsonObject } from '../domain/json.ts';
import { openSources, type BundleSources } from '../policy/source/open-sources.ts';
import { contentKey } from '../policy/source/prepare-bundle.ts';
import type { KeptToolchain } from '../policy/toolchain/kept-toolchain.ts';
import type { Log } from '../telemetry/log.ts';
import { createAdministration, type Administration, type AdministrationParts } from './administration.ts';
import type { BoundedPolicy } from './bounded-policy.ts';
import { nextBundle } from './next-bundle.ts';

export type ValidConfig = Extract<LoadedConfig, { ok: true }>;

export interface Active {
  readonly raw: JsonObject;
  readonly core: Core;
  readonly sources: BundleSources;
  readonly sink: LineSink;
  readonly administration: Administration;
  /** Of what the bundle was made of. */
  readonly contentKey: string;
  readonly bundle: Uint8Array;
  readonly policy: BoundedPolicy;
}

/** The one that counts now. */
export interface Holder {
  active: Active;
}

const SINK_CLOSE_MS = 2_000;

/** Rejects with what is wrong with the bundle when it is not acceptable. */
export const makeActive = async ({ raw, config }: ValidConfig, core: Core, parts: AdministrationParts, toolchain: KeptToolchain, log: Log): Promise<Active> => {
  const sources = openSources(config.policy);
  try {
    const read = await sources.read();
    const { bundle, policy } = await nextBundle(config, read, toolchain, core.clock);
    return { raw, core, sources, contentKey: contentKey(read), bundle, policy, sink: openLog(config, log), administration: createAdministration(core, parts) };
  } catch (error) {
    await sources.close();
    throw error;
  }
};

/** Everything but the store and the clock, which outlive it. */
export const closeActive = async ({ administration, core, policy, sink, sources }: Active): Promise<void> => {
  await administration.housekeeping.stop();
  core.authenticator.close();
  await Promise.all([sources.close(), policy.close(), sink.close(SINK_CLOSE_MS)]);
};
