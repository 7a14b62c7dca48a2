/** Keys for every algorithm that OPA signs with, in the files that OPA and the configuration name. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SigningAlgorithm } from '../../../src/policy/signature/config.ts';

export interface SigningPair {
  readonly algorithm: SigningAlgorithm;
  /** Of the private key or the secret. */
  readonly privateFile: string;
  readonly publicFile: string;
}

const CURVES: Partial<Record<SigningAlgorithm, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };

export const signingPair = (folder: string, algorithm: SigningAlgorithm, name = algorithm as string): SigningPair => {
  const privateFile = join(folder, `${name}.key`);
  if (algorithm.startsWith('HS')) {
    writeFileSync(privateFile, randomBytes(48).toString('base64'));
    return { algorithm, privateFile, publicFile: privateFile };
  }
  const curve = CURVES[algorithm];
  const { privateKey, publicKey } = curve === undefined ? generateKeyPairSync('rsa', { modulusLength: 2_048 }) : generateKeyPairSync('ec', { namedCurve: curve });
  const publicFile = join(folder, `${name}.pub`);
  writeFileSync(privateFile, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(publicFile, publicKey.export({ type: 'spki', format: 'pem' }));
  return { algorithm, privateFile, publicFile };
};
