/** The private key that signs checkpoints: a configured file, else one that is made once beside the store, for its owner only. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readBounded } from '../../bounded/file.ts';

const KEY_FILE = 'record-key.pem';
const KEY_BYTES_MAX = 16_384;

/** PEM (PKCS 8). Throws, without a word of its content, for what is not a private key. */
const readKey = (file: string): KeyObject => {
  const read = readBounded(file, KEY_BYTES_MAX);
  if ('fault' in read) throw new Error(`${file} ${read.fault}`);
  try {
    return createPrivateKey(read.text);
  } catch {
    throw new Error(`${file} holds no private key in PEM`);
  }
};

/** `file`: as configured. Otherwise `<directory>/record-key.pem`, Ed25519, made with mode 0600 if it is not there. */
export const openRecordKey = (file: string | undefined, directory: string): KeyObject => {
  if (file !== undefined) return readKey(file);
  const own = join(directory, KEY_FILE);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(own, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw new Error(`${own} can not be made (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`, { cause: error });
  }
  return readKey(own);
};
