/** A running store follows what changes around it, without a restart: an address that moved, certificates, passwords, the integrity key. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Commit, NodeStore } from '../../../src/store/port.ts';
import { createClock } from '../../../src/time/clock.ts';
import { certificate } from '../../identity/x509.ts';
import { describeWith } from '../../parts.ts';
import { freePorts } from '../../support/free-ports.ts';
import { ACL_PASSWORD, writeAclFile } from '../../support/redis-acl.ts';
import { MEMORY, REPLICATED, WITHOUT_TLS } from '../../support/redis.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';
import { opening } from './opening.ts';

const clock = createClock({ maxClockStepMs: 60_000 });
const { cleanups, temporary, serverWith, openAt } = opening(clock);
const put = (id: string): Commit => ({ realm: 'default', expect: [], puts: [{ key: { kind: 'thing', id }, value: { id } }], events: [] });
const reads = async (store: NodeStore, id: string): Promise<boolean> => {
  const found = await store.read('default', [{ kind: 'thing', id }]).catch(() => []);
  return found[0]?.value['id'] === id;
};
const commits = async (store: NodeStore, id: string): Promise<boolean> => store.commit(put(id)).then(({ outcome }) => outcome === 'committed', () => false);

describeWith(['redis'], 'a store that goes on running', () => {
  test('L1: its connections stay alive while the server behind its address is made a replica: it finds the new primary by itself', { timeout: 180_000 }, async () => {
    const old = await serverWith([...REPLICATED, '--min-replicas-max-lag', '60']);
    const next = await serverWith([...REPLICATED, '--min-replicas-max-lag', '60', '--replicaof', '127.0.0.1', String(old.port)]);
    await until('the replica', async () => (await old.send('INFO replication')).includes('state=online'));
    const address = await startTcpProxy(old.port);
    cleanups.push(address.close);
    const store = await until('a lease', () => openAt({ port: address.port, durability: { replicated: 1 } }).catch(() => undefined));
    await until('a commit', () => commits(store, 'a'));
    await next.send('REPLICAOF NO ONE');
    await old.send(`REPLICAOF 127.0.0.1 ${next.port}`);
    address.targetPort = next.port;
    await until('the new replica', async () => (await next.send('INFO replication')).includes('state=online'));
    await until('L1: facts again', () => reads(store, 'a'));
    await until('commits again', () => commits(store, 'b'));
  });

  test.skipIf(WITHOUT_TLS)('certificates of both sides are replaced: the next connection uses the new ones', { timeout: 180_000 }, async () => {
    const folder = temporary();
    const at = (name: string): string => join(folder, `${name}.pem`);
    const issue = (serial: string): void => {
      const life = { notBefore: Date.now() - 3_600_000, notAfter: Date.now() + 3_600_000 };
      const authority = certificate({ ...life, subject: [{ CN: `authority ${serial}` }], ca: true });
      const ours = certificate({ ...life, subject: [{ CN: 'redis' }], dns: ['localhost'], by: authority });
      for (const [name, text] of [['ca', authority.pem], ['cert', ours.pem], ['key', ours.keyPem]] as const) writeFileSync(at(name), text);
    };
    issue('one');
    const [port] = (await freePorts(1)) as [number];
    const tls = ['--tls-port', String(port), '--tls-cert-file', at('cert'), '--tls-key-file', at('key'), '--tls-ca-cert-file', at('ca')];
    const server = await serverWith([...MEMORY, ...tls]);
    const store = await openAt({ host: 'localhost', port, durability: 'memory', tls: { ca: at('ca'), cert: at('cert'), key: at('key') } });
    expect(await commits(store, 'a')).toBe(true);
    const before = readFileSync(at('ca'), 'utf8');
    issue('two');
    expect(readFileSync(at('ca'), 'utf8')).not.toBe(before);
    // The server takes them over, and nobody who shows the old ones gets in any more.
    await server.send(`CONFIG SET tls-cert-file ${at('cert')} tls-key-file ${at('key')} tls-ca-cert-file ${at('ca')}`);
    await server.send('CLIENT KILL TYPE normal');
    await until('facts again', () => reads(store, 'a'));
    expect(await until('commits again', () => commits(store, 'b'))).toBe(true);
  });

  test('a password that was changed is read from its file for the next connection', { timeout: 180_000 }, async () => {
    const folder = temporary();
    const file = join(folder, 'password');
    writeFileSync(file, `${ACL_PASSWORD}\n`);
    const server = await serverWith([...MEMORY, '--aclfile', writeAclFile(folder)]);
    const store = await openAt({ port: server.port, durability: 'memory', username: 'curfew', password: { file } });
    expect(await commits(store, 'a')).toBe(true);
    await server.send('ACL SETUSER curfew resetpass >another-password', `tests ${ACL_PASSWORD}`);
    await server.send('CLIENT KILL USER curfew', `tests ${ACL_PASSWORD}`);
    await until('a refusal', async () => !(await reads(store, 'a')));
    writeFileSync(file, 'another-password\n');
    await until('facts again', () => reads(store, 'a'));
    await until('commits again', () => commits(store, 'b'));
  });

  test('the integrity key is replaced in three steps while two nodes run; the old one counts no more in the end', { timeout: 180_000 }, async () => {
    const folder = temporary();
    const [one, two] = ['an integrity key of thirty-two characters', 'another integrity key of as many letters'];
    const files = ['first', 'second'].map((name) => join(folder, name)) as [string, string];
    const write = (...keys: readonly string[]): void => files.forEach((file) => writeFileSync(file, `${keys.join('\n')}\n`));
    write(one);
    const server = await serverWith(MEMORY);
    const open = (file: string) => openAt({ port: server.port, durability: 'memory', integrityKey: { file } });
    const [first, second] = [await open(files[0]), await open(files[1])];
    expect(await commits(first, 'a')).toBe(true);
    write(one, two);
    const onlyTwoFile = join(folder, 'two');
    writeFileSync(onlyTwoFile, two);
    const later = await open(onlyTwoFile);
    expect(await commits(later, 'by-two')).toBe(true);
    await until('both to accept the new key', async () => (await reads(first, 'by-two')) && reads(second, 'by-two'));
    expect(await reads(second, 'a')).toBe(true);
    writeFileSync(files[0], `${two}\n${one}\n`);
    let count = 0;
    const sealedByTwo = async (): Promise<boolean> => {
      count += 1;
      expect(await commits(first, `n${count}`)).toBe(true);
      expect(await reads(second, `n${count}`)).toBe(true);
      return reads(later, `n${count}`);
    };
    await until('the new key to seal', sealedByTwo);
    write(two);
    await until('what the old key sealed to be refused', async () => !(await reads(first, 'a')) && !(await reads(second, 'a')));
    expect(await reads(second, `n${count}`)).toBe(true);
  });
});
