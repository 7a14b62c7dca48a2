/** From sources to a policy that may be activated: read, compiled where it must be, loaded and tried. Activates nothing. */
import { entrypointsOf, policyOptions } from '../compose.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../decision/ports.ts';
import type { SourceBundle } from '../policy/source/bundle-source.ts';
import { isCompiled } from '../policy/source/check-bundles.ts';
import { prepareBundle, type PreparedBundle } from '../policy/source/prepare-bundle.ts';
import type { KeptToolchain } from '../policy/toolchain/kept-toolchain.ts';
import type { Sources } from '../policy/toolchain/toolchain.ts';
import { PolicyRefused, startBoundedPolicy, startSpareThread, type BoundedPolicy, type SpareThread } from './bounded-policy.ts';
import { tryPolicy } from './trial.ts';

export interface NextBundle {
  readonly bundle: Uint8Array;
  readonly policy: BoundedPolicy;
  /** What it was compiled of here, where all builtins in it are served. */
  readonly rego?: Sources | undefined;
}

/** A bundle whose builtins need OPA's own starts that first. */
const LOAD_POLICY_MS = 30_000;

/** Whoever saves in a folder saves again soon; and a candidate for the shadow may be compiled at this moment. */
const staysWarm = ({ policy: { bundle, bundles, shadow } }: Config): boolean => shadow !== undefined || [bundle, ...bundles].some(({ directory }) => directory !== undefined);

const loadAndTry = async (config: Config, { archive: bundle, sources: rego, test }: PreparedBundle, spare: SpareThread, clock: Clock, load = policyOptions(config)): Promise<NextBundle> => {
  const { evaluationBudgetMs } = config.limits;
  const policy = await startBoundedPolicy(bundle, { load, evaluationBudgetMs, loadTimeoutMs: LOAD_POLICY_MS }, spare);
  try {
    await test?.();
    await tryPolicy(policy, { entrypoint: config.policy.entrypoint, clock, evaluationBudgetMs });
    return { bundle, policy, rego };
  } catch (error) {
    await policy.close();
    throw error;
  }
};

/** Rejects with what is wrong with the bundles, by name and with file and line where there is one. */
export const nextBundle = async (config: Config, bundles: readonly SourceBundle[], toolchain: KeptToolchain, clock: Clock): Promise<NextBundle> => {
  let spare = startSpareThread();
  const prepare = (everyRule: boolean): Promise<PreparedBundle> => prepareBundle(bundles, { entrypoints: entrypointsOf(config), everyRule, toolchain: toolchain.get });
  try {
    const everything = config.opa.enabled && !bundles.some(isCompiled) ? await prepare(true).catch(() => undefined) : undefined;
    if (everything !== undefined) {
      try {
        return await loadAndTry(config, everything, spare, clock, { ...policyOptions(config), opaBuiltins: false });
      } catch (error) {
        // A rule that decides nothing must not cost the bundle, nor OPA's own builtins.
        if (!(error instanceof PolicyRefused)) throw error;
        await spare.worker.terminate();
        spare = startSpareThread();
      }
    }
    // What its entrypoints leave aside may need what is refused: nothing but them is ever evaluated.
    const { bundle, policy } = await loadAndTry(config, await prepare(false), spare, clock);
    return { bundle, policy };
  } catch (error) {
    await spare.worker.terminate();
    throw error;
  } finally {
    if (!staysWarm(config)) await toolchain.letGo();
  }
};
