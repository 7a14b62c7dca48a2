/** `decide` as a worker composes it: LMDB on disk, the bundle's WASM, verified tokens, records encoded into a file. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { openDecisionSink } from '../../src/audit/open-sink.ts';
import { decisionLogConfig } from '../../src/audit/config.ts';
import { createDecider, type Decider } from '../../src/decision/decide.ts';
import { factsRequest } from '../../src/decision/gather.ts';
import type { Authenticator, Clock } from '../../src/decision/ports.ts';
import type { Evaluation } from '../../src/decision/evaluation.ts';
import { recorded } from '../../src/decision/recorded.ts';
import type { DurationMs } from '../../src/domain/instant.ts';
import { endingRef } from '../../src/domain/grant-refs.ts';
import { workloadSelectors } from '../../src/domain/selector.ts';
import { forwardAuth } from '../../src/gateways/http/protocols.ts';
import { httpEvaluation, type HttpContext } from '../../src/gateways/http/evaluation.ts';
import { httpRules } from '../../src/gateways/http-question.ts';
import { createAuthenticator } from '../../src/identity/authenticator.ts';
import { identityConfig } from '../../src/identity/config.ts';
import { loadPolicy } from '../../src/policy/load-policy.ts';
import { openEmbeddedStore } from '../../src/store/embedded/open.ts';
import { createClock } from '../../src/time/clock.ts';
import type { FilledStore } from '../support/filled-store.ts';
import { issuerConfigOf } from '../support/workload-tokens.ts';

/** One authenticator, as a process has it, whatever number of stores is measured beside one another. */
export interface BenchIdentity {
  readonly clock: Clock;
  readonly authenticator: Authenticator;
  /** Verifies a token now, so that decisions find it remembered. */
  remember(token: string): Promise<void>;
  close(): void;
}

export const createBenchIdentity = async (jwks: string, rememberedTokensMax: number): Promise<BenchIdentity> => {
  const clock = createClock({ maxClockStepMs: 60_000 });
  const config = identityConfig.parse({ rememberedTokensMax });
  const authenticator = createAuthenticator({ ...config, issuers: [issuerConfigOf(jwks)] }, { clock });
  await authenticator.ready();
  return {
    clock, authenticator,
    close: () => authenticator.close(),
    remember: async (token) => {
      const { ok } = await authenticator.authenticate({ kind: 'bearer', token }, { realm: 'default', now: clock.now() });
      if (!ok) throw new Error('a token of the bench was not accepted');
    },
  };
};

export interface BenchDecider extends Pick<Decider, 'decide'> {
  /** Reads the facts of a workload as a decision would, and lets go of them. */
  read(workload: string): void;
  /** Waits until every record taken so far is written. */
  flush(): Promise<void>;
  /** Closes everything; throws when a record was lost. */
  close(): Promise<void>;
}

export type BenchLog = 'off' | 'drop-counted' | 'block';

export interface BenchDeciderOptions {
  readonly store: FilledStore;
  readonly bundle: Uint8Array;
  readonly identity: BenchIdentity;
  /** Folder for the decision log. */
  readonly folder: string;
  /** Default: as configured by default, into a file. */
  readonly log?: BenchLog;
}

const ENTRYPOINT = 'curfew/access/decision';

export const createBenchDecider = async (options: BenchDeciderOptions): Promise<BenchDecider> => {
  const { clock, authenticator } = options.identity;
  const store = await openEmbeddedStore({ path: options.store.path, mode: 'production', clock });
  const policy = await loadPolicy(options.bundle, { entrypoints: [ENTRYPOINT] });
  const path = join(options.folder, `decisions-${randomUUID()}.jsonl`);
  const { log = 'drop-counted' } = options;
  const sink = openDecisionSink(decisionLogConfig.parse({ to: 'file', path, ...(log === 'off' ? {} : { pressure: log }) }), { waitMs: 10_000 });
  const { decide } = recorded(log === 'off' ? { write: () => undefined } : sink, clock, createDecider({
    clock, store, authenticator, sink: log === 'off' ? { write: () => undefined } : sink,
    policy: () => policy,
    entrypoint: ENTRYPOINT,
    quarantine: { enter: () => true, leave: () => undefined },
    limits: { decisionDeadlineMs: 10_000 as DurationMs, maxFactsAgeMs: 10_000 as DurationMs, credentialSkewMs: 2_000, pepCacheMaxMs: 0, policyMaySet: [] },
    realms: new Set(['default']),
    standing: [],
  }));
  return {
    decide,
    read: (workload) => {
      const now = clock.now();
      store.facts(factsRequest({ realm: 'default', workload, keys: workloadSelectors(workload).map(endingRef), now, action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' } }));
    },
    flush: () => sink.flush(),
    close: async () => {
      await sink.close(10_000);
      const { dropped, failures } = sink.stats();
      await store.close();
      rmSync(path, { force: true });
      if (dropped + failures > 0) throw new Error(`the decision log lost ${dropped} records, ${failures} writes failed`);
    },
  };
};

const context: HttpContext = {
  authenticatePep: () => ({ ok: true, pep: { id: 'bench-gateway', obligations: [] }, config: undefined }),
  rulesFor: httpRules([]),
  realm: undefined,
  subject: undefined,
};

/** What the forward-auth endpoint makes of a request with the headers a gateway passes on. */
export const evaluationOf = (token: string, path: string): Evaluation => {
  const headers = new Map(
    Object.entries({
      authorization: `Bearer ${token}`, 'x-forwarded-method': 'GET', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.local', 'x-forwarded-uri': path,
      'x-forwarded-for': '192.0.2.7', 'user-agent': 'bench/1', accept: '*/*',
    }).map(([name, value]) => [name, [value]]),
  );
  const request = { method: 'GET', target: '/forward-auth', headers, tooManyHeaders: false, tooLarge: false, evidence: { listener: { id: 'http', reach: 'loopback' } as const } };
  return httpEvaluation(randomUUID(), request, forwardAuth, context);
};
