/** Entry of the thread that hashes a large structured file; see `structured-digest.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { digestHere, type DigestQuestion } from './structured-digest.ts';

parentPort?.postMessage(digestHere(workerData as DigestQuestion));
