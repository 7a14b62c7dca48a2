/** Signs files as OPA does, and as it does not: every part can be bent. */
import { createHash, createPrivateKey, createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CompactSign } from 'jose';
import { structuredText } from '../../../src/policy/signature/structured-text.ts';
import type { SigningPair } from './keys.ts';

export type Files = ReadonlyMap<string, Uint8Array>;

export const filesOf = (texts: Readonly<Record<string, string>>): Files => new Map(Object.entries(texts).map(([name, text]) => [name, Buffer.from(text)]));

export interface Listed {
  readonly name: string;
  readonly hash: string;
  readonly algorithm: string;
}

export const listOf = (files: Files, algorithm = 'SHA-256', hasher = 'sha256'): Listed[] =>
  [...files].filter(([name]) => name !== '.signatures.json').map(([name, bytes]) => {
    const hashed = /(?:^|\/)(?:data\.json|\.manifest)$/.test(name) ? (structuredText(bytes, 64) ?? '') : bytes;
    return { name, hash: createHash(hasher).update(hashed).digest('hex'), algorithm };
  });

export interface Bends {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly files?: readonly Listed[];
}

export const tokenFor = async (files: Files, by: SigningPair, { header, claims, files: listed = listOf(files) }: Bends = {}): Promise<string> => {
  const bytes = readFileSync(by.privateFile);
  const key = by.algorithm.startsWith('HS') ? createSecretKey(bytes) : createPrivateKey(bytes);
  return new CompactSign(Buffer.from(JSON.stringify({ files: listed, ...claims }))).setProtectedHeader({ alg: by.algorithm, typ: 'JWT', kid: 'release', ...header }).sign(key);
};

export const withSignatures = (files: Files, document: unknown): Files => new Map([...files, ['.signatures.json', Buffer.from(typeof document === 'string' ? document : JSON.stringify(document))]]);

/** The files with their signature. */
export const signed = async (files: Files, by: SigningPair, bends?: Bends): Promise<Files> => withSignatures(files, { signatures: [await tokenFor(files, by, bends)] });
