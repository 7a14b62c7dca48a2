/**
 * The credential of the first production start: written once to a file for whoever installed Curfew, so that operators can be
 * configured. It ends after an hour, also across restarts, and is never made again for the same store.
 */
import type { Clock } from '../decision/ports.ts';
import { isInstant } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Store } from '../store/port.ts';
import { BOOTSTRAP_TOKEN_MS, writeTokenFile, type HeldToken } from './token-file.ts';

const KEY = { kind: 'bootstrap', id: 'token' } as const;

const heldIn = (value: JsonObject): HeldToken | undefined => {
  const { hash, expiresAt } = value;
  return typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash) && isInstant(expiresAt) ? { hash, expiresAt } : undefined;
};

/** The token that counts, if one does; `made` when this call wrote the file. */
export const openBootstrap = async (deps: {
  readonly store: Pick<Store, 'read' | 'commit'>;
  readonly realm: string;
  readonly path: string;
  readonly clock: Clock;
}): Promise<{ readonly held: HeldToken | undefined; readonly made: boolean }> => {
  const { store, realm, path, clock } = deps;
  const [record] = await store.read(realm, [KEY]);
  if (record !== undefined) return { held: heldIn(record.value), made: false };
  const held = writeTokenFile(path, 'curfew-bootstrap-', BOOTSTRAP_TOKEN_MS, clock.now().latest);
  const { outcome } = await store.commit({
    realm,
    expect: [{ key: KEY, version: 0 }],
    puts: [{ key: KEY, value: { version: 1, hash: held.hash, expiresAt: held.expiresAt } }],
    events: [{ type: 'bootstrap.made', about: [KEY], ending: false, data: { by: 'system', expiresAt: held.expiresAt } }],
  });
  // Another process was first: its file may be ours now, but only the token that the store names counts.
  if (outcome !== 'committed') throw new Error('another process made the bootstrap credential at the same time; start again');
  return { held, made: true };
};
