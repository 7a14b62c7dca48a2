/** Enforcement points: who proves what, and how far its word reaches (THREATS A5, B1, G2). */
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { pepConfig } from '../../../src/gateways/config.ts';
import type { PepCertificate } from '../../../src/gateways/pep.ts';
import { createPepAuthenticator, type ListenerBinding } from '../../../src/gateways/pep.ts';
import { reachOf } from '../../../src/gateways/pep.ts';
import { forwarded, startGateway, temporaryPath, type TestGateway, type TestGatewayOptions } from '../../support/http-gateway.ts';
import { askOnce, requestText } from '../../support/raw-socket.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const TOKEN = 'nginx-token-0123456789';
const OTHER = 'other-token-0123456789';
const nginx = { id: 'nginx', token: { sha256: sha256(TOKEN) }, hosts: ['Shop.Local'] };
const secrets = { readFile: () => `${TOKEN}\n`, env: () => undefined };

describe('proof', () => {
  const peps = [
    pepConfig.parse(nginx),
    pepConfig.parse({ id: 'mesh', certificate: { san: 'spiffe://prod/envoy' } }),
    pepConfig.parse({ id: 'pinned', certificate: { san: 'pinned.local', sha256: 'a'.repeat(64) } }),
    pepConfig.parse({ id: 'local', unixListener: 'socket' }),
    pepConfig.parse({ id: 'both', token: { sha256: sha256(OTHER) }, certificate: { san: 'both.local' } }),
  ];
  const authenticate = createPepAuthenticator(peps, secrets);
  const on = (reach: ListenerBinding['reach'], pep?: 'anonymous', id = 'http'): ListenerBinding => ({ id, reach, pep });
  const who = (listener: ListenerBinding, tokens: readonly string[] = [], certificate?: PepCertificate): string => {
    const outcome = authenticate({ listener, tokens, certificate });
    return outcome.ok ? (outcome.pep.id ?? 'anonymous') : outcome.reason;
  };
  const shown = (...sans: readonly string[]): PepCertificate => ({ sans, sha256: 'b'.repeat(64) });

  test('a token, a certificate or a Unix socket proves it', () => {
    expect(who(on('network'), [TOKEN])).toBe('nginx');
    expect(who(on('network'), [], shown('other', 'spiffe://prod/envoy'))).toBe('mesh');
    expect(who(on('network'), [], { sans: ['pinned.local'], sha256: 'a'.repeat(64) })).toBe('pinned');
    expect(who(on('unix', undefined, 'socket'))).toBe('local');
    expect(who(on('network'), [OTHER], shown('both.local'))).toBe('both');
  });

  test('what was presented and does not fit denies, whatever else would fit', () => {
    for (const reach of ['network', 'loopback', 'unix'] as const) {
      for (const tokens of [['wrong'], [''], [TOKEN, TOKEN], [TOKEN, 'wrong'], [TOKEN.toUpperCase()], [`${TOKEN} `], ['x'.repeat(5_000)]]) {
        expect(who(on(reach, 'anonymous'), tokens), String(tokens)).toBe('pep.unauthenticated');
      }
      expect(who(on(reach, 'anonymous'), [], shown('stranger'))).toBe('pep.unauthenticated');
      expect(who(on(reach, 'anonymous'), [], shown('pinned.local'))).toBe('pep.unauthenticated');
      expect(who(on(reach, 'anonymous'), [TOKEN], shown('spiffe://prod/envoy'))).toBe('pep.unauthenticated');
    }
    expect(who(on('unix', undefined, 'socket'), [TOKEN])).toBe('pep.unauthenticated');
    expect(who(on('loopback', undefined, 'socket'))).toBe('pep.unauthenticated');
    expect(who(on('network'), [], shown('both.local', 'spiffe://prod/envoy'))).toBe('pep.unauthenticated');
  });

  test('nobody at all is served only where that is written out, or on loopback without any enforcement point', () => {
    expect(who(on('loopback'))).toBe('pep.unauthenticated');
    expect(who(on('network'))).toBe('pep.unauthenticated');
    expect(who(on('network', 'anonymous'))).toBe('anonymous');
    const none = createPepAuthenticator([], secrets);
    expect(none({ listener: on('loopback'), tokens: [] }).ok).toBe(true);
    expect(none({ listener: on('network'), tokens: [] }).ok).toBe(false);
    expect(none({ listener: on('loopback'), tokens: ['x'] }).ok).toBe(false);
    for (const [host, reach] of [['127.0.0.1', 'loopback'], ['127.1.2.3', 'loopback'], ['::1', 'loopback'], ['localhost', 'loopback'], ['0.0.0.0', 'network'], ['::', 'network'], ['127.evil.example', 'network'], ['10.0.0.1', 'network']] as const) {
      expect(reachOf(host), host).toBe(reach);
    }
  });

  test('tokens come from files and variables too; short, missing or shared ones are refused when they are loaded', () => {
    const fromFile = createPepAuthenticator([pepConfig.parse({ ...nginx, token: { file: '/secret' } })], secrets);
    expect(fromFile({ listener: on('network'), tokens: [TOKEN] }).ok).toBe(true);
    const load = (configs: readonly unknown[], readFile = () => 'short'): (() => unknown) => () =>
      createPepAuthenticator(configs.map((config) => pepConfig.parse(config)), { readFile, env: () => undefined });
    expect(load([{ ...nginx, token: { file: '/secret' } }])).toThrow(/PEP nginx/);
    expect(load([{ ...nginx, token: { env: 'NOT_SET' } }])).toThrow(/PEP nginx/);
    expect(load([nginx, { ...nginx, id: 'twin' }])).toThrow('share a token');
    expect(load([nginx, { id: 'nginx', unixListener: 'x' }])).toThrow('share an id');
    expect(load([{ ...nginx, token: { file: '/secret' } }], () => { throw new Error('ENOENT'); })).toThrow();
  });

  test('an enforcement point without any proof, with unknown keys or malformed values is no configuration', () => {
    for (const config of [
      { id: 'x' }, { ...nginx, surprise: 1 }, { ...nginx, id: 'a b' }, { ...nginx, token: { sha256: 'abc' } }, { ...nginx, hosts: ['a/b'] }, { ...nginx, realms: [] },
      { ...nginx, headers: 'forwarded' }, { id: 'x', certificate: {} },
    ]) expect(pepConfig.safeParse(config).success, JSON.stringify(config)).toBe(false);
    expect(pepConfig.parse(nginx).hosts).toEqual(['shop.local']);
  });
});

describe('reach', () => {
  let gateway: TestGateway | undefined;
  afterEach(async () => {
    await gateway?.close();
    gateway = undefined;
  });
  const start = async (options: TestGatewayOptions): Promise<TestGateway> => {
    gateway = await startGateway(options);
    return gateway;
  };
  const token = `X-Curfew-Pep-Token: ${TOKEN}`;
  const reason = async (lines: readonly string[]): Promise<string | undefined> => {
    const response = await askOnce(gateway?.port ?? 0, requestText('/forward-auth', lines));
    return response?.status === 200 ? 'allowed' : response?.headers.get('x-curfew-reason')?.[0];
  };

  test('the enforcement point is in the evaluation with its first realm; its token never is', async () => {
    const { evaluations } = await start({ peps: [{ ...nginx, realms: ['shop', 'other'], obligations: ['notification'] }] });
    expect(await reason([...forwarded('/a'), token])).toBe('allowed');
    expect(evaluations[0]).toMatchObject({ realm: 'shop', pep: { id: 'nginx', obligations: ['notification'] } });
    expect(JSON.stringify(evaluations)).not.toContain(TOKEN);
    expect(await reason(forwarded('/a'))).toBe('pep.unauthenticated');
    expect(await reason([...forwarded('/a'), token, token])).toBe('pep.unauthenticated');
  });

  test("B1: another vhost's host is refused, however it is written; no hosts means none, `*` any", async () => {
    await start({ peps: [nginx, { ...nginx, id: 'nowhere', token: { sha256: sha256(OTHER) }, hosts: [] }] });
    for (const host of ['shop.local', 'SHOP.LOCAL', 'shop.local.', 'shop.local:443']) expect(await reason([...forwarded('/a', [], 'GET', host), token]), host).toBe('allowed');
    for (const host of ['other.local', 'shop.local:8443', 'shop.local.evil', 'xshop.local']) {
      expect(await reason([...forwarded('/a', [], 'GET', host), token]), host).toBe('pep.not_permitted');
    }
    expect(await reason([...forwarded('/a'), `X-Curfew-Pep-Token: ${OTHER}`])).toBe('pep.not_permitted');
  });

  test("a listener's realm must be one of the enforcement point's; a client's word for a realm is nothing", async () => {
    const { evaluations } = await start({ peps: [{ ...nginx, realms: ['shop'] }], listener: { realm: 'bank' } });
    expect(await reason([...forwarded('/a'), token, 'X-Curfew-Realm: shop'])).toBe('pep.not_permitted');
    expect(evaluations[0]?.realm).toBe('bank');
  });

  test('x-original: method and URI from its own headers, the host from Host, the scheme from the configuration', async () => {
    const { evaluations } = await start({ peps: [{ ...nginx, headers: 'x-original', scheme: 'https' }] });
    const lines = ['Host: shop.local:443', token, 'Authorization: Bearer good', 'X-Original-Method: PUT', 'X-Original-URI: /a?b'];
    expect(await reason([...lines, 'X-Original-For: 10.1.1.1'])).toBe('allowed');
    expect(evaluations[0]?.question).toEqual({ action: 'PUT', resource: { type: 'http', id: 'shop.local/a' }, source: '10.1.1.1' });
    for (const line of ['X-Forwarded-Uri: /public', 'X-Forwarded-Method: GET', 'X-Forwarded-Host: shop.local', 'X-Forwarded-For: 1.1.1.1', 'x-forwarded-prefix: /x', 'X-Original-URI: /a?b', 'X-Original-Method: PUT', 'Host: shop.local']) {
      const response = await askOnce(gateway?.port ?? 0, requestText('/forward-auth', [...lines, line]));
      expect(response?.status === 403 || response?.status === 400, line).toBe(true);
    }
    expect(evaluations.slice(1).every(({ refused }) => refused === 'request.ambiguous')).toBe(true);
    expect(await reason(lines.filter((line) => !line.startsWith('X-Original-URI')))).toBe('request.malformed');
  });

  test("nginx's auth_request understands 401 and 403 only: other statuses of a policy become 403", async () => {
    const { denying, shapingOf } = await import('../../support/http-gateway.ts');
    await start({ peps: [{ ...nginx, headers: 'x-original' }], decide: (given) => denying(given, 'policy.denied', { shaping: shapingOf({ httpStatus: 429 }) }) });
    const response = await askOnce(gateway?.port ?? 0, requestText('/forward-auth', ['Host: shop.local', token, 'Authorization: Bearer good', 'X-Original-Method: GET', 'X-Original-URI: /a']));
    expect(response?.status).toBe(403);
  });

  test('A5: the peer of x-forwarded-client-cert counts only where it is configured, read strictly, and never beside a missing token', async () => {
    const hash = 'ab'.repeat(32);
    const xfcc = (value: string): string => `X-Forwarded-Client-Cert: ${value}`;
    const { evaluations } = await start({
      peps: [
        { ...nginx, xfcc: {} },
        { ...nginx, id: 'peers', token: { sha256: sha256(OTHER) }, subject: 'peer', xfcc: { elementsMax: 2 } },
      ],
    });
    const ask = async (lines: readonly string[]) => {
      evaluations.length = 0;
      return { reason: await reason(lines), evaluation: evaluations[0] };
    };
    // subject: token
    const both = await ask([...forwarded('/a'), token, xfcc(`Hash=${hash};URI=spiffe://prod/ci`)]);
    expect(both.evaluation).toMatchObject({
      presented: { kind: 'bearer', proof: { x5t: Buffer.from(hash, 'hex').toString('base64url') } }, otherPeer: { principal: 'spiffe://prod/ci' },
    });
    const without = await ask([...forwarded('/a').slice(1), token, xfcc(`Hash=${hash};URI=spiffe://prod/ci`)]);
    expect(without.reason).toBe('credential.missing');
    for (const value of ['', 'URI', 'URI=a,URI=b', 'Nonsense=1;URI=a', 'Hash=zz;URI=a', 'URI=a;URI=b']) {
      expect((await ask([...forwarded('/a'), token, xfcc(value)])).reason, value).toBe('credential.malformed');
    }
    expect((await ask([...forwarded('/a'), token, xfcc('URI=a'), xfcc('URI=a')])).reason).toBe('credential.malformed');
    // subject: peer
    const other = `X-Curfew-Pep-Token: ${OTHER}`;
    const peer = await ask([...forwarded('/a'), other, xfcc('URI=spiffe://prod/client,URI=spiffe://prod/ci')]);
    expect(peer.evaluation?.presented).toEqual({ kind: 'peer', peer: { principal: 'spiffe://prod/ci' } });
    expect((await ask([...forwarded('/a'), other])).reason).toBe('credential.missing');
  });

  test('a listener that takes the peer as subject serves nobody who has not proved itself', async () => {
    await start({ listener: { subject: 'peer' } });
    expect(await reason([...forwarded('/a'), 'X-Forwarded-Client-Cert: URI=spiffe://prod/admin'])).toBe('pep.unauthenticated');
  });

  test('a Unix socket binds its enforcement point; a file or socket of somebody else stays', async () => {
    const path = temporaryPath('pep.sock');
    const options: TestGatewayOptions = { listener: { id: 'local', port: false, unix: { path, mode: 0o600 } }, peps: [{ id: 'sidecar', unixListener: 'local', hosts: ['*'] }] };
    const { evaluations } = await start(options);
    const response = await askOnce({ path }, requestText('/forward-auth', forwarded('/a')));
    expect(response?.status).toBe(200);
    expect(evaluations[0]?.pep.id).toBe('sidecar');
    await expect(startGateway(options)).rejects.toThrow('in use by another process');
    const { statSync, writeFileSync, rmSync } = await import('node:fs');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const file = temporaryPath('file');
    writeFileSync(file, '');
    await expect(startGateway({ listener: { port: false, unix: { path: file } } })).rejects.toThrow('not a socket');
    rmSync(file);
  });
});
