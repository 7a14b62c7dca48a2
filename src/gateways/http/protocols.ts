/** The two protocols in which a gateway asks over plain HTTP, and what each can't carry out. */
import { readExtAuthz } from '../ext-authz-http/original.ts';
import { readForwarded } from '../forward-auth/original.ts';
import type { HttpProtocol } from './evaluation.ts';

/** Steer caches, framing or the gateway itself when they stand on the answer; a policy's would reach further than it may. */
const STEERING_HEADERS: ReadonlySet<string> = new Set([
  'cache-control', 'expires', 'pragma', 'age', 'date', 'vary', 'etag', 'last-modified', 'surrogate-control', 'cdn-cache-control',
  'content-type', 'content-encoding', 'location', 'www-authenticate', 'server',
  'x-accel-redirect', 'x-accel-expires', 'x-accel-buffering', 'x-accel-charset', 'x-accel-limit-rate',
]);

export const forwardAuth: HttpProtocol = {
  name: 'forward-auth',
  readOriginal: readForwarded,
  unable: { removeHeaders: true, query: true, headers: STEERING_HEADERS },
};

export const extAuthzHttp: HttpProtocol = {
  name: 'ext-authz-http',
  readOriginal: readExtAuthz,
  unable: { removeHeaders: false, query: true, headers: STEERING_HEADERS },
};

/** Names a policy may not set on a denial's answer either; they are left out there. */
export const isSteering = (name: string): boolean => STEERING_HEADERS.has(name);
