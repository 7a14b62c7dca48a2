/** X.509 certificates for tests, written as DER by hand: names, life, alternative names and authority as wanted. */
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

const tlv = (tag: number, ...contents: Uint8Array[]): Buffer => {
  const body = Buffer.concat(contents);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = Buffer.from(body.length.toString(16).padStart(body.length > 0xff ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body]);
};
const sequence = (...parts: Uint8Array[]) => tlv(0x30, ...parts);
const oid = (dotted: string): Buffer => {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return tlv(0x06, Buffer.from(bytes));
};
const integer = (hex: string) => tlv(0x02, Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'));
const time = (ms: number) => tlv(0x18, Buffer.from(`${new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`));
const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const ATTRIBUTES: Record<string, string> = { CN: '2.5.4.3', C: '2.5.4.6', O: '2.5.4.10', OU: '2.5.4.11' };

/** Each entry one RDN; an RDN may have several attributes. */
export type Name = readonly Readonly<Record<string, string>>[];
const name = (rdns: Name) => sequence(...rdns.map((rdn) =>
  tlv(0x31, ...Object.entries(rdn).map(([key, value]) => sequence(oid(ATTRIBUTES[key] ?? ''), tlv(0x0c, Buffer.from(value)))))));

const extension = (id: string, critical: boolean, value: Uint8Array) =>
  sequence(oid(id), ...(critical ? [tlv(0x01, Buffer.from([0xff]))] : []), tlv(0x04, value));

export interface Certificate {
  readonly pem: string;
  readonly der: Buffer;
  readonly sha256: string;
  readonly subject: Name;
  readonly privateKey: KeyObject;
  readonly keyPem: string;
}

export const certificate = (options: {
  readonly subject?: Name;
  readonly by?: Certificate;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly serialHex?: string;
  readonly uris?: readonly string[];
  readonly dns?: readonly string[];
  readonly ips?: readonly string[];
  readonly ca?: boolean;
}): Certificate => {
  const { subject = [{ CN: 'test' }], by, notBefore, notAfter, serialHex = '0a1b2c', uris = [], dns = [], ips = [], ca = false } = options;
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const names = [
    ...uris.map((one) => tlv(0x86, Buffer.from(one))),
    ...dns.map((one) => tlv(0x82, Buffer.from(one))),
    ...ips.map((one) => tlv(0x87, Buffer.from(one.split('.').map(Number)))),
  ];
  const body = sequence(
    tlv(0xa0, integer('02')),
    integer(serialHex),
    ECDSA_SHA256,
    name(by?.subject ?? subject),
    sequence(time(notBefore), time(notAfter)),
    name(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(
      extension('2.5.29.19', true, sequence(...(ca ? [tlv(0x01, Buffer.from([0xff]))] : []))),
      ...(names.length > 0 ? [extension('2.5.29.17', false, sequence(...names))] : []),
    )),
  );
  const signature = sign('sha256', body, by?.privateKey ?? privateKey);
  const der = sequence(body, ECDSA_SHA256, tlv(0x03, Buffer.from([0]), signature));
  const base64 = der.toString('base64').replaceAll(/(.{64})/g, '$1\n');
  return {
    der,
    pem: `-----BEGIN CERTIFICATE-----\n${base64.trimEnd()}\n-----END CERTIFICATE-----\n`,
    sha256: createHash('sha256').update(der).digest('hex'),
    subject,
    privateKey,
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  };
};
