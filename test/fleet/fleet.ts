/** A fleet of the real program: nodes that share a store, people who issue and revoke, a workload that asks. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { bundleOf, jwksOf, newKey, signed } from '../identity/forge.ts';
import { startCurfew, temporaryDirectory, type Curfew } from '../runtime/curfew.ts';

const LOGIN = 'https://login.example.org';
const WORKLOAD = 'spiffe://example.org/ci/deployer';

const WHO: Readonly<Record<OperatorRole, readonly [person: string, group: string]>> = { issuer: ['ines', 'issuers'], responder: ['rita', 'responders'], requester: ['sam', 'shop'], approver: ['rob', 'release'] };

const configOf = (store: string, limits: string, more = ''): string => `
store: ${store}
limits: {decisionDeadlineMs: 10000${limits}}
decisionLog: {to: file, path: decisions.jsonl}
admin:
  operators:
    issuers: [${LOGIN}]
    groups: {issuers: {roles: [issuer]}, responders: {roles: [responder]}, shop: {roles: [issuer], team: team:shop}, release: {roles: [approver], team: team:release}}
    persons: {oidc:login.example.org/rita: user:rita, oidc:login.example.org/ines: user:ines, oidc:login.example.org/sam: user:sam, oidc:login.example.org/rob: user:rob}
identity:
  issuers:
    - {kind: spiffe, trustDomain: example.org, audiences: [curfew], bundle: {file: mesh.json}}
    - {kind: oidc, issuer: ${LOGIN}, audiences: [curfew-admin], keys: {file: login.json}}
${more}`;

export interface Answer {
  readonly status: number;
  readonly body: any;
}

export interface FleetOptions {
  /** More of `limits`, YAML in one line; or of each node's, whenever it is started. */
  readonly limits?: string | ((index: number) => string);
  /** More of the configuration, YAML. */
  readonly more?: string;
  /** More of the configuration of a node, YAML; absent: owners need not be in the directory. A build before that setting refuses it. */
  readonly ofNode?: (index: number) => string;
  /** Each node is started when the one before it runs. */
  readonly inTurns?: boolean;
  /** Another build of the program, or one for each node. */
  readonly entry?: string | ((index: number) => string | undefined);
  readonly workers?: number;
  /** Of one node's processes. */
  readonly env?: (index: number) => Readonly<Record<string, string>>;
  /** The store of a node, YAML in one line; absent: Redis, by its settings. */
  readonly store?: (index: number) => string;
}

/** `requester`: of the team that may ask for shop-deploy, for workloads of its pipelines; `approver`: of the one that approves it. */
export type OperatorRole = 'issuer' | 'responder' | 'requester' | 'approver';

export interface Fleet {
  readonly nodes: readonly Curfew[];
  /** Starts a node again that has ended, in the directory that it had. */
  restart(index: number): Promise<void>;
  directory(index: number): string;
  /** A credential of a workload, for 5 minutes. */
  credential(workload?: string): string;
  /** The admin API as an operator. */
  admin(node: Curfew, role: OperatorRole, method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Answer>;
  /** The status of one question of the workload, with a new credential. */
  ask(node: Curfew): Promise<number>;
  /** The whole answer. */
  answer(node: Curfew, credential?: string): ReturnType<Curfew['ask']>;
  /** A grant for what is asked, with more terms; resolves to its id. */
  issue(node: Curfew, more?: object): Promise<string>;
  revoke(node: Curfew, grant: string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** The responder reads. */
  read(node: Curfew, path: string): Promise<Answer>;
  administers(node: Curfew): Promise<boolean>;
  stop(): Promise<void>;
}

/** `redis`: settings of `store.redis` as YAML in one line. */
export const startFleet = async (redis: string, size = 2, options: FleetOptions = {}): Promise<Fleet> => {
  const [meshKey, loginKey] = [newKey('ES256', 'm1'), newKey('RS256', 'l1')];
  const seconds = (): number => Math.floor(Date.now() / 1_000);
  const svid = (workload = WORKLOAD): string => signed({ alg: 'ES256', kid: 'm1', typ: 'JWT' }, { sub: workload, aud: 'curfew', iat: seconds() - 5, exp: seconds() + 300 }, meshKey);
  const operator = (sub: string, ...groups: string[]): string =>
    signed({ alg: 'RS256', kid: 'l1', typ: 'JWT' }, { iss: LOGIN, sub, aud: 'curfew-admin', groups, iat: seconds() - 5, exp: seconds() + 300 }, loginKey);
  const directories = Array.from({ length: size }, temporaryDirectory);
  const entryOf = (index: number): { readonly entry?: string } => {
    const entry = typeof options.entry === 'function' ? options.entry(index) : options.entry;
    return entry === undefined ? {} : { entry };
  };
  const limitsOf = (index: number): string => {
    const limits = typeof options.limits === 'function' ? options.limits(index) : (options.limits ?? '');
    return limits === '' ? '' : `, ${limits}`;
  };
  const start = (index: number): Promise<Curfew> =>
    startCurfew({
      directory: (directories[index] as { readonly path: string }).path,
      config: configOf(options.store?.(index) ?? `{kind: redis, redis: ${redis}}`, limitsOf(index), `${options.ofNode?.(index) ?? 'lifecycle: {directory: {required: false}}'}\n${options.more ?? ''}`),
      ...entryOf(index),
      ...(options.workers === undefined ? {} : { workers: options.workers }),
      ...(options.env === undefined ? {} : { env: options.env(index) }),
    });
  for (const { path } of directories) {
    writeFileSync(join(path, 'mesh.json'), JSON.stringify(bundleOf(meshKey)));
    writeFileSync(join(path, 'login.json'), JSON.stringify(jwksOf(loginKey)));
  }
  const nodes: Curfew[] = [];
  if (options.inTurns === true) {
    for (const index of directories.keys()) {
      nodes.push(await start(index).catch(async (error: unknown) => {
        await Promise.all(nodes.map((node) => node.stop()));
        for (const { remove } of directories) remove();
        throw error;
      }));
    }
  } else nodes.push(...(await Promise.all([...directories.keys()].map(start))));

  const admin = async (node: Curfew, credential: string, method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}, signal?: AbortSignal): Promise<Answer> => {
    const response = await fetch(`http://127.0.0.1:${node.ports.admin}/v1${path}`, {
      ...(signal === undefined ? {} : { signal }),
      method, headers: { ...headers, authorization: `Bearer ${credential}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  };
  const answer = (node: Curfew, credential = svid()) => node.ask(credential, '/deploy/1', { 'x-forwarded-method': 'POST' });
  const read = (node: Curfew, path: string): Promise<Answer> => admin(node, operator('rita', 'responders'), 'GET', path);
  return {
    nodes, answer, read,
    restart: async (index) => { nodes[index] = await start(index); },
    directory: (index) => (directories[index] as { readonly path: string }).path,
    credential: svid,
    admin: (node, role, method, path, body, signal) => admin(node, operator(...WHO[role]), method, path, body, {}, signal),
    ask: async (node) => (await answer(node)).status,
    issue: async (node, more = {}) => {
      const ines = operator('ines', 'issuers');
      const task = await admin(node, ines, 'POST', '/tasks', { kind: 'ci-run', owner: 'team:shop', reference: 'RUN-1' });
      const grant = await admin(node, ines, 'POST', '/grants', {
        workload: WORKLOAD, model: 'jit', entitlement: 'shop-deploy', task: task.body.id, ttlMs: 600_000, owner: 'team:shop', justification: 'release',
        scopes: [{ actions: ['POST'], resource: { type: 'http', id: 'shop.local/deploy/**' } }], ...more,
      });
      expect([task.status, grant.status]).toEqual([201, 201]);
      return grant.body.id;
    },
    revoke: (node, grant, headers) => admin(node, operator('rita', 'responders'), 'POST', '/revocations', { selector: { kind: 'grant', value: grant }, reason: 'over' }, headers),
    administers: async (node) => (await read(node, '/grants')).status === 200,
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
      for (const { remove } of directories) remove();
    },
  };
};
