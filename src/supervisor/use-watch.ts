/** Alerts of what access logs tell: uses that nobody allowed, and access that was used or tried after its end. */
import { join } from 'node:path';
import { watchUses } from '../audit/watch-uses.ts';
import { defaultRealm, type Core } from '../compose.ts';
import { raise } from '../domain/alert.ts';
import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import type { Rounds } from '../lifecycle/rounds.ts';

const ACTOR = { kind: 'system', id: 'system:access-logs' } as const;

/** Nothing where no access log is configured. */
export const openUseWatch = ({ config, clock }: Pick<Core, 'config' | 'clock'>, lifecycle: Pick<Lifecycle, 'raiseOnce'>, onError: (error: unknown) => void): readonly Rounds[] => {
  const { accessLogs, decisionLog, store, realms } = config;
  if (accessLogs.systems.length === 0 || decisionLog.path === undefined) return [];
  return [watchUses({
    config: accessLogs,
    decisions: { path: decisionLog.path, tailBytes: decisionLog.tailBytesMax },
    markPath: (index) => join(store.path, `access-log-${index}.read`),
    monotonicMs: clock.monotonicMs, onError,
    tell: async ({ type, cause, realm = defaultRealm(config), data }) => {
      await lifecycle.raiseOnce({ realm: realms.includes(realm) ? realm : defaultRealm(config), actor: ACTOR }, (now) => raise(type, cause, now, data));
    },
  })];
};
