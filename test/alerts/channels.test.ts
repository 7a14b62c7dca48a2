/** Channels against real receivers: a webhook's signature is what Standard Webhooks says, mail arrives at a real mail server, failures are told apart, nothing secret is told. */
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMTPServer } from 'smtp-server';
import { afterEach, expect, test } from 'vitest';
import { alertsConfig, type SmtpConfig, type WebhookConfig } from '../../src/alerts/config.ts';
import { openChannels } from '../../src/alerts/open-channels.ts';
import { raise } from '../../src/domain/alert.ts';
import type { Instant } from '../../src/domain/instant.ts';
import { certificate } from '../identity/x509.ts';

const NOW = 1_800_000_000_500 as Instant;
const SECRET = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`;
const PASSWORD = 'canary-smtp-password';
const ALERT = raise('break-glass.used', 'grant-1', NOW, { grant: 'grant-1', workload: 'spiffe://dev.local/a\u202e' }, ['team:shop', 'team:unknown']);
const ENV: Readonly<Record<string, string>> = { HOOK: SECRET, MAIL: PASSWORD };

const LIFE = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 3_600_000 };
const AUTHORITY = certificate({ ...LIFE, subject: [{ CN: 'authority' }], ca: true });
const LEAF = certificate({ ...LIFE, by: AUTHORITY, dns: ['localhost'] });

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const open = (channel: object, timeoutMs = 20_000) => {
  const [made] = openChannels(alertsConfig.parse({ channels: [channel], timeoutMs }), { clock: { now: () => ({ earliest: NOW, latest: NOW, trusted: true }) }, secrets: { env: (name) => ENV[name] }, writeLine: () => undefined });
  if (made === undefined) throw new Error('no channel');
  return made;
};

const receive = async (respond: (count: number) => number | 'silent') => {
  const got: { headers: Record<string, string>; body: string }[] = [];
  const server: Server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => { body += String(chunk); });
    request.on('end', () => {
      got.push({ headers: request.headers as Record<string, string>, body });
      const status = respond(got.length);
      if (status !== 'silent') response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end('x'.repeat(100_000));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { got, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook` };
};
const hook = (url: string, more: Partial<WebhookConfig> = {}) => ({ kind: 'webhook', id: 'hook', url, secret: { env: 'HOOK' }, insecureLoopback: true, ...more });

test('a webhook is signed over id, time and body, and can be checked by whoever knows Standard Webhooks', async () => {
  const { got, url } = await receive(() => 204);
  expect(await open(hook(url)).send('default', ALERT)).toEqual({ outcome: 'delivered' });
  expect(await open(hook(url)).send('default', ALERT)).toEqual({ outcome: 'delivered' });
  const [first, second] = got;
  expect(first?.headers['webhook-id']).toBe('default/break-glass.used:grant-1');
  expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
  expect(first?.headers['webhook-timestamp']).toBe('1800000000');
  const expected = createHmac('sha256', Buffer.from(SECRET.slice(6), 'base64')).update(`${first?.headers['webhook-id']}.1800000000.${first?.body}`).digest('base64');
  expect(first?.headers['webhook-signature']).toBe(`v1,${expected}`);
  expect(JSON.parse(first?.body ?? '')).toMatchObject({ type: 'break-glass.used', severity: 'critical', realm: 'default', timestamp: '2027-01-15T08:00:00.500Z', data: { grant: 'grant-1' } });
  expect(first?.body).not.toContain(SECRET.slice(6));
});

test('what a receiver answers is told apart: the message, or the receiver; redirects are not followed; nothing waits for ever', async () => {
  const outcomes = async (status: number | 'silent') => {
    const { url } = await receive(() => status);
    return (await open(hook(url), status === 'silent' ? 300 : 20_000).send('default', ALERT)).outcome;
  };
  expect(await Promise.all([200, 202, 299].map(outcomes))).toEqual(['delivered', 'delivered', 'delivered']);
  expect(await Promise.all([400, 413, 422].map(outcomes))).toEqual(['refused', 'refused', 'refused']);
  expect(await Promise.all([301, 307, 401, 403, 404, 408, 429, 500, 503].map(outcomes))).toEqual(Array.from({ length: 9 }, () => 'failed'));
  expect(await outcomes('silent')).toBe('failed');
  expect(await open(hook('http://127.0.0.1:1/')).send('default', ALERT)).toEqual({ outcome: 'failed', detail: "the receiver can't be reached (ECONNREFUSED)" });
});

test('secrets come from files and variables as they are then; without one nothing is sent', async () => {
  const { got, url } = await receive(() => 200);
  const folder = mkdtempSync(join(tmpdir(), 'curfew-hook-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'secret');
  const channel = open(hook(url, { secret: { file } }));
  expect(await channel.send('default', ALERT)).toMatchObject({ outcome: 'failed' });
  writeFileSync(file, 'too short');
  expect(await channel.send('default', ALERT)).toMatchObject({ outcome: 'failed' });
  expect(got).toEqual([]);
  for (const secret of ['one secret of many characters', 'another secret of many characters']) {
    writeFileSync(file, `${secret}\n`);
    await channel.send('default', ALERT);
    const { headers, body } = got.at(-1)!;
    expect(headers['webhook-signature']).toBe(`v1,${createHmac('sha256', secret).update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`).digest('base64')}`);
  }
});

interface Mail { to: string[]; from: string; text: string; secure: boolean; user: string | undefined }
const mailServer = async (options: { refuse?: boolean; plain?: boolean } = {}) => {
  const mails: Mail[] = [];
  const server = new SMTPServer({
    key: LEAF.keyPem, cert: LEAF.pem, authOptional: options.plain === true, logger: false, disabledCommands: options.plain === true ? ['STARTTLS', 'AUTH'] : [],
    onAuth: ({ username, password }, _session, done) => (password === PASSWORD ? done(null, { user: username }) : done(new Error('no'))),
    onRcptTo: (_address, _session, done) => done(options.refuse === true ? Object.assign(new Error('no such user'), { responseCode: 550 }) : undefined),
    onData: (stream, session, done) => {
      let text = '';
      stream.on('data', (chunk: Buffer) => { text += String(chunk); });
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({ from: mailFrom === false ? '' : mailFrom.address, to: rcptTo.map(({ address }) => address), text, secure: session.secure, user: session.user as string | undefined });
        done();
      });
    },
  });
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => new Promise<void>((resolve) => server.close(resolve)));
  const folder = mkdtempSync(join(tmpdir(), 'curfew-mail-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'ca.pem'), AUTHORITY.pem);
  return { mails, port: (server.server.address() as AddressInfo).port, ca: join(folder, 'ca.pem') };
};
const mail = (port: number, more: Partial<SmtpConfig> = {}) => ({ kind: 'smtp', id: 'mail', host: 'localhost', port, sender: 'curfew@example.org', to: ['oncall@example.org'], addresses: { 'team:shop': 'shop@example.org' }, ...more });

test('mail goes encrypted, with the account given, to everybody it is for, as one plain text', async () => {
  const { mails, port, ca } = await mailServer();
  const channel = open(mail(port, { ca, user: 'curfew', password: { env: 'MAIL' } }));
  expect(await channel.send('default', ALERT)).toEqual({ outcome: 'delivered' });
  const [got] = mails;
  expect(got).toMatchObject({ from: 'curfew@example.org', to: ['oncall@example.org', 'shop@example.org'], secure: true, user: 'curfew' });
  const [head = '', body = ''] = got!.text.split('\r\n\r\n');
  expect(head).toMatch(/^Subject: \[curfew critical\] break-glass\.used: /m);
  expect(head).toMatch(/^Message-ID:\s+<[0-9a-f]{64}@curfew\.invalid>$/m);
  expect(body).toContain('"grant": "grant-1"');
  expect(body).toContain(String.raw`\u202e`);
  expect(got!.text).not.toContain(PASSWORD);
  await channel.send('default', ALERT);
  const idOf = ({ text }: Mail) => /^Message-ID:\s+(.*)$/m.exec(text)?.[1];
  expect(idOf(mails[1]!)).toBe(idOf(mails[0]!));
});

test('mail is not sent where the server does not encrypt, is not who it should be, does not know the account, or will not have the message', async () => {
  const { port, ca, mails } = await mailServer();
  const account = { user: 'curfew', password: { env: 'MAIL' } } as const;
  expect(await open(mail(port, account)).send('default', ALERT)).toMatchObject({ outcome: 'failed' });
  expect(await open(mail(port, { ca, user: 'curfew', password: { env: 'HOOK' } })).send('default', ALERT)).toEqual({ outcome: 'failed', detail: 'the mail server answered 535' });
  expect(await open(mail(port, { ca, user: 'curfew', password: { env: 'NONE' } })).send('default', ALERT)).toMatchObject({ outcome: 'failed' });
  expect(await open(mail(1, { ca, ...account })).send('default', ALERT)).toMatchObject({ outcome: 'failed' });
  expect(mails).toEqual([]);
  const plain = await mailServer({ plain: true });
  expect(await open(mail(plain.port)).send('default', ALERT)).toMatchObject({ outcome: 'failed' });
  expect(await open(mail(plain.port, { tls: 'none' })).send('default', ALERT)).toEqual({ outcome: 'delivered' });
  const refusing = await mailServer({ plain: true, refuse: true });
  expect(await open(mail(refusing.port, { tls: 'none' })).send('default', ALERT)).toMatchObject({ outcome: 'refused' });
});

test('configuration: https or loopback, encryption beyond this machine, plain addresses, ids once', () => {
  const faults = (channel: object) => alertsConfig.safeParse({ channels: [channel] }).error?.issues.map(({ path }) => path.join('.')) ?? [];
  expect(faults(hook('https://hooks.example.org/x', { insecureLoopback: false }))).toEqual([]);
  expect(faults(hook('http://hooks.example.org/x'))).toEqual(['channels.0.url']);
  expect(faults(hook('https://user:pass@hooks.example.org/x'))).toEqual(['channels.0.url']);
  expect(faults(mail(25, { host: 'mail.example.org', tls: 'none' }))).toEqual(['channels.0.tls']);
  expect(faults(mail(25, { to: ['a@b.org\r\nBcc: c@d.org'] }))).toEqual(['channels.0.to.0']);
  expect(faults(mail(25, { user: 'x' }))).toEqual(['channels.0.user']);
  expect(faults(hook('https://h.example/x', { only: ['nothing.known'] as never }))).toEqual(['channels.0.only.0']);
  expect(alertsConfig.safeParse({ channels: [{ kind: 'log', id: 'a' }, { kind: 'log', id: 'a' }] }).success).toBe(false);
});
