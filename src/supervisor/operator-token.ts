/**
 * The operator credential that Curfew makes itself. In development one for everything, new at each start. In production one for
 * the first start of a store: written once to a file, it ends after an hour, also across restarts, and is never made again.
 */
import { join } from 'node:path';
import { BOOTSTRAP_TOKEN_MS, DEVELOPMENT_TOKEN_MS, writeTokenFile, type HeldToken } from '../admin/token-file.ts';
import { defaultRealm, type Core } from '../compose.ts';
import type { EventType } from '../domain/event-types.ts';
import { isInstant } from '../domain/instant.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Log } from '../telemetry/log.ts';

export interface OperatorToken {
  readonly kind: 'development' | 'bootstrap';
  readonly held: HeldToken;
}

export const DEVELOPMENT_TOKEN_FILE = 'admin-token';
const BOOTSTRAP = { kind: 'bootstrap', id: 'token' } as const;

const heldIn = (value: JsonObject): HeldToken | undefined => {
  const { hash, expiresAt } = value;
  return typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash) && isInstant(expiresAt) ? { hash, expiresAt } : undefined;
};

const openBootstrap = async ({ config, clock, store }: Core, path: string, log: Log): Promise<HeldToken | undefined> => {
  const realm = defaultRealm(config);
  const [record] = await store.read(realm, [BOOTSTRAP]);
  if (record !== undefined) return heldIn(record.value);
  const held = writeTokenFile(path, 'curfew-bootstrap-', BOOTSTRAP_TOKEN_MS, clock.now().latest);
  const { outcome } = await store.commit({
    realm,
    expect: [{ key: BOOTSTRAP, version: 0 }],
    puts: [{ key: BOOTSTRAP, value: { version: 1, hash: held.hash, expiresAt: held.expiresAt } }],
    events: [{ type: 'bootstrap.made' satisfies EventType, about: [BOOTSTRAP], ending: false, data: { by: 'system', expiresAt: held.expiresAt } }],
  });
  if (outcome !== 'committed') throw new Error('another process made the bootstrap credential at the same time; start again');
  log.info('this is the first start: a bootstrap credential was written; it configures operators only and ends in an hour', { file: path });
  return held;
};

export const openOperatorToken = async (core: Core, developmentDir: string | undefined, log: Log): Promise<OperatorToken | undefined> => {
  const { mode, config, clock } = core;
  if (mode === 'development') {
    if (developmentDir === undefined) return undefined;
    return { kind: 'development', held: writeTokenFile(join(developmentDir, DEVELOPMENT_TOKEN_FILE), 'curfew-dev-', DEVELOPMENT_TOKEN_MS, clock.now().latest) };
  }
  const { bootstrapTokenFile } = config.admin.operators;
  // A restored store says nothing yet; the node starts, denies, and tells why.
  const unlessRestored = (error: unknown): undefined => {
    if ((error as { readonly reason?: unknown }).reason !== 'facts.restored') throw error;
  };
  const held = bootstrapTokenFile === undefined ? undefined : await openBootstrap(core, bootstrapTokenFile, log).catch(unlessRestored);
  return held === undefined ? undefined : { kind: 'bootstrap', held };
};
