import type { DecisionRecord } from '../../src/decision/record.ts';
import type { Instant } from '../../src/domain/instant.ts';
import type { JsonObject } from '../../src/domain/json.ts';

export const sampleRecord = (id: string, input: JsonObject = {}): DecisionRecord => ({
  version: 1,
  id,
  realm: 'default',
  protocol: 'forward-auth',
  pep: null,
  now: { earliest: 1_000 as Instant, latest: 1_001 as Instant },
  workload: 'spiffe://dev.local/ci/deployer',
  action: 'GET',
  resource: { type: 'http', id: 'shop.local/orders' },
  input,
  policy: { revision: 'r1', digest: 'd1' },
  result: { allow: false, reason: 'grant.none' },
  durationUs: 42,
});
