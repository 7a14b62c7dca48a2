/** Workloads that an enforcement point names: only ids that an issuer of that realm could give. */
import { expect, test } from 'vitest';
import { interval, START } from './at.ts';
import { bundleOf } from './forge.ts';
import { authenticatorWith, key, spiffeIssuer } from './spiffe-fixture.ts';

const oidc = (issuer: string, changes: Record<string, unknown> = {}) => ({ kind: 'oidc', issuer, audiences: ['curfew'], keys: { jwks: bundleOf(key) }, ...changes });

test('I12: an issuer kept to a realm stands behind asserted workloads there, and the longest address that fits is the issuer', async () => {
  const authenticator = authenticatorWith([
    spiffeIssuer({ realms: ['red'] }),
    oidc('https://ci.example', { realms: ['red', 'blue'] }), oidc('https://ci.example/group', { realms: ['red'] }),
  ]);
  const ask = async (workload: string, realm: string): Promise<string> => {
    const answer = await authenticator.authenticate({ kind: 'asserted', workload }, { realm, now: interval(START) });
    return answer.ok ? answer.identity.issuer : answer.reason;
  };
  expect(await ask('spiffe://example.org/ci', 'red')).toBe('spiffe://example.org');
  expect(await ask('spiffe://example.org/ci', 'blue')).toBe('credential.issuer');
  expect(await ask('oidc:ci.example/group/job', 'red')).toBe('https://ci.example/group');
  expect(await ask('oidc:ci.example/group/job', 'blue')).toBe('https://ci.example');
  expect(await ask('oidc:ci.example/group/job', 'green')).toBe('credential.issuer');
  expect(await ask('oidc:other.example/job', 'red')).toBe('credential.issuer');
});
