/** A stock OPA server with the same facts, in the version that toolchain/go.mod pins. */
import { spawn, type ChildProcess } from 'node:child_process';
import { copyFileSync, fstatSync, mkdirSync, openSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { selectorKey, workloadSelectors } from '../../src/domain/selector.ts';
import { grantSelectors } from '../../src/domain/grant-refs.ts';
import { specificity } from '../../src/domain/scope.ts';
import { repositoryRoot } from '../harness/run-bench.ts';
import { grantOf, workloadOf, type Filling } from '../support/fill-store.ts';
import { GRANTS_PER_WORKLOAD, isRevoked, type FilledStore } from '../support/filled-store.ts';
import { AUDIENCE, TRUST_DOMAIN } from '../support/workload-tokens.ts';
import { answers, freePort, stopProcess } from './processes.ts';

export interface OpaServer {
  readonly port: number;
  readonly version: string;
  readonly pid: number;
  /** Empties the decision log, where there is one. */
  emptyLog(): void;
  stop(): Promise<void>;
}

const ENTITLEMENTS = 50;
const TASKS = 1_000;
const READY_MS = 60_000;

/** The facts of a filled store, keyed for look-ups. Sequences: every grant before every revocation, as they were written. */
const dataOf = (store: FilledStore, jwks: string): object => {
  const filling: Filling = { ...store, realm: 'default' };
  const issuer = `spiffe://${TRUST_DOMAIN}`;
  const workloads: Record<string, object> = {};
  const endings: Record<string, object> = {};
  const revoke = (key: string): void => {
    endings[key] = { sequence: 2, at_ms: store.notBefore, suspended: false };
  };
  let revocations = 0;
  for (let workload = 0; workload < store.workloads; workload += 1) {
    const id = workloadOf(workload);
    const grants = Array.from({ length: GRANTS_PER_WORKLOAD }, (_, index) => {
      const grant = grantOf(filling, '', workload + index * store.workloads);
      const scopes = grant.scopes.map(({ actions, resource }) => ({
        type: resource.type, rank: specificity([{ actions, resource }], 'GET', { type: 'http', id: resource.id.replace(/\*\*$/, 'x') }), prefix: resource.id.replace(/\*\*$/, ''),
        actions: Object.fromEntries(actions.map((action) => [action, true])),
      }));
      return {
        id: grant.id, sequence: 1, model: grant.model, tier: grant.tier, scopes, conditions: grant.conditions, chain: grant.chain,
        not_before_ms: grant.notBefore, expires_at_ms: grant.expiresAt, task: grant.task, entitlement: grant.entitlement, ends: grantSelectors(grant).map(selectorKey),
      };
    });
    workloads[id] = { grants, ends: [...workloadSelectors(id).map(selectorKey), `issuer:${issuer}`, 'realm:default', 'pep:bench-gateway'] };
    if (isRevoked(store, workload)) {
      revoke(`workload:${id}`);
      revocations += 1;
    }
  }
  for (let index = 0; index < store.revocations - revocations; index += 1) revoke(`grant:gone-${index}`);
  return {
    jwks, issuer, audience: AUDIENCE, credential_skew_ms: 2_000, max_credential_age_ms: 3_600_000, uses: {}, freezes: [], forbidden: [], workloads, endings,
    tasks: Object.fromEntries(Array.from({ length: TASKS }, (_, index) => [`t-${index}`, { state: 'open', deadline_ms: store.expiresAt }])),
    entitlements: Object.fromEntries(Array.from({ length: ENTITLEMENTS }, (_, index) => [`shop-orders-${index}`, { tier: 'standard' }])),
  };
};

const config = ({ rememberedTokens, decisionLog }: Omit<OpaOptions, 'store' | 'jwks'>): object => ({
  ...(rememberedTokens === 0 ? {} : { caching: { inter_query_builtin_value_cache: { named: { io_jwt: { max_num_entries: rememberedTokens } } } } }),
  ...(decisionLog ? { decision_logs: { console: true } } : {}),
});

export interface OpaOptions {
  readonly store: FilledStore;
  readonly jwks: string;
  /** How many verified tokens it remembers; 0 is its default, none. */
  readonly rememberedTokens: number;
  /** Every decision with its input is written to a file, as its console logger does; nothing is masked in it, which would cost more. */
  readonly decisionLog: boolean;
  readonly folder: string;
  readonly name: string;
}

export const startOpa = (options: OpaOptions): Promise<OpaServer> => runOpa(options, dataOf(options.store, options.jwks), 'bench/http/opa/access.rego');

/** With these data and this rule, a file of the repository. */
export const runOpa = async (options: Omit<OpaOptions, 'store' | 'jwks'>, data: object, rule: string): Promise<OpaServer> => {
  const root = repositoryRoot();
  const { findOpa, OPA_VERSION } = (await import(pathToFileURL(join(root, 'scripts', 'opa.mjs')).href)) as { findOpa: () => string; OPA_VERSION: string };
  const folder = join(options.folder, options.name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'data.json'), JSON.stringify(data));
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config(options)));
  copyFileSync(join(root, rule), join(folder, 'access.rego'));
  const log = join(folder, 'decisions.log');
  const into = options.decisionLog ? openSync(log, 'a') : undefined;
  const port = await freePort();
  const child: ChildProcess = spawn(
    findOpa(),
    ['run', '--server', '--addr', `127.0.0.1:${port}`, '--config-file', 'config.json', '--optimize-store-for-read-speed', '--log-level', 'error', '--skip-version-check', 'data.json', 'access.rego'],
    { cwd: folder, stdio: into === undefined ? ['ignore', 'ignore', 'inherit'] : ['ignore', into, into] },
  );
  try {
    await answers(child, `http://127.0.0.1:${port}/health`, READY_MS);
  } catch (error) {
    await stopProcess(child);
    throw error;
  }
  return {
    port, version: OPA_VERSION, pid: child.pid ?? 0, stop: () => stopProcess(child),
    emptyLog: () => {
      if (into === undefined) return;
      // A log that is not written would make the comparison untrue.
      if (fstatSync(into).size === 0) throw new Error('OPA wrote no decision log');
      truncateSync(log);
    },
  };
};
