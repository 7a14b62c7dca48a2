/**
 * The original request as nginx, Caddy, Traefik and the like describe it in headers. Each enforcement point has one family of
 * such headers, each of them once; any trace of the other family means that somebody else wrote it, and denies.
 *
 *   x-forwarded   X-Forwarded-Method, -Proto, -Host, -Uri; -For where the client's address matters (its last element counts)
 *   x-original    X-Original-Method, -URI, and Host; X-Original-Proto and X-Original-For where they are wanted
 */
import { isIP } from 'node:net';
import type { Reason } from '../../domain/reasons.ts';
import type { PepConfig } from '../config.ts';
import { once } from '../http/request.ts';
import type { HttpRequest } from '../http/request.ts';
import type { RawHttpRequest } from '../http-question.ts';

export type Original = { readonly ok: true; readonly raw: RawHttpRequest } | { readonly ok: false; readonly reason: Reason };

type Headers = HttpRequest['headers'];

interface Family {
  readonly prefix: string;
  readonly method: string;
  readonly uri: string;
  readonly host: string;
  readonly proto: string;
  readonly source: string;
  readonly protoRequired: boolean;
}

const families: Readonly<Record<PepConfig['headers'], Family>> = {
  'x-forwarded': {
    prefix: 'x-forwarded-', method: 'x-forwarded-method', uri: 'x-forwarded-uri', host: 'x-forwarded-host',
    proto: 'x-forwarded-proto', source: 'x-forwarded-for', protoRequired: true,
  },
  'x-original': {
    prefix: 'x-original-', method: 'x-original-method', uri: 'x-original-uri', host: 'host',
    proto: 'x-original-proto', source: 'x-original-for', protoRequired: false,
  },
};

/** Describes the peer, not the request; read elsewhere, and only where configured. */
const CLIENT_CERTIFICATE = 'x-forwarded-client-cert';

const hasTraceOf = (headers: Headers, prefix: string): boolean => {
  for (const name of headers.keys()) if (name.startsWith(prefix) && name !== CLIENT_CERTIFICATE) return true;
  return false;
};

/** The address that the gateway itself saw: what it appended, not what the client wrote before it. */
const lastAddress = (list: string | undefined): string | undefined => {
  const last = list?.slice(list.lastIndexOf(',') + 1).trim();
  return last !== undefined && isIP(last) !== 0 ? last : undefined;
};

export const readForwarded = (request: HttpRequest, pep: Pick<PepConfig, 'headers' | 'scheme'>): Original => {
  const { headers } = request;
  const family = families[pep.headers];
  const other = families[pep.headers === 'x-forwarded' ? 'x-original' : 'x-forwarded'];
  if (hasTraceOf(headers, other.prefix)) return { ok: false, reason: 'request.ambiguous' };
  const given = [family.method, family.uri, family.host, family.proto, family.source];
  if (given.some((name) => (headers.get(name)?.length ?? 0) > 1)) return { ok: false, reason: 'request.ambiguous' };
  const method = once(headers, family.method);
  const target = once(headers, family.uri);
  const authority = once(headers, family.host);
  const scheme = once(headers, family.proto) ?? (family.protoRequired ? undefined : pep.scheme);
  if (method === undefined || target === undefined || authority === undefined || scheme === undefined) return { ok: false, reason: 'request.malformed' };
  return { ok: true, raw: { method, scheme, authority, target, headers, source: lastAddress(once(headers, family.source)) } };
};
