/** One attempt to fetch an issuer's keys: from a configured URL, or from where the issuer's discovery document says they are. */
import { isJsonObject } from '../domain/json.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import { readBounded } from '../bounded/file.ts';
import type { RemoteConfig } from './config.ts';
import { urlFault } from '../bounded/url.ts';
import { getDocument } from '../bounded/get.ts';
import type { Got } from '../bounded/get.ts';
import type { KeySet, KeyUse } from './key-set.ts';
import { parseKeySet } from './key-set.ts';
import { JWKS_BYTES_MAX } from './limits.ts';

/** OpenID Connect Discovery 1.0, section 4. */
export const discoveryUrl = (issuer: string): string => `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;

/** Where the discovery document says the keys are, if it speaks for this issuer and stays on the hosts it may name. */
const jwksUrlIn = (text: string, issuer: string, config: Extract<RemoteConfig, { discovery: true }>): URL | string => {
  const document = parseStrictJson(text);
  if (!isJsonObject(document)) return 'is not a JSON object, or one that can be read in two ways';
  const { issuer: named, jwks_uri: uri } = document;
  if (named !== issuer) return 'speaks for another issuer';
  if (typeof uri !== 'string' || urlFault(uri, config.insecureLoopback) !== undefined) return 'has no acceptable jwks_uri';
  const url = new URL(uri);
  const home = new URL(issuer).host;
  return url.host === home || config.hosts.includes(url.host) ? url : 'names a jwks_uri on a host that is not listed in `hosts`';
};

export const fetchKeySet = async (config: RemoteConfig, issuer: string, use: KeyUse, signal: AbortSignal): Promise<KeySet | string> => {
  // Read at every fetch, so that a replaced file counts without a restart.
  const ca = config.ca === undefined ? undefined : readBounded(config.ca, JWKS_BYTES_MAX);
  if (ca !== undefined && 'fault' in ca) return `ca file ${config.ca} ${ca.fault}`;
  const bearer = config.bearerTokenFile === undefined ? undefined : readBounded(config.bearerTokenFile, JWKS_BYTES_MAX);
  if (bearer !== undefined && 'fault' in bearer) return `token file ${config.bearerTokenFile} ${bearer.fault}`;
  const get = (url: URL): Promise<Got> => getDocument({
    url,
    signal,
    timeoutMs: config.timeoutMs,
    bytesMax: JWKS_BYTES_MAX,
    ...(ca === undefined ? {} : { ca: ca.text }),
    ...(bearer === undefined ? {} : { bearerToken: bearer.text.trim() }),
  });

  let url: URL;
  if ('url' in config) url = new URL(config.url);
  else {
    const at = discoveryUrl(issuer);
    const discovered = await get(new URL(at));
    if ('fault' in discovered) return `${at} ${discovered.fault}`;
    const found = jwksUrlIn(discovered.text, issuer, config);
    if (typeof found === 'string') return `${at} ${found}`;
    url = found;
  }
  const got = await get(url);
  const parsed = 'fault' in got ? got.fault : parseKeySet(got.text, use);
  return typeof parsed === 'string' ? `${url.origin}${url.pathname} ${parsed}` : parsed;
};
