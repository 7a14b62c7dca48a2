import { expect, test } from 'vitest';
import { isOidcId } from '../../src/domain/lifecycle/fields.ts';
import { identityConfig } from '../../src/identity/config.ts';
import { START } from './at.ts';
import { b64, jwksOf, newKey, signed } from './forge.ts';
import { NOW_S, ask, authenticatorWith, identityOf, reasonOf, spiffeIssuer, svid } from './spiffe-fixture.ts';

const rsa = newKey('RS256', 'r1');
const keys = { jwks: jwksOf(rsa) };
const token = (claims: Record<string, unknown>, header: Record<string, unknown> = {}) => signed({ alg: 'RS256', kid: 'r1', typ: 'JWT', ...header }, claims, rsa);
const oidc = (changes: Record<string, unknown>) => ({ kind: 'oidc', audiences: ['curfew'], keys, ...changes });

const GITHUB = {
  iss: 'https://token.actions.githubusercontent.com', sub: 'repo:octo-org@1/octo-repo@2:environment:prod', aud: 'curfew', jti: '6f4762ed',
  iat: NOW_S, nbf: NOW_S, exp: NOW_S + 300,
  repository: 'octo-org/octo-repo', repository_id: '74', repository_owner_id: '65', environment: 'prod', ref: 'refs/heads/main', event_name: 'push',
  job_workflow_ref: 'octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main', run_id: '3', run_attempt: '2', runner_environment: 'github-hosted', actor_id: '12', check_run_id: '9',
};
const github = authenticatorWith([oidc({ preset: 'github', match: { repository_owner_id: '65', ref: ['refs/heads/main', 'refs/heads/next'] } })]);

test('a GitHub Actions job is the workload of its repository and environment, by number', async () => {
  expect(identityOf(await ask(github, token(GITHUB)))).toMatchObject({
    workload: 'oidc:token.actions.githubusercontent.com/repo/74/env/prod', kind: 'oidc', issuer: GITHUB.iss,
    claims: { run_id: '3', check_run_id: '9' },
    credential: { selectors: [expect.stringMatching(/^credential:sha256:/), `credential:jti:["${GITHUB.iss}","6f4762ed"]`], expiresAt: START + 300_000 },
  });
});

test.each([
  ['another owner', { repository_owner_id: '66' }, 'credential.claims'],
  ['an owner as a number', { repository_owner_id: 65 }, 'credential.claims'],
  ['another branch', { ref: 'refs/heads/main2' }, 'credential.claims'],
  ['the other branch', { ref: 'refs/heads/next' }, 'allowed'],
  ['no environment', { environment: undefined }, 'credential.claims'],
  ['an empty environment', { environment: '' }, 'credential.claims'],
  ['an environment that is a dot segment', { environment: '..' }, 'credential.claims'],
  ['an environment that is an object', { environment: { name: 'prod' } }, 'credential.claims'],
  ['another audience', { aud: 'https://github.com/octo-org' }, 'credential.audience'],
  ['another issuer', { iss: 'https://token.actions.githubusercontent.com/' }, 'credential.issuer'],
  ['an issuer as a list', { iss: [GITHUB.iss] }, 'credential.issuer'],
  ['a life of a day', { exp: NOW_S + 86_400 }, 'credential.too_old'],
])('GitHub: %s', async (_, changes, expected) => {
  expect(reasonOf(await ask(github, token({ ...GITHUB, ...changes })))).toBe(expected);
});

test('no value of a claim can add a segment to an id or leave its own', async () => {
  for (const environment of ['prod/env/x', 'a?b', 'a#b', 'ä', 'a%2Fb', '../../repo/1', 'a b', 'a:b', "it's (1)!*~", '%', '€']) {
    const { workload } = identityOf(await ask(github, token({ ...GITHUB, environment })));
    expect(isOidcId(workload)).toBe(true);
    expect(workload).toBe(`oidc:token.actions.githubusercontent.com/repo/74/env/${encodeURIComponent(environment)}`);
    expect(workload.split('/')).toHaveLength(5);
  }
});

test('A6: another type of token is refused', async () => {
  for (const typ of ['at+jwt', 'dpop+jwt', 'logout+jwt', 'secevent+jwt', 'JOSE', '']) {
    expect.soft(reasonOf(await ask(github, token(GITHUB, { typ }))), typ).toBe('credential.type');
  }
  for (const typ of [undefined, 'jwt', 'application/JWT']) expect.soft(reasonOf(await ask(github, token(GITHUB, { typ }))), typ).toBe('allowed');
  const access = authenticatorWith([oidc({ issuer: 'https://idp.example', types: ['at+jwt'] })]);
  expect(reasonOf(await ask(access, token({ iss: 'https://idp.example', sub: 's', aud: 'curfew', exp: NOW_S + 60 }, { typ: 'at+jwt' })))).toBe('allowed');
  expect(reasonOf(await ask(access, token({ iss: 'https://idp.example', sub: 's', aud: 'curfew', exp: NOW_S + 60 }, { typ: 'JWT' })))).toBe('credential.type');
});

test('a GitLab job is the workload of its project and environment, by number', async () => {
  const gitlab = authenticatorWith([oidc({ preset: 'gitlab', match: { namespace_id: '72', ref_protected: 'true' } })]);
  const claims = {
    iss: 'https://gitlab.com', sub: 'project_path:my-group/my-project:ref_type:branch:ref:main', aud: ['curfew'], jti: 'g1', iat: NOW_S, nbf: NOW_S - 5, exp: NOW_S + 3_600,
    namespace_id: '72', project_id: '20', project_path: 'my-group/my-project', pipeline_id: '1', pipeline_source: 'web', job_id: '1', ref: 'main', ref_protected: 'true',
    environment: 'review/x', runner_id: 1,
  };
  expect(identityOf(await ask(gitlab, token(claims))).workload).toBe('oidc:gitlab.com/project/20/env/review%2Fx');
  expect(reasonOf(await ask(gitlab, token({ ...claims, ref_protected: 'false' })))).toBe('credential.claims');
});

test('a Kubernetes service account is the workload of its cluster, namespace and name', async () => {
  const issuer = 'https://oidc.eks.eu-central-1.amazonaws.com/id/ABC';
  const cluster = authenticatorWith([oidc({ preset: 'kubernetes', issuer, match: { 'kubernetes.io/namespace': 'shop' } })]);
  const claims = {
    iss: issuer, sub: 'system:serviceaccount:shop:deployer', aud: ['curfew'], jti: 'k', iat: NOW_S, nbf: NOW_S, exp: NOW_S + 3_607,
    'kubernetes.io': { namespace: 'shop', node: { name: 'n', uid: 'u' }, pod: { name: 'p', uid: 'u' }, serviceaccount: { name: 'deployer', uid: 'u' } },
  };
  expect(identityOf(await ask(cluster, token(claims))).workload).toBe('oidc:oidc.eks.eu-central-1.amazonaws.com/id/ABC/ns/shop/sa/deployer');
  expect(reasonOf(await ask(cluster, token({ ...claims, 'kubernetes.io': { ...claims['kubernetes.io'], namespace: 'other' } })))).toBe('credential.claims');
  expect(reasonOf(await ask(cluster, token({ ...claims, 'kubernetes.io': 'shop' })))).toBe('credential.claims');
});

test('any other issuer: the id is its host and path and the encoded subject', async () => {
  const issuer = 'https://login.example:8443/realms/shop';
  const other = authenticatorWith([oidc({ issuer })]);
  const claims = { iss: issuer, sub: 'jobs/nightly run', aud: 'curfew', exp: NOW_S + 60 };
  expect(identityOf(await ask(other, token(claims))).workload).toBe('oidc:login.example:8443/realms/shop/jobs%2Fnightly%20run');
  for (const sub of [undefined, '', 7.5, null, ['x']]) expect.soft(reasonOf(await ask(other, token({ ...claims, sub })))).toBe('credential.claims');
});

test('A7: an OIDC issuer can not vouch for a SPIFFE ID', async () => {
  const both = authenticatorWith([oidc({ issuer: 'https://idp.example' }), spiffeIssuer()]);
  const claims = { iss: 'https://idp.example', sub: 'spiffe://example.org/ci', aud: 'curfew', exp: NOW_S + 60 };
  expect(identityOf(await ask(both, token(claims))).workload).toBe('oidc:idp.example/spiffe%3A%2F%2Fexample.org%2Fci');
  expect(reasonOf(await ask(both, token({ ...claims, iss: undefined })))).toBe('credential.key_unknown');
  expect(identityOf(await ask(both, svid())).workload).toBe('spiffe://example.org/ci');
});

test('matchers: values, several values, prefixes, lists, nested names; own members only', async () => {
  const claims = { iss: 'https://idp.example', sub: 's', aud: 'curfew', exp: NOW_S + 60, groups: ['a', 'ops'], admin: true, level: 3, ref: 'release/1', 'https://x/y': { z: 'q' } };
  const allows = async (match: Record<string, unknown>) => reasonOf(await ask(authenticatorWith([oidc({ issuer: 'https://idp.example', match })]), token(claims)));
  for (const match of [{ groups: 'ops' }, { groups: ['x', 'ops'] }, { admin: true }, { level: 3 }, { ref: { prefix: 'release/' } }, { 'https:~1~1x~1y/z': 'q' }, { groups: { prefix: 'op' } }]) {
    expect.soft(await allows(match), JSON.stringify(match)).toBe('allowed');
  }
  for (const match of [
    { groups: 'op' }, { admin: 'true' }, { level: '3' }, { ref: 'release' }, { ref: { prefix: 'Release/' } },
    { toString: { prefix: 'f' } }, { constructor: 'x' }, { 'groups/0': 'a' }, { missing: { prefix: 'x' } }, { groups: 'ops', admin: false },
  ]) {
    expect.soft(await allows(match), JSON.stringify(match)).toBe('credential.claims');
  }
});

test('keys of use enc, symmetric keys and unknown ones verify nothing; the rest of the set works', async () => {
  const mixed = { keys: [{ kty: 'oct', kid: 'o', k: b64('secret') }, { kty: 'XX', kid: 'x' }, { ...rsa.jwk, kid: 'enc', use: 'enc' }, ...jwksOf(rsa).keys] };
  const other = authenticatorWith([oidc({ issuer: 'https://idp.example', keys: { jwks: mixed } })]);
  const claims = { iss: 'https://idp.example', sub: 's', aud: 'curfew', exp: NOW_S + 60 };
  expect(reasonOf(await ask(other, token(claims)))).toBe('allowed');
  expect(reasonOf(await ask(other, token(claims, { kid: 'enc' })))).toBe('credential.key_unknown');
  expect(other.status()).toEqual([{ issuer: 'https://idp.example', keys: 1 }]);
});

const faultOf = (...issuers: unknown[]): string => {
  const { error } = identityConfig.safeParse({ issuers });
  return error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ') ?? 'fine';
};

test.each<[string, unknown[], RegExp]>([
  ['no issuer', [oidc({})], /issuer: is required/],
  ['http', [oidc({ issuer: 'http://idp.example' })], /issuer: must be https/],
  ['credentials in the issuer', [oidc({ issuer: 'https://a:b@idp.example' })], /credentials/],
  ['file: as keys URL', [oidc({ issuer: 'https://idp.example', keys: { url: 'file:///etc/passwd' } })], /keys\.url: must be https/],
  ['http as keys URL', [oidc({ issuer: 'https://idp.example', keys: { url: 'http://169.254.169.254/' } })], /keys\.url: must be https/],
  ['http beyond loopback although insecureLoopback', [oidc({ issuer: 'https://idp.example', keys: { url: 'http://10.0.0.1/', insecureLoopback: true } })], /keys\.url: must be https/],
  ['an unknown member', [oidc({ issuer: 'https://idp.example', algorithm: ['RS256'] })], /algorithm/],
  ['alg none', [oidc({ issuer: 'https://idp.example', algorithms: ['none'] })], /algorithms/],
  ['a symmetric algorithm', [oidc({ issuer: 'https://idp.example', algorithms: ['HS256'] })], /algorithms/],
  ['no algorithm', [oidc({ issuer: 'https://idp.example', algorithms: [] })], /algorithms/],
  ['EdDSA for SPIFFE', [spiffeIssuer({ algorithms: ['EdDSA'] })], /algorithms/],
  ['no audience', [spiffeIssuer({ audiences: [] })], /audiences/],
  ['A7: a trust domain in upper case', [spiffeIssuer({ trustDomain: 'Example.org' })], /trustDomain/],
  ['an id that is a SPIFFE ID', [oidc({ issuer: 'https://idp.example', id: 'spiffe://example.org/{sub}' })], /id: must begin with oidc:/],
  ['an id without a claim', [oidc({ issuer: 'https://idp.example', id: 'oidc:{issuer}/all' })], /id: must name at least one claim/],
  ['an id with a letter that would be encoded', [oidc({ issuer: 'https://idp.example', id: 'oidc:{issuer}/é/{sub}' })], /id: must be oidc:/],
  ['an id with a dot segment', [oidc({ issuer: 'https://idp.example', id: 'oidc:{issuer}/../{sub}' })], /id: must be oidc:/],
  ['an id with an open brace', [oidc({ issuer: 'https://idp.example', id: 'oidc:{issuer}/{sub' })], /id: /],
  ['GitHub without an owner', [oidc({ preset: 'github', match: { ref: 'refs/heads/main' } })], /match: anyone may get tokens/],
  ['one issuer twice', [oidc({ issuer: 'https://idp.example' }), oidc({ issuer: 'https://idp.example' })], /1\.issuer: the issuer is configured twice/],
  ['one trust domain twice', [spiffeIssuer(), spiffeIssuer()], /1\.trustDomain: the trust domain is configured twice/],
  ['two issuers whose ids could be equal', [oidc({ issuer: 'https://a.example', id: 'oidc:shop/{sub}' }), oidc({ issuer: 'https://b.example', id: 'oidc:shop/{job}' })], /id template/],
  ['two spellings of one issuer', [oidc({ issuer: 'https://a.example' }), oidc({ issuer: 'https://a.example/' })], /id template/],
  ['C1: a maximum age that is no number', [spiffeIssuer({ maxCredentialAgeMs: '1h' })], /maxCredentialAgeMs/],
  ['C1: a maximum age of 1.5', [spiffeIssuer({ maxCredentialAgeMs: 1500.5 })], /maxCredentialAgeMs/],
  ['C1: a maximum age beyond a day', [spiffeIssuer({ maxCredentialAgeMs: 86_400_001 })], /maxCredentialAgeMs/],
  ['keys that live shorter than their refresh', [oidc({ issuer: 'https://idp.example', keys: { url: 'https://idp.example/k', refreshMs: 60_000, maxKeyAgeMs: 30_000 } })], /maxKeyAgeMs/],
])('configuration is refused: %s', (_, issuers, expected) => expect(faultOf(...issuers)).toMatch(expected));

test('configuration is accepted: the same issuer in realms apart, nested issuers, presets', () => {
  expect(faultOf(oidc({ issuer: 'https://idp.example', realms: ['a'] }), oidc({ issuer: 'https://idp.example', realms: ['b'] }))).toBe('fine');
  expect(faultOf(oidc({ issuer: 'https://idp.example/a' }), oidc({ issuer: 'https://idp.example/a/b' }), oidc({ issuer: 'https://idp.example/c' }))).toBe('fine');
  expect(faultOf(oidc({ preset: 'github', match: { repository_id: '1' } }), oidc({ preset: 'gitlab', match: { project_id: '1' } }), oidc({ preset: 'gitlab', issuer: 'https://git.example' }))).toBe('fine');
});
