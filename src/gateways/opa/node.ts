/** What OPA's clients ask about the node itself: health, status, configuration, metrics. Nothing secret is in it. */
import type { ServerResponse } from 'node:http';
import { writeJson } from '../http/api.ts';
import type { Caller } from '../http/caller.ts';
import { pathOf, type HttpRequest } from '../http/request.ts';
import { opaError } from './answer.ts';

export interface OpaNode {
  readonly version: string;
  serves(path: string): boolean;
  readonly ready: () => { readonly ready: boolean; readonly detail?: string };
  /** Of the active bundle; `undefined`: there is none. */
  readonly bundle: () => { readonly revision: string; readonly digest: string } | undefined;
  /** Of the whole node, as Prometheus reads it; rejects when it can't be had. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
}

export const servesNode = (path: string): boolean => ['/health', '/v1/status', '/v1/config', '/metrics'].includes(path);

const labels = (version: string) => ({ id: 'curfew', version });

/**
 * `/health` looks at all that a decision needs, whatever its parameters ask for; health says nothing else, so that anybody may ask it. For
 * the rest a caller must not have failed to prove who it is.
 */
export const serveNode = async (node: OpaNode, request: HttpRequest, response: ServerResponse, { fault }: Caller): Promise<void> => {
  const path = pathOf(request.target);
  if (request.method !== 'GET' && request.method !== 'HEAD') return writeJson(response, 405, JSON.stringify(opaError('invalid_operation', 'only GET')), ['allow', 'GET, HEAD']);
  if (path === '/health') {
    const { ready, detail = 'not ready' } = node.ready();
    return writeJson(response, ready ? 200 : 500, ready ? '{}' : JSON.stringify({ error: detail }));
  }
  if (fault !== undefined) return writeJson(response, 401, JSON.stringify(opaError('unauthorized', 'the enforcement point did not prove who it is')), ['www-authenticate', 'Bearer realm="curfew"']);
  const bundle = node.bundle();
  if (path === '/v1/status') {
    const state = bundle === undefined ? 'NOT_READY' : 'OK';
    const bundles = bundle === undefined ? {} : { curfew: { name: 'curfew', active_revision: bundle.revision, type: 'snapshot' } };
    return writeJson(response, 200, JSON.stringify({ result: { labels: labels(node.version), bundles, plugins: { bundle: { state } } } }));
  }
  if (path === '/v1/config') return writeJson(response, 200, JSON.stringify({ result: { labels: labels(node.version) } }));
  try {
    const { contentType, text } = await node.metrics();
    response.writeHead(200, ['content-type', contentType, 'cache-control', 'no-store', 'content-length', String(Buffer.byteLength(text))]);
    response.end(text);
  } catch {
    writeJson(response, 503, JSON.stringify(opaError('internal_error', 'the metrics can not be had now')));
  }
};
