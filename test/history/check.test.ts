/** The checker of histories finds each thing that it is for, and nothing in a history that is right. */
import { expect, test } from 'vitest';
import { violations } from './check.ts';
import type { History } from './history.ts';

const right: History = {
  world: 'none', seed: 1, fault: 'nothing', mustDeny: undefined, maxFactsAgeMs: 50, wrongClocks: [],
  grants: [{ name: 'gone', id: 'g1', expiresAt: 9_000 }, { name: 'short', id: 'g2', expiresAt: 500 }],
  commands: [
    { what: 'issue', node: 0, grant: 'gone', started: 0, ended: 10, outcome: 'done', status: 201 },
    { what: 'revoke', node: 0, grant: 'gone', started: 100, ended: 160, outcome: 'done', status: 201 },
    { what: 'suspend', node: 0, grant: 'short', started: 100, ended: 160, outcome: 'unknown', status: 503 },
  ],
  // Asked before it returned, and answered after: nobody can see from outside when it was written.
  asks: [{ node: 1, grant: 'gone', started: 159, ended: 170, status: 200, decision: 'd1' }, { node: 1, grant: 'gone', started: 161, ended: 170, status: 403, decision: 'd2' }, { node: 0, grant: 'short', started: 499, ended: 510, status: 200, decision: 'd3' }],
  written: [{ node: 1, decision: 'd1', grant: 'g1', earliest: 150, factsAgeMs: 20 }, { node: 0, decision: 'd3', grant: 'g2', earliest: 499, factsAgeMs: undefined }],
  finally: { gone: 'ended', short: 'ended' },
  healed: { at: 1_000, allowed: [1_200, 1_100] },
};

test('a history that is right has no violation', () => {
  expect(violations(right)).toEqual([]);
});

test.each<[string, RegExp, Partial<History>]>([
  ['an allow to a question asked after revoke returned', /asked 1\.0 ms after revoke had returned/, { asks: [{ ...right.asks[0]!, started: 161 }] }],
  ['an allow that its record says was written after', /wrote an allow of gone 10\.0 ms after revoke/, { written: [{ ...right.written[0]!, earliest: 170 }] }],
  ['an allow past the end', /asked 2\.0 ms after its end/, { asks: [{ ...right.asks[2]!, started: 502 }] }],
  ['an allow at the end, by its record', /wrote an allow of short 0\.0 ms past its end/, { written: [{ ...right.written[1]!, earliest: 500 }] }],
  ['an allow from facts a moment too old', /facts that were 50\.1 ms old/, { written: [{ ...right.written[0]!, factsAgeMs: 50.1 }] }],
  ['an allow long after its lease', /facts that were 150\.0 ms old/, { world: 'leased', written: [{ ...right.written[0]!, factsAgeMs: 150 }] }],
  ['a grant that was confirmed and is not there', /gone was issued, and confirmed, and is not there/, { finally: { short: 'ended' } }],
  ['an ending that was confirmed and is not there', /revoke of gone was confirmed and is lost: the grant is active/, { finally: { gone: 'active' } }],
  ['an allow while nothing may be allowed', /node 0 allowed short although: FLUSHALL/, { mustDeny: { since: 498, until: 511, why: 'FLUSHALL' } }],
  ['access that does not come back', /L1: node 1/, { healed: { at: 1_000, allowed: [1_200, undefined] } }],
  ['access that comes back late', /L1: node 0/, { healed: { at: 1_000, allowed: [6_001, 1_100] } }],
])('it finds %s', (_name, what, change) => {
  expect(violations({ ...right, ...change }).join('\n')).toMatch(what);
});
