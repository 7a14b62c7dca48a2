/** What every allow takes off the request, whatever Envoy told of it: Envoy may be configured not to send all headers along. */
import { expect, test } from 'vitest';
import type { Allow } from '../../../src/decision/evaluation.ts';
import type { Instant } from '../../../src/domain/instant.ts';
import { EMPTY_SHAPING } from '../../../src/decision/verdict.ts';
import { checkResponse } from '../../../src/gateways/envoy/answer.ts';
import { CLIENT_CARRIAGE } from '../../../src/gateways/envoy-carriage.ts';
import { messageType } from '../../../src/grpc/proto/schema.ts';

const type = messageType('envoy.service.auth.v3.CheckResponse');
const NOW = 1_800_000_000_000 as Instant;
const allow: Allow = {
  id: 'd1', realm: 'default', allow: true, decidedAt: NOW, validUntil: (NOW + 5_000) as Instant, cacheUntil: NOW, policyRevision: 'r', workload: 'spiffe://a.example/b', grant: 'g1', shaping: EMPTY_SHAPING,
};

const shaped = (over: Partial<Allow>, fineReasons: boolean, ownHeaders: readonly string[] = []) => {
  const { okResponse } = type.decode(checkResponse({ ...allow, ...over }, { fineReasons, ownHeaders, stream: false })) as unknown as {
    okResponse: { headers: { header: { key: string } }[]; headersToRemove: string[] };
  };
  return { set: okResponse.headers.map(({ header }) => header.key), removed: okResponse.headersToRemove };
};
const OWN = ['x-curfew-decision-id', 'x-curfew-valid-until', 'x-curfew-valid-ms', 'x-curfew-max-stream-ms', 'x-curfew-grant', 'x-curfew-reason', 'x-curfew-pep-token'];

test.each([true, false])('B2: every header of Curfew\'s family that the answer does not set is removed, told of or not (fine reasons: %s)', (fineReasons) => {
  const { set, removed } = shaped({}, fineReasons);
  expect(OWN.filter((name) => !set.includes(name) && !removed.includes(name))).toEqual([]);
  expect(set.includes('x-curfew-grant')).toBe(fineReasons);
  // Envoy sets first and removes then: nothing may be in both.
  expect(set.filter((name) => removed.includes(name))).toEqual([]);
});

test('what the client sent of the family is removed under any name, and so is what changes how the request is carried', () => {
  const { removed } = shaped({}, true, ['x-curfew-made-up', 'x-curfew-grant']);
  expect(removed).toEqual(expect.arrayContaining(['x-curfew-made-up', ...CLIENT_CARRIAGE]));
  expect(removed).not.toContain('x-curfew-grant');
});

test('what the policy removes is removed, whatever its case, unless the answer sets it', () => {
  const { set, removed } = shaped({ shaping: { ...EMPTY_SHAPING, headers: [['X-Team', 'shop']], removeHeaders: ['Authorization', 'x-team'] } }, false);
  expect(removed).toContain('authorization');
  expect(set).toContain('x-team');
  expect(removed).not.toContain('x-team');
});
