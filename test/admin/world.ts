/** The admin API in one process over the real store, asked through its fetch function; tokens name principals. */
import { createAdminApp, type AdminDeps } from '../../src/admin/app.ts';
import type { Principal } from '../../src/admin/principal.ts';
import { ROLES, type Role } from '../../src/domain/lifecycle/roles.ts';
import { createPeriodReport } from '../../src/lifecycle/period-report.ts';
import { createReports } from '../../src/lifecycle/reports.ts';
import { createWorld as createLifecycleWorld, type World as LifecycleWorld } from '../lifecycle/world.ts';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: any;
  readonly text: string;
}

export interface AdminWorld extends LifecycleWorld {
  readonly app: ReturnType<typeof createAdminApp>;
  readonly errors: unknown[];
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>;
}

const person = (name: string, roles: readonly Role[], persons: readonly string[] = []): Principal => ({
  kind: 'operator', id: `user:${name}`, roles, groups: [], persons: [`user:${name}`, ...persons],
});

/** Bearer tokens of the tests. */
export const OPERATORS: Readonly<Record<string, Principal>> = {
  all: { ...person('dev', ROLES), kind: 'development' },
  issuer: person('ines', ['issuer']),
  approver: person('abe', ['approver']),
  responder: person('rita', ['responder']),
  responder2: person('rob', ['responder']),
  'shop-responder': person('sam', ['responder'], ['team:shop']),
  configurer: person('carl', ['configurer']),
  nobody: person('ned', []),
  bootstrap: { kind: 'bootstrap', id: 'bootstrap', roles: ['configurer'], groups: [], persons: ['bootstrap'] },
};

export const createAdminWorld = async (over: Partial<AdminDeps> = {}, lifecycle: Parameters<typeof createLifecycleWorld>[0] = {}): Promise<AdminWorld> => {
  const world = await createLifecycleWorld(lifecycle);
  const errors: unknown[] = [];
  const reports = createReports({ store: world.store, clock: world.clock, policy: () => world.at.policy, standing: [], exceptions: [], orphans: world.config.orphans });
  const app = createAdminApp({
    guard: { allowedHosts: [], allowedOrigins: [] }, realms: new Set(['default', 'other']), defaultRealm: 'default',
    authenticate: async (token) => OPERATORS[token], policy: () => world.at.policy, clock: world.clock, onError: (error) => errors.push(error),
    entitlements: () => world.at.policy, lifecycle: world.lifecycle, requests: world.requests, directory: world.directory, breakGlass: { keys: [], open: true, now: () => world.clock.now().latest }, inspect: world.inspect, store: world.store, explain: async () => ({}), findDecision: async () => undefined, version: 'test',
    status: async (realm) => ({ realm }),
    record: { store: world.store, keyId: 'k', publicJwk: { kty: 'OKP' }, rollback: 'undetectable' },
    reports, periodReport: createPeriodReport({ store: world.store, clock: world.clock, reports, coverage: async () => ({ coverage: [], canaries: [], systems: [] }) }),
    drillEveryMs: 90 * 24 * 3_600_000,
    refreshBundles: async () => ({ result: 'unchanged', revision: 'r1', digest: 'd1' }),
    resetClock: (call, reason) => world.lifecycle.resetClock(call, { reason, behindMs: 0 }),
    ...over,
  });
  return {
    ...world, app, errors,
    ask: async (method, path, body, headers = {}) => {
      const init: RequestInit = {
        method,
        headers: { host: 'localhost:8182', authorization: 'Bearer all', ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      };
      const response = await app.request(`http://localhost:8182${path}`, init);
      const text = await response.text();
      return { status: response.status, headers: response.headers, text, body: text.startsWith('{') ? JSON.parse(text) : undefined };
    },
  };
};
