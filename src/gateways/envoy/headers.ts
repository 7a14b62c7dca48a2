/**
 * The request's headers, for two readers: by name for Curfew's own checks, and the merged map that policies see. `x-curfew-*`
 * headers are read by neither; their names are kept so that the gateway removes them before the upstream.
 */
import type { HttpAttributes } from './check-request.ts';

export interface RequestHeaders {
  /** Lower-case name to values; without pseudo-headers. Where Envoy merged lines, one value holds them all, split by commas. */
  readonly byName: ReadonlyMap<string, readonly string[]>;
  /** As `attributes.request.http.headers` of opa-envoy-plugin: one string a name, pseudo-headers included. */
  readonly merged: Readonly<Record<string, string>>;
  /** Names of client headers in Curfew's own family. */
  readonly own: readonly string[];
}

/** Also as services on CGI, WSGI, Rack or PHP would take for it: they read `x_curfew_grant` as `x-curfew-grant`. */
const OWN = /^x[^a-z0-9]curfew[^a-z0-9]/;

export const requestHeaders = (http: HttpAttributes): RequestHeaders => {
  const byName = new Map<string, string[]>();
  const merged = Object.create(null) as Record<string, string>;
  const own = new Set<string>();
  const add = (given: string, value: string): void => {
    const name = given.toLowerCase();
    if (OWN.test(name)) {
      own.add(name);
      return;
    }
    const before = merged[name];
    merged[name] = before === undefined ? value : `${before},${value}`;
    if (name.startsWith(':')) return;
    const values = byName.get(name);
    if (values === undefined) byName.set(name, [value]);
    else values.push(value);
  };
  if (http.headerMap !== undefined) for (const [name, value] of http.headerMap) add(name, value);
  else if (http.headers !== undefined) for (const name of Object.keys(http.headers)) add(name, http.headers[name] as string);
  return { byName, merged, own: [...own] };
};

/** Say one thing or nothing, and hold no comma when they do. (`authorization` and `dpop` are counted where they are read.) */
const SINGLE = ['content-type', 'content-length', 'host'] as const;

/** Does a header that may occur once occur more often, as a second line or merged into one? */
export const repeatsSingle = ({ byName }: RequestHeaders): boolean =>
  SINGLE.some((name) => {
    const values = byName.get(name);
    return values !== undefined && (values.length > 1 || values[0]?.includes(',') === true);
  });

/**
 * Did Envoy change the target on its way to Curfew? In merged form it writes `!` for bytes that are not UTF-8, and HTTP/2 lets such
 * bytes through to the upstream; a `!` may then be anything.
 */
export const targetMayDiffer = (http: HttpAttributes): boolean =>
  http.headerMap === undefined && http.path?.includes('!') === true && http.protocol?.startsWith('HTTP/1.') !== true;

/** Do the pseudo-headers say what the request's own fields say? Where they differ, one of them is not what the upstream gets. */
export const pseudoHeadersAgree = ({ merged }: RequestHeaders, http: HttpAttributes): boolean =>
  (merged[':path'] ?? http.path ?? '') === (http.path ?? '') &&
  (merged[':method'] ?? http.method ?? '') === (http.method ?? '') &&
  (merged[':authority'] ?? http.host ?? '') === (http.host ?? '') &&
  (merged[':scheme'] ?? http.scheme ?? '') === (http.scheme ?? '');
