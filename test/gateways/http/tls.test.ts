/** TLS on the listener: an enforcement point proves itself by its certificate; one that does not verify never helps. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { certificate, type Certificate } from '../../identity/x509.ts';
import { forwarded, startGateway, type TestGateway, type TestGatewayOptions } from '../../support/http-gateway.ts';
import { askOnce, requestText } from '../../support/raw-socket.ts';

const life = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 3_600_000 };
const ca = certificate({ ...life, subject: [{ CN: 'ca' }], ca: true });
const strangersCa = certificate({ ...life, subject: [{ CN: 'other ca' }], ca: true });
const server = certificate({ ...life, by: ca, subject: [{ CN: 'curfew' }], dns: ['curfew.local'] });
const renewed = certificate({ ...life, by: ca, subject: [{ CN: 'curfew' }], dns: ['curfew.local'], serialHex: '0b' });
const mesh = certificate({ ...life, by: ca, subject: [{ CN: 'mesh' }], uris: ['spiffe://prod/envoy'] });
const unknown = certificate({ ...life, by: ca, subject: [{ CN: 'unknown' }], uris: ['spiffe://prod/else'] });
const forged = certificate({ ...life, by: strangersCa, subject: [{ CN: 'mesh' }], uris: ['spiffe://prod/envoy'] });
const expired = certificate({ notBefore: 0, notAfter: Date.now() - 1_000, by: ca, subject: [{ CN: 'mesh' }], uris: ['spiffe://prod/envoy'] });

let folder: string;
let gateway: TestGateway | undefined;
const write = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const useServer = (one: Certificate): { cert: string; key: string } => ({ cert: write('cert.pem', one.pem), key: write('key.pem', one.keyPem) });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'curfew-tls-'));
});
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const start = async (clientCertificate: 'required' | 'optional', options: TestGatewayOptions = {}): Promise<TestGateway> => {
  const tls = { ...useServer(server), clientCa: write('ca.pem', ca.pem), clientCertificate };
  gateway = await startGateway({ listener: { tls }, peps: [{ id: 'mesh', certificate: { san: 'spiffe://prod/envoy' }, hosts: ['*'] }], ...options });
  return gateway;
};

interface Answer {
  readonly status: number | undefined;
  readonly reason: string | undefined;
  readonly serial: string | undefined;
}

/** One question over TLS; no status when the handshake or the connection was refused. */
const ask = async (port: number, shown?: Certificate, options: ConnectionOptions = {}): Promise<Answer> => {
  const given = shown === undefined ? {} : { cert: shown.pem, key: shown.keyPem };
  const socket: TLSSocket = connect({ port, host: '127.0.0.1', servername: 'curfew.local', ca: ca.pem, ...given, ...options });
  return new Promise((resolve) => {
    let text = '';
    let serial: string | undefined;
    const finish = (): void => {
      socket.destroy();
      const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
      resolve({ status: status === undefined ? undefined : Number(status), reason: /x-curfew-reason: (\S+)/.exec(text)?.[1], serial });
    };
    socket.once('secureConnect', () => {
      serial = socket.getPeerX509Certificate()?.serialNumber;
      socket.write(requestText('/forward-auth', forwarded('/a')));
    });
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.includes('\r\n\r\n')) finish();
    });
    socket.once('error', finish);
    socket.once('close', finish);
  });
};

test('its certificate is an enforcement point, on every request of the connection', async () => {
  const { port, evaluations } = await start('required');
  expect(await ask(port, mesh)).toMatchObject({ status: 200 });
  expect(evaluations[0]?.pep.id).toBe('mesh');
});

test('required: no certificate, a forged, an expired one end in the handshake; a stranger of the same authority is nobody', async () => {
  const { port, evaluations } = await start('required');
  expect((await ask(port)).status).toBeUndefined();
  expect((await ask(port, forged)).status).toBeUndefined();
  expect((await ask(port, expired)).status).toBeUndefined();
  expect(evaluations).toEqual([]);
  expect(await ask(port, unknown)).toMatchObject({ status: 401, reason: 'pep.unauthenticated' });
});

test('optional: none at all may be served where that is written out; one that does not verify denies always', async () => {
  const { port, evaluations } = await start('optional', {
    listener: { pep: 'anonymous', tls: { ...useServer(server), clientCa: write('ca.pem', ca.pem), clientCertificate: 'optional' } },
  });
  expect(await ask(port)).toMatchObject({ status: 200 });
  expect(evaluations[0]?.pep.id).toBeUndefined();
  expect(await ask(port, mesh)).toMatchObject({ status: 200 });
  for (const wrong of [forged, expired, unknown]) expect(await ask(port, wrong)).toMatchObject({ status: 401, reason: 'pep.unauthenticated' });
});

test('plain HTTP and versions before TLS 1.2 are refused', async () => {
  const { port } = await start('required');
  const plain = await askOnce(port, requestText('/forward-auth', forwarded('/a')));
  expect(plain?.status ?? 400).toBe(400);
  expect((await ask(port, mesh, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).status).toBeUndefined();
});

test('new certificates are taken up without a restart; unreadable ones change nothing', async () => {
  const { port, running } = await start('required');
  const before = (await ask(port, mesh)).serial;
  useServer(renewed);
  running.reloadTls();
  const after = (await ask(port, mesh)).serial;
  expect([before, after]).toEqual(['0A1B2C', '0B']);
  write('cert.pem', 'not a certificate');
  expect(() => running.reloadTls()).toThrow();
  expect((await ask(port, mesh)).serial).toBe('0B');
});
