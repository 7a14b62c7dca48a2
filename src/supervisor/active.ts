/** What belongs to one configuration: its core, policy, decision log and administration. A reload makes another one. */
import type { LineSink } from '../audit/line-sink.ts';
import type { Core } from '../compose.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../decision/ports.ts';
import type { JsonObject } from '../domain/json.ts';
import type { SourceBundle } from '../policy/source/bundle-source.ts';
import { openSources, type BundleSources } from '../policy/source/open-sources.ts';
import { contentKey } from '../policy/source/prepare-bundle.ts';
import type { KeptToolchain } from '../policy/toolchain/kept-toolchain.ts';
import type { Sources } from '../policy/toolchain/toolchain.ts';
import { errorText, type Log } from '../telemetry/log.ts';
import { createAdministration, type Administration, type AdministrationParts } from './administration.ts';
import type { BoundedPolicy } from './bounded-policy.ts';
import { logSourceEvent } from './log-source-event.ts';
import { nextBundle, type NextBundle } from './next-bundle.ts';
import { openLog } from './open-log.ts';

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
  /** What the bundle was compiled of here. */
  readonly rego: Sources | undefined;
}

/** The one that counts now. */
export interface Holder {
  active: Active;
}

const SINK_CLOSE_MS = 2_000;

interface FirstBundle extends NextBundle {
  readonly read: readonly SourceBundle[];
}

/** What the sources have; where that can't be had or is refused, what was good at last. */
const firstBundle = async (config: Config, sources: BundleSources, clock: Clock, toolchain: KeptToolchain, log: Log): Promise<FirstBundle> => {
  const from = async (read: readonly SourceBundle[]): Promise<FirstBundle> => ({ read, ...(await nextBundle(config, read, toolchain, clock)) });
  try {
    return await from(await sources.read());
  } catch (error) {
    const kept = await sources.readKept().catch(() => undefined);
    if (kept === undefined) throw error;
    const last = await from(kept).catch(() => undefined);
    if (last === undefined) throw error;
    log.error('the newest bundle can not be had or is refused; the last good one decides', { from: sources.where, revision: last.policy.revision, detail: errorText(error) });
    return last;
  }
};

/** Rejects with what is wrong with the bundle when it is not acceptable. */
export const makeActive = async ({ raw, config }: ValidConfig, core: Core, parts: AdministrationParts, toolchain: KeptToolchain, log: Log): Promise<Active> => {
  const sources = openSources(config.policy, {
    clock: core.clock,
    yamlToJson: async (text) => (await toolchain.get()).yaml(text),
    onEvent: logSourceEvent(log),
  });
  try {
    const { read, bundle, policy, rego } = await firstBundle(config, sources, core.clock, toolchain, log);
    await sources.accepted(read);
    return { raw, core, sources, contentKey: contentKey(read), bundle, policy, rego, sink: openLog(config, log), administration: createAdministration(core, parts) };
  } catch (error) {
    await sources.close();
    throw error;
  }
};

/** Everything but the store and the clock, which outlive it. */
export const closeActive = async ({ administration, core, policy, sink, sources }: Active): Promise<void> => {
  await administration.housekeeping.stop();
  core.authenticator.close();
  await Promise.all([core.traces?.close(), sources.close(), policy.close(), sink.close(SINK_CLOSE_MS)]);
};
