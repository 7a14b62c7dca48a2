/**
 * Delegated tokens (`act`, RFC 8693): the actor's grants count, nobody's else; whoever stands in the chain can end it; the chain is in the policy's input and
 * in the record. Through the real authenticator and the real pipeline. F5: a chain that is dropped, reordered, forged or too deep gains nothing.
 */
import { describe, expect, test } from 'vitest';
import type { DurationMs } from '../../src/domain/instant.ts';
import type { Selector } from '../../src/domain/selector.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { createAdmit } from '../../src/lifecycle/admit.ts';
import { policyInput } from '../../src/policy/input-schema.ts';
import { createWorld, evaluationOf, T0 } from '../decision/world.ts';
import { b64, bundleOf, jwksOf, newKey, signed } from './forge.ts';
import { identityConfig } from '../../src/identity/config.ts';
import { authenticatorWith } from './spiffe-fixture.ts';

const key = newKey();
const other = newKey();
const rsa = newKey('RS256', 'r1');
const [USER, GATEWAY, AGENT] = ['spiffe://example.org/user/ann', 'spiffe://example.org/gateway', 'spiffe://example.org/ci/deployer'] as const;
const STS = 'https://sts.example';

const authenticator = authenticatorWith([
  { kind: 'spiffe', trustDomain: 'example.org', audiences: ['curfew'], bundle: { jwks: bundleOf(key) } },
  { kind: 'spiffe', trustDomain: 'partner.example', audiences: ['curfew'], bundle: { jwks: bundleOf(other) } },
  { kind: 'oidc', issuer: STS, audiences: ['curfew'], keys: { jwks: jwksOf(rsa) } },
]);
const times = { aud: 'curfew', iat: T0 / 1000, exp: T0 / 1000 + 60 };
const svid = (claims: object, by = key) => signed({ alg: by.alg, kid: by.kid, typ: 'JWT' }, { ...times, jti: 'j1', ...claims }, by);
const ofSts = (claims: object) => signed({ alg: 'RS256', kid: 'r1', typ: 'JWT' }, { ...times, iss: STS, jti: 'j1', ...claims }, rsa);
const actors = (...ids: readonly string[]): object => ids.toReversed().reduce<object>((act, sub) => ({ act: { sub, ...act } }), {});

const createActorWorld = (by = authenticator) => {
  const world = createWorld({ authenticator: by, limits: { decisionDeadlineMs: 10_000 as DurationMs, maxFactsAgeMs: 10_000 as DurationMs, credentialSkewMs: 1_000, pepCacheMaxMs: 0, policyMaySet: [] } });
  const inputs: JsonObject[] = [];
  world.state.policy = (input) => {
    inputs.push(input);
    return { kind: 'value', value: true };
  };
  const ask = async (token: string) => {
    const decision = await world.decide(evaluationOf({ presented: { kind: 'bearer', token } }));
    return decision.allow ? 'allow' : decision.reason;
  };
  return { world, inputs, ask };
};

describe('demand(15): a token with actors', () => {
  test('the actor that uses it is the workload; whom it acts for and who acted before are in the input and in the record', async () => {
    const { world, inputs, ask } = createActorWorld();
    world.issue({ workload: AGENT });
    expect(await ask(svid({ sub: USER, ...actors(AGENT, GATEWAY) }))).toBe('allow');
    const { curfew } = policyInput.parse(inputs[0]);
    expect(curfew.subject).toEqual({ id: AGENT, kind: 'jwt-svid', trust_domain: 'example.org', on_behalf_of: { id: USER, prior_actors: [GATEWAY] } });
    expect(world.state.records[0]).toMatchObject({ workload: AGENT, onBehalfOf: { subject: USER, priorActors: [GATEWAY] } });
    expect(await ask(svid({ sub: AGENT })), 'without actors as ever').toBe('allow');
    expect(world.state.records[1]).not.toHaveProperty('onBehalfOf');
  });

  test('F5: grants of the subject and of prior actors give nothing, so that a chain is worth no more than who uses it', async () => {
    const { world, ask } = createActorWorld();
    world.issue({ workload: AGENT });
    for (const claims of [{ sub: AGENT, ...actors(USER) }, { sub: AGENT, ...actors(GATEWAY, USER) }, { sub: USER, ...actors(GATEWAY, AGENT) }, { sub: USER, ...actors(GATEWAY) }, { sub: USER }]) {
      expect(await ask(svid(claims)), JSON.stringify(claims)).toBe('grant.none');
    }
    expect(await ask(svid({ sub: USER, ...actors(AGENT) })), 'the control').toBe('allow');
  });

  const links: readonly (readonly [string, Selector])[] = [
    ['the subject', { kind: 'workload', value: USER }], ['a prior actor', { kind: 'workload', value: GATEWAY }], ['who uses it', { kind: 'workload', value: AGENT }],
    ['all below a path of the subject', { kind: 'workload-prefix', value: 'spiffe://example.org/user' }], ['the trust domain', { kind: 'trust-domain', value: 'example.org' }], ['the issuer', { kind: 'issuer', value: 'spiffe://example.org' }],
  ];
  test.each(links)('F5: an ending of %s ends it, by revocation and by suspension', async (_name, selector) => {
    for (const end of ['revoke', 'suspend'] as const) {
      const { world, ask } = createActorWorld();
      world.issue({ workload: AGENT });
      const token = svid({ sub: USER, ...actors(AGENT, GATEWAY) });
      expect(await ask(token)).toBe('allow');
      world[end](selector);
      expect(await ask(token), end).toMatch(end === 'revoke' ? /revoked$/ : /suspended$/);
    }
  });

  test('an ending of somebody else, and of whom the chain does not name, changes nothing', async () => {
    const { world, ask } = createActorWorld();
    world.issue({ workload: AGENT });
    for (const value of ['spiffe://example.org/user/ben', 'spiffe://example.org/gateway2']) world.revoke({ kind: 'workload', value });
    expect(await ask(svid({ sub: USER, ...actors(AGENT, GATEWAY) }))).toBe('allow');
  });

  test('an ending that lands while the policy runs is seen', async () => {
    const { world, ask } = createActorWorld();
    world.issue({ workload: AGENT });
    world.state.duringPolicy = () => world.revoke({ kind: 'workload', value: USER });
    expect(await ask(svid({ sub: USER, ...actors(AGENT) }))).toBe('subject.revoked');
  });

  test.each<[string, object]>([
    ['text', { act: AGENT }], ['a list', { act: [{ sub: AGENT }] }], ['null', { act: null }], ['true', { act: true }], ['empty', { act: {} }], ['an empty subject', { act: { sub: '' } }], ['a subject that is none', { act: { sub: 7 } }],
    ['a nested one that is text', { act: { sub: AGENT, act: GATEWAY } }], ['a nested one without subject', { act: { sub: AGENT, act: {} } }], ['an actor of another trust domain', actors('spiffe://partner.example/x')],
    ['a prior actor of another trust domain', actors(AGENT, 'spiffe://partner.example/x')], ['an issuer of its own', { act: { sub: AGENT, iss: 'https://elsewhere.example' } }], ['an issuer that is no text', { act: { sub: AGENT, iss: null } }],
    ['another spelling', actors('spiffe://example.org/ci/../ci/deployer')], ['upper case', actors('SPIFFE://example.org/ci/deployer')], ['five of them', actors(AGENT, GATEWAY, GATEWAY, GATEWAY, GATEWAY)], ['five hundred of them', actors(...Array.from({ length: 500 }, () => AGENT))],
  ])('F5: act as %s makes the token nobody\'s', async (_name, claims) => {
    const { world, ask } = createActorWorld();
    world.issue({ workload: AGENT });
    expect(await ask(svid({ sub: USER, ...claims }))).toMatch(/^credential\.(claims|malformed)$/);
    expect(await ask(svid({ sub: USER, ...actors(AGENT, GATEWAY, GATEWAY, GATEWAY) })), 'the control: as deep as may be').toBe('allow');
  });

  test('F5: a chain that was taken off, or put on, breaks the signature', async () => {
    const { world, ask } = createActorWorld();
    world.issue({ workload: AGENT });
    world.issue({ id: 'g2', workload: USER });
    const [head, , signature] = svid({ sub: USER, ...actors(AGENT) }).split('.') as [string, string, string];
    for (const claims of [{ sub: USER }, { sub: AGENT }, { sub: USER, ...actors(AGENT, GATEWAY) }]) expect(await ask(`${head}.${b64(JSON.stringify({ ...times, jti: 'j1', ...claims }))}.${signature}`)).toBe('credential.signature');
  });

  test('an issuer vouches for actors under its own name; what ended for the SPIFFE ID that it spells ends it too', async () => {
    const { world, ask } = createActorWorld();
    world.issue({ workload: AGENT });
    const spelt = `oidc:sts.example/${encodeURIComponent(AGENT)}`;
    const token = ofSts({ sub: 'ann', ...actors(AGENT) });
    expect(await ask(token), 'another issuer is not this workload').toBe('grant.none');
    world.issue({ id: 'g2', workload: spelt });
    expect(await ask(token)).toBe('allow');
    expect(await ask(ofSts({ sub: 'ann', act: { sub: AGENT, iss: STS } }))).toBe('allow');
    expect(await ask(ofSts({ sub: 'ann', act: { sub: AGENT, iss: 'spiffe://example.org' } }))).toBe('credential.claims');
    world.suspend({ kind: 'workload', value: AGENT });
    expect(await ask(token)).toBe('subject.suspended');
  });

  test('what a workload does for itself takes a credential of its own', async () => {
    const { world } = createActorWorld();
    const admit = createAdmit({ store: world.store as never, credentialSkewMs: 0 });
    const identity = async (token: string) => {
      const answer = await authenticator.authenticate({ kind: 'bearer', token }, { realm: 'default', now: { earliest: T0, latest: T0 } });
      if (!answer.ok) throw new Error(answer.reason);
      return answer.identity;
    };
    const at = { realm: 'default', now: { earliest: T0, latest: T0 } };
    expect(await admit(await identity(svid({ sub: USER, ...actors(AGENT) })), at)).toBe('credential.type');
    expect(await admit(await identity(svid({ sub: AGENT })), at)).toBeUndefined();
  });

  const [agent, subject, outside] = [AGENT, 'ann', 'spiffe://partner.example/x'] as const;
  const trusting = authenticatorWith([
    { kind: 'spiffe', trustDomain: 'example.org', audiences: ['curfew'], bundle: { jwks: bundleOf(key) } },
    { kind: 'spiffe', trustDomain: 'partner.example', audiences: ['curfew'], bundle: { jwks: bundleOf(other) }, realms: ['red'] },
    { kind: 'oidc', issuer: STS, audiences: ['curfew'], keys: { jwks: jwksOf(rsa) }, actorsOf: ['spiffe://example.org', 'spiffe://partner.example', 'https://ci.example'] },
    { kind: 'oidc', issuer: 'https://ci.example', audiences: ['curfew'], keys: { jwks: jwksOf(newKey('RS256', 'c1')) }, match: { tier: 'prod' } },
  ]);
  const act = (iss: string, sub: string, more: object = {}) => ({ act: { sub, iss, ...more } });

  test('an actor of another issuer counts where the token\'s issuer may name it: as who the other issuer\'s rules make of it, in the realms of both, and whatever ends the other issuer ends it', async () => {
    const { world, ask } = createActorWorld(trusting);
    world.issue({ workload: agent });
    const token = ofSts({ sub: subject, ...act('spiffe://example.org', agent) });
    expect(await ask(token)).toBe('allow');
    expect(world.state.records[0]).toMatchObject({ workload: agent, onBehalfOf: { subject: 'oidc:sts.example/ann', priorActors: [] } });
    expect(await ask(ofSts({ sub: subject, ...act(STS, 'gw', act('spiffe://example.org', agent)) })), 'a prior actor gives nothing').toBe('grant.none');
    expect(await ask(ofSts({ sub: subject, ...act('spiffe://example.org', agent, act(STS, 'gw')) }))).toBe('allow');
    expect(await ask(ofSts({ sub: subject, ...act('https://ci.example', 'job', { tier: 'prod' }) })), 'known, without a grant').toBe('grant.none');
    for (const bad of [
      act('spiffe://example.org', outside), act('https://elsewhere.example', agent), act('spiffe://partner.example', outside), act('https://ci.example', 'job'), act('https://ci.example', 'job', { tier: 'dev' }),
      act('SPIFFE://example.org', agent), act('spiffe://example.org', 'ann'), act('spiffe://example.org', agent, { act: { sub: outside, iss: 'spiffe://partner.example' } }),
    ]) expect(await ask(ofSts({ sub: subject, ...bad })), JSON.stringify(bad)).toBe('credential.claims');
    // A trust domain that was not told that it may, names nobody else's.
    expect(await ask(svid({ sub: USER, ...act(STS, 'gw') }))).toBe('credential.claims');
    world.suspend({ kind: 'issuer', value: 'spiffe://example.org' });
    expect(await ask(token)).toBe('credential.suspended');
  });

  test('an issuer of actors that is revoked takes along what they were granted; a remembered token is judged anew in another realm', async () => {
    const { world, ask } = createActorWorld(trusting);
    world.issue({ workload: 'oidc:ci.example/job' });
    const token = ofSts({ sub: subject, ...act('https://ci.example', 'job', { tier: 'prod' }) });
    expect(await ask(token)).toBe('allow');
    world.revoke({ kind: 'issuer', value: 'https://ci.example' });
    expect(await ask(token)).toMatch(/revoked$/);
    expect(await ask(ofSts({ sub: subject, jti: 'later', ...act('https://ci.example', 'job', { tier: 'prod' }) }))).toMatch(/revoked$/);
    const inRealm = async (realm: string) => {
      const answer = await trusting.authenticate({ kind: 'bearer', token: ofSts({ sub: subject, jti: 'same', ...act('spiffe://partner.example', outside) }) }, { realm, now: { earliest: T0, latest: T0 } });
      return answer.ok ? answer.identity.workload : answer.reason;
    };
    expect([await inRealm('default'), await inRealm('red'), await inRealm('default'), await inRealm('red')]).toEqual(['credential.claims', outside, 'credential.claims', outside]);
  });

  test('whom an issuer may name as actors is another issuer of the configuration, in a realm of both', () => {
    const sts = (actorsOf: readonly string[]) => ({ kind: 'oidc', issuer: STS, audiences: ['curfew'], keys: { jwks: jwksOf(rsa) }, realms: ['default'], actorsOf });
    const red = { kind: 'spiffe', trustDomain: 'red.example', audiences: ['curfew'], bundle: { jwks: bundleOf(key) }, realms: ['red'] };
    const faults = (actorsOf: readonly string[]) => identityConfig.safeParse({ issuers: [sts(actorsOf), red] }).error?.issues.map(({ path, message }) => [path.join('.'), message]) ?? [];
    expect(faults([])).toEqual([]);
    for (const name of [STS, 'spiffe://red.example', 'red.example', 'https://nobody.example']) expect(faults([name]), name).toEqual([['issuers.0.actorsOf.0', 'is no other issuer of its realms']]);
  });
});
