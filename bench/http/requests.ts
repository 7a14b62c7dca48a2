/** The requests of a run, drawn once: for each server the same workloads, tokens and paths in the same order, each with its right answer. */
import { randomOf, zipf } from '../harness/draw.ts';
import { isRevoked, type FilledStore } from '../support/filled-store.ts';
import type { BenchIssuer } from '../support/workload-tokens.ts';

/** `curfew`: the status is the answer. `grpc`: requests are CheckRequests, encoded, as latin1. */
export type Kind = 'curfew' | 'opa' | 'authzen' | 'kubernetes' | 'bare' | 'cerbos' | 'grpc';

export interface Asked {
  readonly workload: number;
  readonly path: string;
  readonly allow: boolean;
}

/** One of so many asks for something that no grant covers. */
const UNCOVERED_EVERY = 20;

export const drawRequests = (store: FilledStore, count: number, seed: number): readonly Asked[] => {
  const draw = zipf(store.workloads, randomOf(seed));
  return Array.from({ length: count }, (_, index) => {
    const workload = draw();
    const covered = index % UNCOVERED_EVERY !== 0;
    return { workload, path: `/${covered ? 'orders' : 'invoices'}/${(workload % 900) + 100}/lines`, allow: covered && !isRevoked(store, workload) };
  });
};

const curfewRequest = (token: string, path: string): string =>
  [
    'GET /forward-auth HTTP/1.1', 'host: 127.0.0.1', `authorization: Bearer ${token}`, 'x-forwarded-method: GET', 'x-forwarded-proto: https',
    'x-forwarded-host: shop.local', `x-forwarded-uri: ${path}`, 'x-forwarded-for: 192.0.2.7', '', '',
  ].join('\r\n');

const opaRequest = (token: string, path: string): string => {
  const body = JSON.stringify({ input: { token, method: 'GET', host: 'shop.local', path, source: '192.0.2.7', pep: 'bench-gateway' } });
  return ['POST /v1/data/bench/access/decision HTTP/1.1', 'host: 127.0.0.1', 'content-type: application/json', `content-length: ${body.length}`, '', body].join('\r\n');
};

export interface Wire {
  readonly requests: readonly string[];
  readonly allow: readonly boolean[];
}

export const wireOf = (kind: Kind, asked: readonly Asked[], issuer: BenchIssuer): Wire => ({
  requests: asked.map(({ workload, path }) => (kind === 'curfew' ? curfewRequest : opaRequest)(issuer.tokenOf(workload), path)),
  allow: asked.map(({ allow }) => allow),
});
