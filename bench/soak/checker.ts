/**
 * Ends access all the time while a server is under load, and asks: what was sent after `revoke` returned (I2) or at and after the end of the grant (I1) must be denied, and what is granted must be
 * allowed again, or nothing was shown. A light form of the history checker, for benches.
 */
import { lifecycleConfig } from '../../src/lifecycle/config.ts';
import { createLifecycle, type Call } from '../../src/lifecycle/lifecycle.ts';
import { embeddedStoreConfig } from '../../src/store/embedded/config.ts';
import { openEmbeddedStore } from '../../src/store/embedded/open.ts';
import { createClock } from '../../src/time/clock.ts';
import { askOnce } from '../http/ask.ts';
import { workloadOf } from '../support/fill-store.ts';
import type { FilledStore } from '../support/filled-store.ts';
import type { BenchIssuer } from '../support/workload-tokens.ts';

export interface Checked {
  readonly revoked: number;
  readonly expired: number;
  /** Questions that had to be denied. */
  readonly denied: number;
  /** An allow where none may be: one sentence each. */
  readonly violations: readonly string[];
}

export interface Checker {
  /** Begins and ends grants until stopped. */
  run(): Promise<void>;
  stop(): Promise<Checked>;
}

const CALL: Call = { realm: 'default', actor: { kind: 'operator', id: 'user:bench' } };
const TTL_MS = 1_500;
const AFTER = 5;
/** Workloads that nobody else asks about. */
const PROBES = 500;

export const startChecker = async (store: FilledStore, port: number, issuer: Pick<BenchIssuer, 'tokenOf'>): Promise<Checker> => {
  const clock = createClock({ maxClockStepMs: 60_000 });
  const { mapSizeBytes } = embeddedStoreConfig.parse({ path: store.path });
  const opened = await openEmbeddedStore({ path: store.path, mode: 'production', clock, mapSizeBytes });
  const lifecycle = createLifecycle({
    store: opened, clock, config: lifecycleConfig.parse({}), policy: () => ({ revision: 'bench-1', entitlement: () => undefined, evaluate: () => ({ kind: 'value', value: { allow: true } }) }), development: true, enforcementMs: 0,
  });
  const counts = { revoked: 0, expired: 0, denied: 0 };
  const violations: string[] = [];
  let stopped = false;

  const allowed = (token: string): Promise<boolean> => askOnce(port, token);
  const mustDeny = async (token: string, why: string): Promise<void> => {
    for (let asked = 0; asked < AFTER; asked += 1) {
      counts.denied += 1;
      if (await allowed(token)) violations.push(why);
    }
  };

  const once = async (index: number): Promise<void> => {
    const probe = store.workloads + (index % PROBES);
    const token = issuer.tokenOf(probe);
    const executed = await lifecycle.issueGrant(CALL, {
      workload: workloadOf(probe), model: 'time-boxed', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/orders/**' } }],
      ttlMs: TTL_MS, owner: 'team:bench', justification: 'checked', reference: 'BENCH-1',
    });
    if (!executed.ok) throw new Error(executed.failure.detail);
    const { id } = executed.reply['grant'] as { readonly id: string };
    const endsMs = Date.now() + TTL_MS;
    // Under load an answer may come too late, and is a denial then; it must not be one always.
    let seen = false;
    while (!seen && Date.now() < endsMs) seen = await allowed(token);
    if (index % 2 === 0) {
      const revoked = await lifecycle.revoke(CALL, { selector: { kind: 'grant', value: id }, reason: 'checked' }, true);
      if (!revoked.ok) throw new Error(revoked.failure.detail);
      if (seen) counts.revoked += 1;
      await mustDeny(token, `an allow for ${id} after its revocation had returned`);
    } else {
      // A moment more than its end: it began a moment before it was known here.
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, endsMs - Date.now())));
      if (seen) counts.expired += 1;
      await mustDeny(token, `an allow for ${id} after its end`);
    }
  };
  let running: Promise<void> = Promise.resolve();
  let ended: Promise<Checked> | undefined;
  const end = async (): Promise<Checked> => {
    stopped = true;
    try {
      await running;
    } finally {
      await opened.close();
    }
    return { ...counts, violations };
  };
  return {
    run: () => (running = (async () => {
      for (let index = 0; !stopped; index += 1) await once(index);
    })()),
    stop: () => (ended ??= end()),
  };
};
