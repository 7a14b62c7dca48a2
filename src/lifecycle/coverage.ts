/**
 * Which enforcement points and systems end access at once and which don't, the riskiest first, and what canaries have shown of them. A system that asks
 * only now and then, or never, is not called covered; one that an entitlement names and nobody has described is worst, since nothing is known of it.
 */
import type { StandingEntry } from '../decision/standing.ts';
import type { Instant } from '../domain/instant.ts';
import { canaryRef, readCanary, type CanaryResult } from '../domain/lifecycle/canary-rules.ts';
import type { Store } from '../store/port.ts';
import type { LifecycleConfig } from './config.ts';

export interface Covered {
  /** `-`: enforcement points without a name. */
  readonly pep: string;
  readonly configured: boolean;
  /** `observing`: it lets through what would be denied, by these entries, until they end. */
  readonly mode: 'enforcing' | 'observing';
  readonly observe: readonly { readonly entry: string; readonly end: Instant }[];
  /** Last use of a grant of this period through it; absent: none was noted. */
  readonly lastUsedAt?: Instant;
  /** The worst of its canaries; absent: none was run. */
  readonly canary?: CanaryResult;
}

export interface CanaryShown {
  readonly canary: string;
  readonly pep: string;
  /** `none`: it was not run yet. */
  readonly result: CanaryResult | 'none';
  readonly detail?: string;
  readonly at?: Instant;
  readonly endedAt?: Instant;
  readonly flipMs?: number;
}

/** The riskiest first. */
export const SYSTEM_MODES = ['unknown', 'never-asks', 'observing', 'advisory', 'enforcing'] as const;

export interface SystemCovered {
  readonly system: string;
  /** `unknown`: an entitlement names it, and the inventory does not. */
  readonly mode: (typeof SYSTEM_MODES)[number];
  readonly tier: string;
  readonly owner?: string;
  readonly peps: readonly string[];
  /** Longest grant of an entitlement that names it: access there ends within that, whatever the system does. */
  readonly maxGrantMs?: number;
  readonly reason?: string;
  /** Grants of entitlements that name it, which had not ended when the period did. */
  readonly live: number;
}

export interface CoverageDeps {
  readonly store: Pick<Store, 'read'>;
  readonly peps: readonly { readonly id: string; readonly realms: readonly string[] }[];
  readonly standing: readonly StandingEntry[];
  readonly canaries: readonly { readonly id: string; readonly pep: string; readonly realm: string }[];
  readonly systems: LifecycleConfig['systems'];
  readonly tiers: LifecycleConfig['caps']['tiers'];
  /** Systems that an entitlement of the active bundle names. */
  readonly downstreamOf: (entitlement: string) => readonly string[];
  readonly entitlementIds: () => readonly string[];
}

export interface Coverage {
  readonly coverage: readonly Covered[];
  readonly canaries: readonly CanaryShown[];
  readonly systems: readonly SystemCovered[];
}

const worst = (results: readonly CanaryResult[]): CanaryResult | undefined => (['open', 'unproven', 'ended'] as const).find((one) => results.includes(one));

export const createCoverage = ({ store, peps, standing, canaries, systems, tiers, downstreamOf, entitlementIds }: CoverageDeps) => {
  const shown = async (realm: string): Promise<readonly CanaryShown[]> => {
    const own = canaries.filter((canary) => canary.realm === realm);
    const records = await store.read(realm, own.map(({ id }) => canaryRef(id)));
    return own.map(({ id, pep }, index): CanaryShown => {
      const state = readCanary(records[index]?.value);
      if (state === undefined) return { canary: id, pep, result: 'none' };
      const { result, detail, at, endedAt, flipMs } = state;
      return { canary: id, pep, result, detail, at, ...(endedAt === undefined ? {} : { endedAt }), ...(flipMs === undefined ? {} : { flipMs }) };
    });
  };
  const observedBy = (realm: string, pep: string, now: Instant): Covered['observe'] =>
    standing
      .filter((entry) => entry.observe && now < entry.end && (entry.match.realms?.includes(realm) ?? true) && (entry.match.peps?.includes(pep) ?? true))
      .map(({ id, end }) => ({ entry: id, end }));

  const covered = (realm: string, now: Instant, lastUsed: ReadonlyMap<string, Instant>, results: readonly CanaryShown[]): readonly Covered[] => {
    const known = peps.filter(({ realms }) => realms.includes(realm)).map(({ id }) => id);
    const unknown = [...lastUsed.keys()].filter((id) => !known.includes(id));
    return [...known, ...unknown].map((pep, index): Covered => {
      const observe = observedBy(realm, pep, now);
      const lastUsedAt = lastUsed.get(pep);
      const canary = worst(results.flatMap((one) => (one.pep === pep && one.result !== 'none' ? [one.result] : [])));
      return {
        pep, configured: index < known.length, mode: observe.length === 0 ? 'enforcing' : 'observing', observe,
        ...(lastUsedAt === undefined ? {} : { lastUsedAt }), ...(canary === undefined ? {} : { canary }),
      };
    });
  };

  /** How sensitive a tier is: by how short its grants must be; one that is not listed is the most sensitive. */
  const longestOf = (tier: string): number => (Object.hasOwn(tiers, tier) ? (tiers[tier]?.maxTtlMs['time-boxed'] ?? 0) : 0);
  const inventory = (realm: string, now: Instant, liveBy: ReadonlyMap<string, number>): readonly SystemCovered[] => {
    const live = new Map<string, number>();
    for (const id of new Set([...entitlementIds(), ...liveBy.keys()])) for (const name of downstreamOf(id)) live.set(name, (live.get(name) ?? 0) + (liveBy.get(id) ?? 0));
    const unknown = [...live.keys()].filter((name) => !Object.hasOwn(systems, name)).map((system): SystemCovered => ({ system, mode: 'unknown', tier: '', peps: [], live: live.get(system) ?? 0 }));
    const known = Object.entries(systems).map(([system, { asks, tier, owner, peps: by, maxGrantMs, reason }]): SystemCovered => {
      const mode = asks === 'never' ? 'never-asks' : by.some((pep) => observedBy(realm, pep, now).length > 0) ? 'observing' : asks === 'each-use' ? 'enforcing' : 'advisory';
      return { system, mode, tier, owner, peps: by, live: live.get(system) ?? 0, ...(maxGrantMs === undefined ? {} : { maxGrantMs }), ...(reason === undefined ? {} : { reason }) };
    });
    return [...unknown, ...known].toSorted((a, b) =>
      SYSTEM_MODES.indexOf(a.mode) - SYSTEM_MODES.indexOf(b.mode) || longestOf(a.tier) - longestOf(b.tier) || (b.maxGrantMs ?? 0) - (a.maxGrantMs ?? 0) || b.live - a.live || a.system.localeCompare(b.system));
  };

  return async (realm: string, now: Instant, lastUsed: ReadonlyMap<string, Instant>, liveBy: ReadonlyMap<string, number>): Promise<Coverage> => {
    const results = await shown(realm);
    return { coverage: covered(realm, now, lastUsed, results), canaries: results, systems: inventory(realm, now, liveBy) };
  };
};
export type MakeCoverage = ReturnType<typeof createCoverage>;
