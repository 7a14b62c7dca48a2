/** Control for the trace test: a writer whose commits are acknowledged without having been synced. */
import { writeSync } from 'node:fs';
import { open } from 'lmdb';

const root = open({ path: process.argv[2] as string, noSubdir: false, encoding: 'binary', noSync: true });
for (let number = 1; number <= 20; number += 1) {
  await root.transaction(() => root.putSync(`key-${number}`, Buffer.alloc(100)));
  writeSync(1, `ack ${number} 0\n`);
}
await root.close();
