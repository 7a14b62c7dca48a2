/**
 * What a bundle is put through before it may decide, in a thread of its own: questions like those to come, each within the
 * budget of an evaluation, and its own tests where it was compiled with them. What it answers does not matter, that it does so does.
 */
import { ADMIN_ENTRYPOINT } from '../admin/admin-policy.ts';
import type { Clock } from '../decision/ports.ts';
import { toRfc3339, type Instant } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import { PolicyRefused, type BoundedPolicy } from './bounded-policy.ts';

export interface TrialOptions {
  readonly entrypoint: string;
  readonly clock: Clock;
  readonly evaluationBudgetMs: number;
}

/** Tests work harder than decisions and nobody waits for them. */
const TEST_BUDGETS = 20;
const TESTS_MS_MAX = 30_000;

const WORKLOAD = 'spiffe://trial.invalid/workload';

const grant = (now: Instant): JsonObject => ({
  id: 'trial', model: 'jit', scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'trial.invalid/**' } }],
  expires_at_ms: now + 60_000, until_ms: now + 60_000, owner: 'team:trial', tier: 'standard', justification: 'trial', direct: true, task: 'trial', reference: 'TRIAL-1',
});

const question = (now: Instant, grants: readonly JsonObject[]): JsonObject => ({
  attributes: { request: { http: { method: 'GET', path: '/trial', host: 'trial.invalid', headers: { host: 'trial.invalid' }, scheme: 'https' } } },
  parsed_path: ['trial'], parsed_query: {}, parsed_body: null, truncated_body: false, version: { encoding: 'protojson', ext_authz: 'v3' },
  curfew: {
    now: toRfc3339(now), now_ms: now, realm: 'default', protocol: 'forward-auth', pep: null,
    action: 'GET', resource: { type: 'http', id: 'trial.invalid/trial' },
    subject: { id: WORKLOAD, kind: 'jwt-svid', trust_domain: 'trial.invalid' },
    credential: { issuer: 'spiffe://trial.invalid', kind: 'jwt-svid', audience: ['trial'], claims: { sub: WORKLOAD }, expires_at_ms: now + 60_000, confirmed: {} },
    grants, tasks: grants.length === 0 ? [] : [{ id: 'trial', kind: 'ci', state: 'open', owner: 'team:trial' }],
  },
});

const command = (now: Instant): JsonObject => ({
  curfew: { now: toRfc3339(now), now_ms: now, realm: 'default', command: 'grant.issue', target: {}, operator: { id: 'user:trial', roles: ['issuer'], groups: [] } },
});

const isTest = (entrypoint: string): boolean => /(?:^|\/)test_[^/]*$/.test(entrypoint);

/** Rejects with `PolicyRefused`; the policy must then be closed. */
export const tryPolicy = async (policy: BoundedPolicy, { entrypoint, clock, evaluationBudgetMs }: TrialOptions): Promise<void> => {
  const refuse = (what: string, why: string): never => {
    throw new PolicyRefused(`bundle refused: ${what}: ${why}`);
  };
  const now = clock.now().latest;
  const trials: readonly (readonly [entrypoint: string, input: JsonObject])[] = [
    [entrypoint, question(now, [grant(now)])],
    [entrypoint, question(now, [])],
    ...(policy.entrypoints.includes(ADMIN_ENTRYPOINT) ? [[ADMIN_ENTRYPOINT, command(now)] as const] : []),
  ];
  for (const [asked, input] of trials) {
    const outcome = await policy.attempt(asked, input, now, evaluationBudgetMs);
    if (outcome.kind === 'failed') refuse(`a trial of ${asked}`, outcome.detail);
  }
  const begunMs = clock.monotonicMs();
  for (const test of policy.entrypoints.filter(isTest)) {
    if (clock.monotonicMs() - begunMs > TESTS_MS_MAX) refuse('its tests', `take longer than ${TESTS_MS_MAX} ms`);
    const outcome = await policy.attempt(test, {}, now, TEST_BUDGETS * evaluationBudgetMs);
    if (outcome.kind === 'value' && outcome.value === true) continue;
    refuse(`test ${test}`, outcome.kind === 'failed' ? outcome.detail : 'failed');
  }
};
