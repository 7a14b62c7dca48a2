/** From a bundle's bytes to the `Policy` that decisions use. */
import type { Policy } from '../decision/ports.ts';
import type { Instant } from '../domain/instant.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { entitlementFaults } from '../domain/lifecycle/entitlement.ts';
import { BundleRefused, quoted } from './bundle/bundle-refused.ts';
import { BUNDLE_LIMITS, type BundleLimits } from './bundle/limits.ts';
import { readBundle } from './bundle/read-bundle.ts';
import type { Builtin } from './builtins/builtin.ts';
import { builtinNamed, isRefused, whyNotServed } from './builtins/registry.ts';
import { createDocuments } from './documents.ts';
import { createEngine, type Engine, type EngineLimits } from './engine/engine.ts';
import { compileModule } from './engine/module.ts';
import { loadOpaBuiltins, type LoadedOpaBuiltins, type OpaBuiltins } from './toolchain/opa-builtins.ts';

export interface LoadPolicyOptions {
  /** Entrypoints that must be there. */
  readonly entrypoints: readonly string[];
  /**
   * Also serve what only OPA's own implementation has, when a bundle needs it and the toolchain is there: about 200 MB in this
   * process. Default false: such a bundle is refused.
   */
  readonly opaBuiltins?: boolean;
  /** Of the process's clock; bounds how long such builtins keep an evaluation waiting, instead of each call. */
  readonly monotonicMs?: () => number;
  /** How long that is; the default is for decisions. */
  readonly opaWaitMsMax?: number;
  readonly engine?: Partial<EngineLimits>;
  readonly bundle?: Partial<BundleLimits>;
}

export interface LoadedPolicy extends Policy {
  readonly entrypoints: readonly string[];
  /** Builtins that OPA's own implementation carries out, which is why it was loaded. */
  readonly opaBuiltins: readonly string[];
  /** By how much loading it had let this process grow; 0 when it was not needed. */
  readonly opaBuiltinsBytes: number;
  /** The bundle's `data.json`. */
  readonly data: JsonObject;
  /** Does the outcome depend on what stands at these places of the input (JSON Pointers)? True also when it can't be told. */
  readsAt(entrypoint: string, input: JsonObject, places: readonly string[], now: Instant): boolean;
}

export const ENGINE_LIMITS: EngineLimits = {
  memoryBytesMax: 64 * 1024 * 1024,
  memoryBytesMark: 16 * 1024 * 1024,
  inputBytesMax: 1024 * 1024,
  inputDepthMax: 64,
  resultBytesMax: 1024 * 1024,
};

/** All builtins needed, or a refusal that lists every one that isn't served, with the reason. */
export const resolveBuiltins = (needed: readonly string[], opa?: OpaBuiltins): ReadonlyMap<string, Builtin> => {
  const found = new Map<string, Builtin>();
  for (const name of needed) {
    const builtin = builtinNamed(name) ?? (isRefused(name) ? undefined : opa?.named(name));
    if (builtin !== undefined) found.set(name, builtin);
  }
  const unserved = needed.filter((name) => !found.has(name)).toSorted();
  if (unserved.length > 0) {
    throw new BundleRefused('builtins.unserved', `needs ${unserved.map((name) => `${name} (${whyNotServed(name)})`).join(', ')}`);
  }
  return found;
};

interface Started {
  readonly engine: Engine;
  readonly opaBuiltins: readonly string[];
  readonly opaBuiltinsBytes: number;
}

/** Rejects with a refusal that names what is needed. */
const loadForBundle = async (names: readonly string[], { monotonicMs, opaWaitMsMax: waitMsMax }: LoadPolicyOptions): Promise<LoadedOpaBuiltins> => {
  try {
    return await loadOpaBuiltins(names, { monotonicMs, waitMsMax });
  } catch (cause) {
    throw new BundleRefused('builtins.unserved', `needs ${names.join(', ')}, which only OPA's own implementation has: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
};

const startEngine = async (wasm: Uint8Array, dataText: string, limits: EngineLimits, options: LoadPolicyOptions): Promise<Started> => {
  try {
    const compiled = await compileModule(wasm);
    const missing = new Set<string>();
    const start = (opa?: OpaBuiltins): Engine =>
      createEngine(
        {
          ...compiled,
          dataText,
          resolveBuiltins: (needed) => {
            for (const name of needed) if (builtinNamed(name) === undefined) missing.add(name);
            return resolveBuiltins(needed, opa);
          },
        },
        limits,
      );
    try {
      return { engine: start(), opaBuiltins: [], opaBuiltinsBytes: 0 };
    } catch (error) {
      if (options.opaBuiltins !== true || missing.size === 0 || [...missing].some(isRefused)) throw error;
      const names = [...missing].toSorted();
      const opa = await loadForBundle(names, options);
      return { engine: start(opa), opaBuiltins: names, opaBuiltinsBytes: opa.residentBytes };
    }
  } catch (cause) {
    if (cause instanceof BundleRefused) throw cause;
    throw new BundleRefused('wasm.invalid', `policy.wasm: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
};

const FAULTS_MAX = 10;

const ownObject = (parent: JsonObject | undefined, name: string): JsonObject | undefined => {
  const member = parent !== undefined && Object.hasOwn(parent, name) ? parent[name] : undefined;
  return isJsonObject(member) ? member : undefined;
};

/** Reads, checks and starts a bundle; rejects with `BundleRefused`, and with nothing else. */
export const loadPolicy = async (archive: Uint8Array, options: LoadPolicyOptions): Promise<LoadedPolicy> => {
  const bundle = await readBundle(archive, { ...BUNDLE_LIMITS, ...options.bundle });
  const { engine, opaBuiltins, opaBuiltinsBytes } = await startEngine(bundle.wasm, bundle.dataText, { ...ENGINE_LIMITS, ...options.engine }, options);
  const missing = [...new Set([...bundle.entrypoints, ...options.entrypoints])].filter((name) => !engine.entrypoints.includes(name));
  if (missing.length > 0) throw new BundleRefused('entrypoint.missing', `has no entrypoint ${missing.map(quoted).join(', ')}`);
  const faults = entitlementFaults(bundle.data);
  if (faults.length > 0) throw new BundleRefused('entitlements.invalid', faults.slice(0, FAULTS_MAX).map(({ path, message }) => `${path} ${message}`).join('; '));
  const entitlements = ownObject(ownObject(bundle.data, 'curfew'), 'entitlements');
  return {
    revision: bundle.revision,
    digest: bundle.digest,
    entrypoints: engine.entrypoints,
    opaBuiltins,
    opaBuiltinsBytes,
    data: bundle.data,
    evaluate: (entrypoint, input, now) => engine.evaluate(entrypoint, input, now),
    document: createDocuments(engine, bundle.data),
    readsAt: (entrypoint, input, places, now) => engine.readsAt(entrypoint, input, places, now),
    entitlement: (id) => ownObject(entitlements, id),
    entitlementIds: () => Object.keys(entitlements ?? {}),
  };
};
