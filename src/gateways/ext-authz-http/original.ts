/**
 * The original request as Envoy's HTTP `ext_authz` service repeats it: its own method, its own path behind a prefix, its Host.
 * Not covered: what Envoy does not pass on. `upgrade`, `accept`, `content-type`, `dpop` and the method-override headers must be
 * in its `allowed_headers`, else streams and overrides can't be seen; and the client's address is not known for sure, since Envoy
 * appends its own to `x-forwarded-for`, so grants with a source condition do not count. The gRPC service has neither limit.
 */
import type { Original } from '../forward-auth/original.ts';
import type { PepConfig } from '../config.ts';
import { once } from '../http/request.ts';
import type { HttpRequest } from '../http/request.ts';

export const EXT_AUTHZ_PREFIX = '/ext-authz';

/** Other gateways' ways to name the original request; here the request line names it. */
const FOREIGN = ['x-forwarded-method', 'x-forwarded-uri', 'x-original-method', 'x-original-uri'] as const;

export const readExtAuthz = (request: HttpRequest, pep: Pick<PepConfig, 'scheme'>): Original => {
  const { headers, method } = request;
  if (FOREIGN.some((name) => headers.has(name))) return { ok: false, reason: 'request.ambiguous' };
  if (['host', 'x-forwarded-proto'].some((name) => (headers.get(name)?.length ?? 0) > 1)) return { ok: false, reason: 'request.ambiguous' };
  const authority = once(headers, 'host');
  if (authority === undefined) return { ok: false, reason: 'request.malformed' };
  const scheme = once(headers, 'x-forwarded-proto') ?? pep.scheme;
  const target = request.target.slice(EXT_AUTHZ_PREFIX.length);
  return { ok: true, raw: { method, scheme, authority, target, headers } };
};
