/** The source of keys that an issuer's configuration names. */
import type { Clock } from '../decision/ports.ts';
import type { IdentityConfig, IssuerConfig } from './config.ts';
import type { OnIdentityEvent } from './events.ts';
import { fileKeySource } from './key-file.ts';
import { keySetOf } from './key-set.ts';
import { inlineKeySource } from './key-source.ts';
import type { KeySource } from './key-source.ts';
import type { JsonObject } from '../domain/json.ts';

export const keySourceOf = (
  config: IssuerConfig,
  { filePollMs }: Pick<IdentityConfig, 'filePollMs'>,
  { onEvent = () => undefined }: { readonly clock: Clock; readonly onEvent?: OnIdentityEvent },
): KeySource => {
  const [keys, use, issuer] = config.kind === 'spiffe'
    ? [config.bundle, 'jwt-svid' as const, `spiffe://${config.trustDomain}`]
    : [config.keys, 'sig' as const, config.issuer];
  if ('file' in keys) return fileKeySource({ file: keys.file, use, issuer, pollMs: filePollMs, onEvent });
  if ('jwks' in keys) {
    const parsed = keySetOf(keys.jwks as JsonObject, use);
    if (typeof parsed === 'string') throw new Error(`keys of ${issuer}: ${parsed}`);
    return inlineKeySource(parsed);
  }
  throw new Error('not there yet');
};
