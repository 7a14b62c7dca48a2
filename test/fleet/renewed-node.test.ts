/** Certificates and the password of Redis are replaced while a node runs: every one of its processes goes on without a restart, also through SIGHUP. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { certificate } from '../identity/x509.ts';
import { describeWith } from '../parts.ts';
import type { Curfew } from '../runtime/curfew.ts';
import { freePorts } from '../support/free-ports.ts';
import { ACL_PASSWORD, writeAclFile } from '../support/redis-acl.ts';
import { MEMORY, startRedis, WITHOUT_TLS, type RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startFleet, type Fleet } from './fleet.ts';

const TESTS = `tests ${ACL_PASSWORD}`;

describeWith(['redis'], 'a running node whose certificates and password of Redis are replaced', () => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-renewed-node-'));
  const at = (name: string): string => join(folder, name);
  const passwordFile = at('password');
  let server: RedisServer;
  let fleet: Fleet;
  const node = (): Curfew => fleet.nodes[0] as Curfew;
  const issueCertificates = (serial: string): void => {
    const life = { notBefore: Date.now() - 3_600_000, notAfter: Date.now() + 3_600_000 };
    const authority = certificate({ ...life, subject: [{ CN: `authority ${serial}` }], ca: true });
    const ours = certificate({ ...life, subject: [{ CN: 'redis' }], dns: ['localhost'], by: authority });
    for (const [name, text] of [['ca', authority.pem], ['cert', ours.pem], ['key', ours.keyPem]] as const) writeFileSync(at(`${name}.pem`), text);
  };
  beforeAll(async () => {
    if (WITHOUT_TLS) return;
    issueCertificates('one');
    writeFileSync(passwordFile, `${ACL_PASSWORD}\n`);
    const [port] = (await freePorts(1)) as [number];
    const files = { ca: at('ca.pem'), cert: at('cert.pem'), key: at('key.pem') };
    server = await startRedis([...MEMORY, '--aclfile', writeAclFile(folder), '--tls-port', String(port), '--tls-cert-file', files.cert, '--tls-key-file', files.key, '--tls-ca-cert-file', files.ca]);
    fleet = await startFleet(JSON.stringify({ host: 'localhost', port, durability: 'memory', username: 'curfew', password: { file: passwordFile }, tls: files }), 1);
  });
  afterAll(async () => {
    await fleet?.stop();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** 0: nobody listens just now. */
  const ask = (): Promise<number> => fleet.ask(node()).catch(() => 0);
  /** Decisions by its workers, reading and committing by the process that administers. */
  const allIsWell = async (what: string): Promise<void> => {
    await until(`${what}: it allows`, async () => (await ask()) === 200);
    await until(`${what}: it administers`, () => fleet.administers(node()));
    // A commit that was under way on a connection that was cut has an unknown outcome, and is given again.
    const opened = async (): Promise<string | undefined> => (await fleet.admin(node(), 'issuer', 'POST', '/tasks', { kind: 'ci-run', owner: 'team:shop', reference: 'RUN-2' })).body.id;
    await until(`${what}: it commits`, opened);
  };
  const pids = (): readonly number[] => [node().pid, ...node().workers()];

  test.skipIf(WITHOUT_TLS)('new certificates of both sides, then a new password: it denies while it can not get in, and goes on by itself; the same processes, until SIGHUP makes new workers', { timeout: 120_000 }, async () => {
    await fleet.issue(node());
    await allIsWell('at first');
    const before = pids();

    issueCertificates('two');
    await server.send(`CONFIG SET tls-cert-file ${at('cert.pem')} tls-key-file ${at('key.pem')} tls-ca-cert-file ${at('ca.pem')}`, TESTS);
    await server.send('CLIENT KILL USER curfew', TESTS);
    await allIsWell('with new certificates');

    await server.send('ACL SETUSER curfew resetpass >another-password', TESTS);
    await server.send('CLIENT KILL USER curfew', TESTS);
    await until('a denial without the new password', async () => (await ask()) === 403);
    writeFileSync(passwordFile, 'another-password\n');
    await allIsWell('with the new password');
    expect(pids()).toEqual(before);

    node().signal('SIGHUP');
    await until('new workers', () => node().workers().length > 0 && node().workers().every((pid) => !before.includes(pid)));
    await allIsWell('after SIGHUP');
    expect(node().pid).toBe(before[0]);
    expect(`${node().stdout()}${node().stderr()}`).not.toContain('another-password');
  });
});
