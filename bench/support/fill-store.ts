/**
 * Fills an embedded store with many grants, through the store's own commits: what benches measure is what users would have.
 * Grants are spread over workloads in turn, so `workloads = grants / 3` gives each workload three.
 */
import { grantRef, grantRefs, taskRef } from '../../src/domain/grant-refs.ts';
import type { Grant } from '../../src/domain/grant.ts';
import type { Instant } from '../../src/domain/instant.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import type { Commit, Store } from '../../src/store/port.ts';

export interface Filling {
  readonly realm: string;
  readonly grants: number;
  readonly workloads: number;
  /** How many revocations of other grants there are. */
  readonly revocations: number;
  readonly notBefore: Instant;
  readonly expiresAt: Instant;
  /** The event of an issue is the product's own, with the whole grant, and about its task too; otherwise it is a small one. */
  readonly wholeEvents?: boolean;
}

const GRANTS_PER_COMMIT = 250;
const COMMITS_AT_ONCE = 8;

export const workloadOf = (index: number): string => `spiffe://bench.local/ns/team-${index % 97}/sa/worker-${index}`;

export const grantOf = (filling: Filling, epoch: string, index: number): Grant => ({
  version: 1,
  id: `g-${index.toString(36).padStart(8, '0')}`,
  realm: filling.realm,
  epoch,
  workload: workloadOf(index % filling.workloads),
  scopes: [{ actions: ['GET', 'HEAD'], resource: { type: 'http', id: 'shop.local/orders/**' } }],
  conditions: {},
  notBefore: filling.notBefore,
  expiresAt: filling.expiresAt,
  model: 'time-boxed',
  task: `t-${index % 1_000}`,
  entitlement: `shop-orders-${index % 50}`,
  owners: [`team:shop-${index % 97}`],
  approvals: [
    { id: `a-${index}-1`, approver: `user:approver-${index % 211}`, sequence: 1 },
    { id: `a-${index}-2`, approver: `user:approver-${(index * 7) % 223}`, sequence: 1 },
  ],
  bundleRevision: 'bench-1',
  issuedBy: 'user:operator',
  issuedAt: filling.notBefore,
  direct: false,
  justification: 'measured',
  tier: 'standard',
  chain: [],
});

const grantPut = (grant: Grant): Commit['puts'][number] => ({
  key: { kind: 'grant', id: grant.id },
  value: grant as unknown as JsonObject,
  index: { owner: grant.workload, end: grant.expiresAt },
  refs: grantRefs(grant),
});

const taskCommit = (filling: Filling, from: number, to: number): Commit => {
  const puts: Commit['puts'][number][] = [];
  for (let index = from; index < to; index += 1) {
    const id = `t-${index}`;
    const task = { version: 1, id, kind: 'change', owner: 'team:shop', openedBy: 'user:operator', openedAt: filling.notBefore, state: 'open', deadline: filling.expiresAt };
    puts.push({ key: { kind: 'task', id }, value: task });
  }
  return { realm: filling.realm, expect: [], puts, events: [{ type: 'task.opened', about: [], ending: false, data: {} }] };
};

const issuedEvent = ({ wholeEvents }: Filling, grant: Grant): Commit['events'][number] => {
  const { id, workload, task, direct, issuedBy } = grant;
  if (wholeEvents !== true) return { type: 'grant.issued', about: [{ kind: 'grant', id }], ending: false, data: { id, workload } };
  return { type: 'grant.issued', about: [grantRef(id), ...(task === undefined ? [] : [taskRef(task)])], ending: false, data: { grant: grant as unknown as JsonObject, by: issuedBy, direct } };
};

const grantsCommit = (filling: Filling, epoch: string, from: number, to: number): Commit => {
  const grants = Array.from({ length: to - from }, (_, offset) => grantOf(filling, epoch, from + offset));
  return {
    realm: filling.realm,
    expect: [],
    puts: grants.map(grantPut),
    events: grants.map((grant) => issuedEvent(filling, grant)),
  };
};

const revocationsCommit = (filling: Filling, from: number, to: number): Commit => {
  const keys = Array.from({ length: to - from }, (_, offset) => `grant:gone-${from + offset}`);
  return {
    realm: filling.realm,
    expect: [],
    puts: keys.map((selector) => ({ key: { kind: 'ending', id: selector }, value: { version: 1, selector, revocation: 'r', suspensions: [] }, mark: true })),
    events: keys.map((selector) => ({ type: 'revoked', about: [{ kind: 'ending', id: selector }], ending: true, data: { selector } })),
  };
};

export const fillStore = async (store: Store, filling: Filling): Promise<void> => {
  const waiting = new Set<Promise<unknown>>();
  const inParts = async (total: number, commitOf: (from: number, to: number) => Commit): Promise<void> => {
    for (let from = 0; from < total; from += GRANTS_PER_COMMIT) {
      const committed = store.commit(commitOf(from, Math.min(from + GRANTS_PER_COMMIT, total))).then((outcome) => {
        waiting.delete(committed);
        if (outcome.outcome !== 'committed') throw new Error(`filling: ${outcome.outcome}`);
      });
      waiting.add(committed);
      if (waiting.size >= COMMITS_AT_ONCE) await Promise.race(waiting);
    }
    await Promise.all(waiting);
  };
  await inParts(Math.min(1_000, filling.grants), (from, to) => taskCommit(filling, from, to));
  await inParts(filling.grants, (from, to) => grantsCommit(filling, store.epoch, from, to));
  await inParts(filling.revocations, (from, to) => revocationsCommit(filling, from, to));
};
