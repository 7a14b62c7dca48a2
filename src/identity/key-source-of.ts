/** The source of keys that an issuer's configuration names. */
import type { Clock } from '../decision/ports.ts';
import type { JsonObject } from '../domain/json.ts';
import type { IssuerConfig } from './config.ts';
import type { OnIdentityEvent } from './events.ts';
import { fileKeySource } from './key-file.ts';
import { remoteKeySource } from './key-remote.ts';
import { keySetOf } from './key-set.ts';
import type { KeyUse } from './key-set.ts';
import { inlineKeySource } from './key-source.ts';
import type { KeySource } from './key-source.ts';
import type { WorkloadSources } from './workload-api/sources.ts';

const inline = (document: JsonObject, use: KeyUse, issuer: string): KeySource => {
  const keys = keySetOf(document, use);
  if (typeof keys === 'string') throw new Error(`the keys of ${issuer}: the document ${keys}`);
  return inlineKeySource(keys);
};

/** Throws only on inline keys that are no key set. */
export const keySourceOf = (config: IssuerConfig, deps: { readonly clock: Clock; readonly onEvent: OnIdentityEvent; readonly filePollMs: number; readonly workload?: WorkloadSources | undefined }): KeySource => {
  const { clock, onEvent, filePollMs } = deps;
  const [keys, use, issuer] = config.kind === 'spiffe'
    ? [config.bundle, 'jwt-svid' as const, `spiffe://${config.trustDomain}`]
    : [config.keys, 'sig' as const, config.issuer];
  if ('workloadApi' in keys) {
    if (deps.workload === undefined || config.kind !== 'spiffe') throw new Error(`the keys of ${issuer}: there is no Workload API`);
    return deps.workload.sourceOf(config.trustDomain);
  }
  if ('file' in keys) return fileKeySource({ file: keys.file, use, issuer, pollMs: filePollMs, onEvent });
  if ('jwks' in keys) return inline(keys.jwks, use, issuer);
  return remoteKeySource({ config: keys, use, issuer, clock, onEvent });
};
