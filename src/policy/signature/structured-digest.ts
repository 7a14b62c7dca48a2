/** The digest of a structured file. Large ones are read in a thread of their own: whoever revokes in this process must not wait for it. */
import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { structuredText } from './structured-text.ts';

/** Some 30 ms. */
const HERE_BYTES_MAX = 512 * 1024;

export interface DigestQuestion {
  readonly bytes: Uint8Array;
  readonly depthMax: number;
  /** As `createHash` calls it. */
  readonly hasher: string;
}

/** `undefined` when it can't be read in one way only. */
export const digestHere = ({ bytes, depthMax, hasher }: DigestQuestion): Uint8Array | undefined => {
  const text = structuredText(bytes, depthMax);
  return text === undefined ? undefined : createHash(hasher).update(text).digest();
};

export const structuredDigest = async (question: DigestQuestion): Promise<Uint8Array | undefined> => {
  if (question.bytes.byteLength <= HERE_BYTES_MAX) return digestHere(question);
  const worker = new Worker(new URL('./digest-thread.js', import.meta.url), { workerData: question, execArgv: [] });
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the thread that hashes ended')));
  });
};
