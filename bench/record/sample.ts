/** A record as a gateway's question makes it: some 1.5 KB. */
import type { DecisionRecord } from '../../src/decision/record.ts';
import type { Instant } from '../../src/domain/instant.ts';

export const benchRecord = (index: number): DecisionRecord => {
  const now = (1_764_000_000_000 + index) as Instant;
  return {
    version: 1, id: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`, realm: 'default', protocol: 'forward-auth', pep: 'bench-gateway', now: { earliest: now, latest: now },
    workload: `spiffe://bench.local/ci/deployer-${index % 1_000}`, action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' },
    credential: { kind: 'jwt', issuer: 'https://issuer.bench.local', fingerprint: 'f'.repeat(64), issuedAt: now, expiresAt: (now + 300_000) as Instant },
    input: {
      attributes: { request: { http: { method: 'GET', host: 'shop.local', path: '/orders/1', headers: { 'user-agent': 'bench/1', accept: '*/*', authorization: 'Bearer abc', 'x-forwarded-for': '192.0.2.7' } } } },
      parsed_path: ['orders', '1'], parsed_query: {},
      curfew: { now, realm: 'default', subject: { id: `spiffe://bench.local/ci/deployer-${index % 1_000}`, owner: 'team:shop' }, action: 'GET', resource: { type: 'http', id: 'shop.local/orders/1' }, grants: [{ id: `g-${index % 1_000}`, model: 'time-boxed', expiresAt: now + 60_000, scopes: [{ actions: ['GET'], resource: { type: 'http', id: 'shop.local/orders/**' } }] }], tasks: [] },
    },
    policy: { revision: 'bench', digest: 'd'.repeat(64), entrypoint: 'curfew/access/decision', result: { allow: true } },
    facts: { position: '1.100', endings: { sequence: 1, hash: 'a'.repeat(64) }, grants: [{ id: `g-${index % 1_000}`, version: 1 }], tasks: [] },
    result: { allow: true, grant: `g-${index % 1_000}`, validUntil: (now + 60_000) as Instant, cacheUntil: now },
    durationUs: 100, factsAgeUs: 40,
  };
};
