/** The operator credential that Curfew makes itself: in development one for everything, in production one for the first start. */
import { join } from 'node:path';
import { BOOTSTRAP_TOKEN_MS, DEVELOPMENT_TOKEN_MS, writeTokenFile } from '../admin/token-file.ts';
import { defaultRealm, type Core } from '../compose.ts';
import type { Log } from '../telemetry/log.ts';
import type { AdministrationParts } from './administration.ts';

export const DEVELOPMENT_TOKEN_FILE = 'admin-token';

export const openOperatorToken = async ({ mode, config, clock, store }: Core, developmentDir: string | undefined, log: Log): Promise<AdministrationParts['operatorToken']> => {
  const now = clock.now().latest;
  if (mode === 'development') {
    if (developmentDir === undefined) return undefined;
    return { kind: 'development', held: writeTokenFile(join(developmentDir, DEVELOPMENT_TOKEN_FILE), 'curfew-dev-', DEVELOPMENT_TOKEN_MS, now) };
  }
  const { bootstrapTokenFile } = config.admin.operators;
  if (bootstrapTokenFile === undefined) return undefined;
  // The first start is the one that finds nothing in the store.
  const { position } = store.facts({ realm: defaultRealm(config), keys: [] });
  if (position.sequence > 0) return undefined;
  const held = writeTokenFile(bootstrapTokenFile, 'curfew-bootstrap-', BOOTSTRAP_TOKEN_MS, now);
  log.info('this is the first start: a bootstrap credential was written; it configures operators only and ends in an hour', { file: bootstrapTokenFile });
  return { kind: 'bootstrap', held };
};
