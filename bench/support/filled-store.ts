/**
 * Filled stores, kept under `.cache/bench-stores/` from run to run: filling one with a million grants takes a minute. A kept store
 * is used again while what wrote it is unchanged and its grants live for another day. Benches only read them.
 */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Instant } from '../../src/domain/instant.ts';
import { selectorKey } from '../../src/domain/selector.ts';
import { openEmbeddedStore } from '../../src/store/embedded/open.ts';
import type { Commit, Store } from '../../src/store/port.ts';
import { repositoryRoot, say } from '../harness/run-bench.ts';
import { fillStore, workloadOf, type Filling } from './fill-store.ts';

export interface Wanted {
  readonly grants: number;
  readonly revocations: number;
  /** Grants of each workload; absent: three. */
  readonly perWorkload?: number;
}

export interface FilledStore extends Wanted {
  readonly path: string;
  readonly workloads: number;
  readonly notBefore: Instant;
  readonly expiresAt: Instant;
}

export const GRANTS_PER_WORKLOAD = 3;
const DAY_MS = 86_400_000;
const LIFE_MS = 30 * DAY_MS;
const REVOKED_EVERY = 50;
/** Filling is long, and a machine that does other things meanwhile is no fault. */
const PATIENCE_MS = 600_000;

/** Of every fifty workloads one is revoked; the other revocations are of grants that nobody asks about. */
export const isRevoked = (store: Wanted, workload: number): boolean => store.revocations > 0 && workload % REVOKED_EVERY === REVOKED_EVERY - 1;

/** What decides about the bytes of a filled store. */
const WRITERS = [
  'bench/support/fill-store.ts', 'bench/support/filled-store.ts', 'src/domain/grant-refs.ts', 'src/domain/selector.ts', 'src/store/event.ts',
  ...['commit', 'environment', 'index-row', 'keys', 'owner-rows', 'packed-record', 'realm-state', 'record'].map((name) => `src/store/embedded/${name}.ts`),
];

const writersDigest = (root: string): string => {
  const digest = createHash('sha256');
  for (const name of WRITERS) digest.update(readFileSync(join(root, name)));
  return digest.digest('hex').slice(0, 12);
};

export const revokeWorkloads = async (store: Store, wanted: Wanted, workloads: number): Promise<number> => {
  const keys: string[] = [];
  for (let workload = 0; workload < workloads; workload += 1) if (isRevoked(wanted, workload)) keys.push(selectorKey({ kind: 'workload', value: workloadOf(workload) }));
  for (let from = 0; from < keys.length; from += 250) {
    const part = keys.slice(from, from + 250);
    const commit: Commit = {
      realm: 'default',
      expect: [],
      puts: part.map((selector) => ({ key: { kind: 'ending', id: selector }, value: { version: 1, selector, revocation: 'bench', suspensions: [] }, mark: true })),
      events: part.map((selector) => ({ type: 'revoked', about: [{ kind: 'ending', id: selector }], ending: true, data: { selector } })),
    };
    const { outcome } = await store.commit(commit);
    if (outcome !== 'committed') throw new Error(`filling: ${outcome}`);
  }
  return keys.length;
};

/** The store's own clock while it is filled. */
const wallClock = {
  now: () => {
    const at = Date.now() as Instant;
    return { earliest: at, latest: at, trusted: true };
  },
};

/** `bare`: a store with the same grants and no revocations, to begin with. */
const fill = async (path: string, wanted: Wanted, bare: FilledStore | undefined): Promise<FilledStore> => {
  const each = wanted.perWorkload ?? GRANTS_PER_WORKLOAD;
  const workloads = Math.max(1, Math.floor(wanted.grants / each));
  const notBefore = bare?.notBefore ?? ((Date.now() - 60_000) as Instant);
  const expiresAt = bare?.expiresAt ?? ((notBefore + LIFE_MS) as Instant);
  if (bare !== undefined) cpSync(bare.path, path, { recursive: true, filter: (from) => !from.endsWith(NOTE) });
  const store = await openEmbeddedStore({ path, mode: 'production', clock: wallClock, writePatienceMs: PATIENCE_MS });
  try {
    const revoked = Array.from({ length: workloads }).filter((_, index) => isRevoked(wanted, index)).length;
    const filling: Filling = { realm: 'default', grants: bare === undefined ? workloads * each : 0, workloads, revocations: Math.max(0, wanted.revocations - revoked), notBefore, expiresAt };
    await fillStore(store, filling);
    await revokeWorkloads(store, wanted, workloads);
  } finally {
    await store.close();
  }
  return { ...wanted, path, workloads, notBefore, expiresAt };
};

const NOTE = 'filled.json';

const keptAt = (path: string): FilledStore | undefined => {
  const note = join(path, NOTE);
  if (!existsSync(note)) return undefined;
  const kept = JSON.parse(readFileSync(note, 'utf8')) as FilledStore;
  return kept.expiresAt - Date.now() > DAY_MS ? { ...kept, path } : undefined;
};

export const filledStore = async (wanted: Wanted, root = repositoryRoot()): Promise<FilledStore> => {
  const folder = join(root, '.cache', 'bench-stores');
  const kind = `${wanted.perWorkload === undefined ? '' : `${wanted.perWorkload}-of-`}${wanted.grants}-${wanted.revocations}-`;
  const digest = writersDigest(root);
  const path = join(folder, `${kind}${digest}`);
  const kept = keptAt(path);
  if (kept !== undefined) return kept;
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) if (name.startsWith(kind)) rmSync(join(folder, name), { recursive: true, force: true });
  const from = performance.now();
  const filled = await fill(path, wanted, wanted.perWorkload === undefined ? keptAt(join(folder, `${wanted.grants}-0-${digest}`)) : undefined);
  writeFileSync(join(path, NOTE), JSON.stringify(filled));
  say(`filled a store with ${wanted.grants} grants and ${wanted.revocations} revocations in ${((performance.now() - from) / 1_000).toFixed(1)} s`);
  return filled;
};
