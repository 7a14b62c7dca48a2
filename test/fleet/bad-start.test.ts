/** Bad days at the start, through the real program: a message that says what to do, an exit code, nothing that listens and no yes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { describeWith } from '../parts.ts';
import { runCurfew, startCurfew } from '../runtime/curfew.ts';
import { freePorts } from '../support/free-ports.ts';
import { ACL_PASSWORD, writeAclFile } from '../support/redis-acl.ts';
import { FSYNC, MEMORY, startRedis, type RedisServer } from '../support/redis.ts';

describeWith(['redis'], 'a node whose Redis is not good', () => {
  let directory = '';
  const servers: RedisServer[] = [];
  const server = async (args?: readonly string[], port?: number): Promise<RedisServer> => {
    const started = await startRedis(args, undefined, port);
    servers.push(started);
    return started;
  };
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'curfew-bad-start-'));
  });
  afterEach(async () => {
    for (const one of servers.splice(0)) await one.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  const config = (redis: string): string => `store: {kind: redis, path: state, redis: {connectTimeoutMs: 2000, ${redis}}}\n`;
  const start = async (redis: string): Promise<string> => {
    writeFileSync(join(directory, 'curfew.yaml'), config(redis));
    const { code, stderr } = await runCurfew(['serve', '--config', 'curfew.yaml', '--http-port', '0', '--grpc-port', '0', '--admin-port', '0', '--workers', '1'], { directory, env: { REDIS_PASSWORD: 'a-wrong-password' } });
    return `${code}: ${stderr.split('\n').find((line) => line.includes('does not start')) ?? stderr}`;
  };

  test('unreachable, wrong password, a replica, too weak, keys of another program, a format to come: each by name', { timeout: 120_000 }, async () => {
    const [nobody = 0] = await freePorts(1);
    expect(await start(`port: ${nobody}`)).toMatch(new RegExp(`^2: .*no connection to 127.0.0.1:${nobody} \\(ECONNREFUSED\\)`));
    const guarded = await server([...FSYNC, '--aclfile', writeAclFile(directory)]);
    const refused = await start(`port: ${guarded.port}, username: curfew, password: {env: REDIS_PASSWORD}`);
    expect(refused).toMatch(/^2: .*user name or password are not right/);
    expect(refused).not.toMatch(new RegExp(`a-wrong-password|${ACL_PASSWORD}`));
    const primary = await server();
    const replica = await server([...FSYNC, '--replicaof', '127.0.0.1', String(primary.port)]);
    expect(await start(`port: ${replica.port}`)).toMatch(/^2: .*this server is a replica: configure the primary/);
    const weak = await server(MEMORY);
    expect(await start(`port: ${weak.port}`)).toMatch(/^2: .*weaker than store.redis.durability: appendonly is no, must be yes/);
    await primary.send('SET cf:{default}:records strange');
    expect(await start(`port: ${primary.port}`)).toMatch(/^2: .*(?:of another program|is not Curfew)/);
    const later = await server();
    await later.send('HSET cf:{}meta format 99 mode production epoch AAAAAAAAAAAAAAAA');
    expect(await start(`port: ${later.port}`)).toMatch(/^2: .*the store has format 99, this version of Curfew reads format 3/);
  });

  test('an old server: by its version', { timeout: 120_000 }, async () => {
    const real = await server();
    // The real one, but for what it says of its version.
    const old = createServer((client) => {
      const target = connect(real.port, '127.0.0.1');
      client.on('error', () => target.destroy()).pipe(target);
      target.on('error', () => client.destroy()).on('data', (chunk: Buffer) => client.write(Buffer.from(chunk.toString('latin1').replace(/redis_version:\d\./, 'redis_version:6.'), 'latin1'))).on('end', () => client.end());
    });
    await new Promise<void>((resolve) => { old.listen(0, '127.0.0.1', resolve); });
    try {
      expect(await start(`port: ${(old.address() as AddressInfo).port}`)).toMatch(/^2: .*the server is of version 6\.\d+\.\d+: Redis 7\.0 or later, or Valkey, is needed/);
    } finally {
      old.close();
    }
  });

  test('where it is configured to wait, it serves as soon as the server is there', { timeout: 120_000 }, async () => {
    const [port = 0] = await freePorts(1);
    const starting = startCurfew({ directory, config: config(`port: ${port}, waitAtStartMs: 60000`) });
    await new Promise((resolve) => { setTimeout(resolve, 1_500); });
    await server(FSYNC, port);
    const node = await starting;
    try {
      await expect.poll(async () => (await fetch(`http://127.0.0.1:${node.ports.admin}/health/ready`)).status, { timeout: 40_000 }).toBeLessThan(600);
      expect((await node.ask('no credential')).status).toBe(401);
    } finally {
      await node.stop();
    }
  });
});
