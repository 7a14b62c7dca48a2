/**
 * Where the shadow policy comes from: read, verified and compiled like the active one, then given to the workers. Nothing waits
 * for it: what is wrong with it is logged, and the one before stays in the shadow.
 */
import type { Config } from '../config/schema.ts';
import type { Clock } from '../decision/ports.ts';
import type { PolicyConfig } from '../policy/config.ts';
import { openSources, type BundleSources } from '../policy/source/open-sources.ts';
import { contentKey, prepareBundle } from '../policy/source/prepare-bundle.ts';
import { keepToolchain } from '../policy/toolchain/kept-toolchain.ts';
import { errorText, type Log } from '../telemetry/log.ts';
import { logSourceEvent } from './log-source-event.ts';

export interface ShadowSource {
  /** What workers are to load. */
  current(): Uint8Array | undefined;
  /** Reads the configuration that counts now; at the start, and after a reload. */
  follow(): void;
  close(): Promise<void>;
}

export interface ShadowSourceDeps {
  readonly config: () => Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly tell: (bundle: Uint8Array | undefined) => void;
}

/** The same settings, with the candidate as the only source; it has a name of its own wherever bundles are kept. */
const asPolicy = (policy: PolicyConfig): PolicyConfig | undefined => {
  const { shadow } = policy;
  if (shadow === undefined) return undefined;
  const { sample: _sample, processorShare: _share, ...source } = shadow;
  return { ...policy, bundle: { reloadIntervalMs: policy.bundle.reloadIntervalMs }, bundles: [{ name: 'shadow', ...source }] };
};

export const createShadowSource = ({ config, clock, log, tell }: ShadowSourceDeps): ShadowSource => {
  // Its own: the active policy's must neither wait for a candidate nor be let go under its hands.
  const toolchain = keepToolchain();
  let followed = '';
  let sources: BundleSources | undefined;
  let bundle: Uint8Array | undefined;
  let key = '';

  const adopt = async (from: BundleSources, policy: PolicyConfig): Promise<void> => {
    try {
      const read = await from.read();
      const next = contentKey(read);
      if (sources !== from || next === key) return;
      const { archive } = await prepareBundle(read, { entrypoints: [policy.entrypoint], toolchain: toolchain.get });
      if (sources !== from) return;
      key = next;
      bundle = archive;
      tell(bundle);
      log.info('a candidate is in the shadow', { from: from.where });
    } catch (error) {
      log.error('the candidate for the shadow is refused', { from: from.where, detail: errorText(error) });
    } finally {
      // Whoever saves in a folder saves again soon.
      if (config().policy.shadow?.directory === undefined) await toolchain.letGo();
    }
  };

  let busy: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>): void => {
    busy = busy.then(work).catch((error: unknown) => log.error('the shadow policy can not be changed', { detail: errorText(error) }));
  };

  const open = async (): Promise<void> => {
    const policy = asPolicy(config().policy);
    const wanted = JSON.stringify(policy ?? null);
    if (wanted === followed) return;
    followed = wanted;
    await sources?.close();
    [sources, bundle, key] = [undefined, undefined, ''];
    tell(undefined);
    if (policy === undefined) return;
    const opened = openSources(policy, {
      clock,
      yamlToJson: async (text) => (await toolchain.get()).yaml(text),
      onEvent: logSourceEvent(log),
    });
    sources = opened;
    await adopt(opened, policy);
    opened.watch(() => inTurn(() => adopt(opened, policy)));
  };

  return {
    current: () => bundle,
    follow: () => inTurn(open),
    close: async () => {
      const held = sources;
      sources = undefined;
      await held?.close();
      await toolchain.letGo();
    },
  };
};
