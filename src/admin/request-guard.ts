/**
 * What a browser could be tricked into is refused before anything else (THREATS G5): a Host that is not ours (DNS rebinding), and
 * any request that says it comes from a web origin.
 */
import type { Problem } from './problem.ts';

export interface RequestGuard {
  /** Host names, without ports, beside the loopback ones. */
  readonly allowedHosts: readonly string[];
  /** Web origins, such as `https://console.example`. */
  readonly allowedOrigins: readonly string[];
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d{1,5})?$/;

const hostName = (header: string): string | undefined => HOST.exec(header.toLowerCase())?.[1];

export const refuseRequest = (headers: Headers, guard: RequestGuard): Problem | undefined => {
  const name = hostName(headers.get('host') ?? '');
  if (name === undefined || !(LOOPBACK.has(name) || guard.allowedHosts.includes(name))) {
    return { code: 'host-refused', detail: 'the Host header names no host of this listener (admin.allowedHosts)' };
  }
  const origin = headers.get('origin');
  if (origin !== null && !guard.allowedOrigins.includes(origin)) {
    return { code: 'origin-refused', detail: 'requests from web pages are refused (admin.allowedOrigins)' };
  }
  return undefined;
};
