/** The lifecycle's own commands on a node's store, from a process beside it: what a bench issues and ends. */
import { lifecycleConfig } from '../../src/lifecycle/config.ts';
import type { Done } from '../../src/lifecycle/execute.ts';
import { createLifecycle, type Call } from '../../src/lifecycle/lifecycle.ts';
import { openEmbeddedStore } from '../../src/store/embedded/open.ts';
import { embeddedStoreConfig } from '../../src/store/embedded/config.ts';
import { createClock } from '../../src/time/clock.ts';

const CALL: Call = { realm: 'default', actor: { kind: 'operator', id: 'user:bench' } };

export const openOwnLifecycle = async (path: string) => {
  const clock = createClock({ maxClockStepMs: 60_000 });
  const { mapSizeBytes } = embeddedStoreConfig.parse({ path });
  const store = await openEmbeddedStore({ path, mode: 'production', clock, mapSizeBytes });
  const lifecycle = createLifecycle({
    store, clock, config: lifecycleConfig.parse({}), policy: () => ({ revision: 'bench-1', entitlement: () => undefined, evaluate: () => ({ kind: 'value', value: { allow: true } }) }), development: true, enforcementMs: 0,
  });
  return {
    store, clock,
    close: () => store.close(),
    /** The id of a new grant; `number` gives it one of a thousand workloads. Throws when it was refused. */
    issue: async (number: number): Promise<string> => {
      const executed = await lifecycle.issueGrant(CALL, {
        workload: `spiffe://bench.local/churn/${number % 1_000}`, model: 'time-boxed', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/churn/**' } }],
        ttlMs: 600_000, owner: 'team:bench', justification: 'measured', reference: 'BENCH-1',
      });
      if (!executed.ok) throw new Error(executed.failure.detail);
      return (executed.reply['grant'] as { id: string }).id;
    },
    /** Ends the grant, for good. Throws when it was refused. */
    end: async (grant: string): Promise<Done> => {
      const executed = await lifecycle.revoke(CALL, { selector: { kind: 'grant', value: grant }, reason: 'measured' }, true);
      if (!executed.ok) throw new Error(executed.failure.detail);
      return executed;
    },
  };
};
