/** Takes the write lock of the store in its first argument and stands still, as a process does that is stopped. */
import { writeSync } from 'node:fs';
import { open } from 'lmdb';

const root = open({ path: process.argv[2] as string, noSubdir: false, overlappingSync: false, maxDbs: 8, encoding: 'binary' });
root.transactionSync(() => {
  writeSync(1, 'locked\n');
  process.kill(process.pid, 'SIGSTOP');
});
