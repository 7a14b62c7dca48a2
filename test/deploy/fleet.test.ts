/**
 * `deploy/compose.yaml` and `deploy/kubernetes/fleet.yaml`: there is no container engine here, so the files are read, held against one another, and
 * the same topology is started from the same configuration files as processes on loopback: Redis with TLS, its replica, three Sentinels, two
 * Curfews, Envoy. Nothing is changed but addresses, paths and patience.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { productionFaults } from '../../src/config/checks.ts';
import { loadConfig } from '../../src/config/load.ts';
import { bundleOf, jwksOf, newKey, signed } from '../identity/forge.ts';
import { describeWith, repositoryRoot, requirePart } from '../parts.ts';
import { startCurfew, type Curfew } from '../runtime/curfew.ts';
import { extAuthz, startEnvoy, type RunningEnvoy } from '../support/envoy.ts';
import { freePorts } from '../support/free-ports.ts';
import { guideAcl, ACL_PASSWORD } from '../support/redis-acl.ts';
import { startService, type Service } from '../support/service.ts';
import { until } from '../support/until.ts';

const deploy = (name: string): string => readFileSync(join(repositoryRoot, 'deploy', name), 'utf8');
const compose = parse(deploy('compose.yaml'), { merge: true });
const manifests = parseAllDocuments(deploy('kubernetes/fleet.yaml')).map((document) => document.toJS());
const kind = (name: string): any => manifests.find((manifest) => manifest.kind === name);

/** Absolute paths that a text names. */
const pathsIn = (text: string): readonly string[] => [...new Set([...text.matchAll(/(?<![\w.])\/(?:etc|var)\/[\w./-]+/g)].map(([path]) => path))];

describe('the files of the fleet', () => {
  const loaded = loadConfig({ env: {}, flags: {}, file: { name: 'curfew.yaml', text: deploy('fleet/curfew.yaml') } });
  test("the nodes' configuration is valid for production, and both nodes have the same", () => {
    expect(loaded.ok ? productionFaults(loaded.config) : loaded.faults).toEqual([]);
    const { 'curfew-1': first, 'curfew-2': second } = compose.services;
    expect([first.command, second.command]).toEqual([['serve', '--config', '/etc/curfew/curfew.yaml'], first.command]);
    expect(first.volumes.map((volume: string) => volume.replaceAll('curfew-1', 'curfew-2'))).toEqual(second.volumes);
  });
  test('every file that a process names is mounted, every host is a service, and durability counts all replicas', () => {
    const named: Record<string, string> = { primary: 'redis.conf', replica: 'redis.conf', 'sentinel-1': 'sentinel.conf', 'curfew-1': 'curfew.yaml', envoy: 'envoy.yaml' };
    for (const [service, file] of Object.entries(named)) {
      const mounted = compose.services[service].volumes.map((volume: string) => volume.split(':')[1]);
      const config = deploy(`fleet/${file}`).replaceAll(/#.*/g, '');
      expect([service, pathsIn(config).filter((path) => !mounted.some((mount: string) => path === mount || path.startsWith(`${mount}/`)))]).toEqual([service, []]);
    }
    if (!loaded.ok) throw new Error('not valid');
    const { sentinels = [], durability } = loaded.config.store.redis;
    expect(sentinels.map(({ host }) => host).filter((host) => compose.services[host] === undefined)).toEqual([]);
    expect(durability).toEqual({ replicated: Object.values<any>(compose.services).filter(({ command }) => command?.includes('--replicaof')).length });
    expect(deploy('fleet/sentinel.conf')).toContain('sentinel monitor mymaster primary 6379 2');
    const hosts = parse(deploy('fleet/envoy.yaml')).static_resources.clusters.flatMap(({ load_assignment: { endpoints } }: any) => endpoints[0].lb_endpoints.map(({ endpoint }: any) => endpoint.address.socket_address.address));
    expect(hosts.filter((host: string) => compose.services[host] === undefined)).toEqual([]);
  });
  test('what runs is held small: no capabilities, no writable root, not root', () => {
    for (const name of ['curfew-1', 'curfew-2']) expect(compose.services[name]).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
    const { spec } = kind('StatefulSet').spec.template;
    expect(spec).toMatchObject({ automountServiceAccountToken: false, securityContext: { runAsNonRoot: true, runAsUser: 1000 } });
    expect(spec.containers[0].securityContext).toEqual({ readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } });
  });
  test('in Kubernetes every file of the configuration is mounted, and probes and services name ports that are there', () => {
    const set = kind('StatefulSet').spec;
    const [container] = set.template.spec.containers;
    const mounts = container.volumeMounts.map(({ mountPath }: any) => mountPath);
    expect(pathsIn(deploy('fleet/curfew.yaml').replaceAll(/#.*/g, '')).filter((path) => !mounts.some((mount: string) => path === mount || path.startsWith(`${mount}/`)))).toEqual([]);
    const volumes = [...set.template.spec.volumes, ...set.volumeClaimTemplates.map(({ metadata }: any) => metadata)].map(({ name }: any) => name);
    expect(container.volumeMounts.map(({ name }: any) => name).filter((name: string) => !volumes.includes(name))).toEqual([]);
    const ports = container.ports.map(({ name }: any) => name);
    expect([container.readinessProbe, container.livenessProbe].map(({ httpGet }) => [httpGet.path, httpGet.scheme, ports.includes(httpGet.port)])).toEqual([['/health/ready', 'HTTPS', true], ['/health/live', 'HTTPS', true]]);
    expect(kind('Service').spec.ports.every(({ targetPort }: any) => ports.includes(targetPort))).toBe(true);
    for (const selector of [kind('Service').spec.selector, set.selector.matchLabels, kind('PodDisruptionBudget').spec.selector.matchLabels]) expect(selector).toEqual(set.template.metadata.labels);
  });
  test("the server's users are those of the guide", () => {
    expect(deploy('fleet/users.acl')).toContain(guideAcl().replace(ACL_PASSWORD, 'CHANGE-ME-curfew'));
  });
  test("Envoy's file is the one that one Curfew has, but for where it asks", () => {
    const [one, fleet] = [parse(deploy('envoy/envoy.yaml')), parse(deploy('fleet/envoy.yaml'))];
    delete extAuthz(fleet).grpc_service.initial_metadata;
    const [, service] = fleet.static_resources.clusters;
    service.type = 'STATIC';
    service.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address = '127.0.0.1';
    fleet.static_resources.clusters = [one.static_resources.clusters[0], service];
    expect(fleet).toEqual(one);
  });
});

describeWith(['redis', 'envoy', 'openssl'], 'the fleet, as processes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-deployed-'));
  const made = join(folder, 'made');
  const cleanUps: (() => unknown)[] = [];
  const [mesh, login] = [newKey('ES256', 'm1'), newKey('RS256', 'l1')];
  const LOGIN = 'https://login.example.org';
  const seconds = (): number => Math.floor(Date.now() / 1_000) - 5;
  const svid = (): string => signed({ alg: 'ES256', kid: 'm1', typ: 'JWT' }, { sub: 'spiffe://example.org/ci/deployer', aud: 'curfew', iat: seconds(), exp: seconds() + 300 }, mesh);
  const operator = (group: string): string => signed({ alg: 'RS256', kid: 'l1', typ: 'JWT' }, { iss: LOGIN, sub: group, aud: 'curfew-admin', groups: [group], iat: seconds(), exp: seconds() + 300 }, login);
  let nodes: readonly Curfew[] = [];
  let envoy: RunningEnvoy;
  let service: Service;

  /** A server of Redis with a file of its own; it says when it is ready. */
  const startServer = async (name: string, text: string, args: readonly string[]): Promise<void> => {
    mkdirSync(join(folder, name), { recursive: true });
    const file = join(folder, name, 'server.conf');
    writeFileSync(file, `${text}\nbind 127.0.0.1\ndir ${join(folder, name)}\n`);
    const child = spawn(requirePart('redis'), [file, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => { output += chunk.toString(); });
    const gone = new Promise((resolve) => { child.once('exit', resolve); });
    cleanUps.push(async () => {
      child.kill('SIGKILL');
      await gone;
    });
    await until(`${name} to start`, () => {
      if (child.exitCode !== null) throw new Error(output);
      return /Ready to accept connections|Sentinel (?:new configuration|ID)|\+monitor/.test(output);
    });
  };
  const atHome = (text: string): string => text.replaceAll('/etc/redis/tls', join(made, 'tls')).replaceAll('/etc/redis/users.acl', join(made, 'users.acl'));
  /** One command over TLS, as whoever may do it. */
  const ask = (port: number, lines: string): Promise<string> =>
    new Promise((resolve, reject) => {
      let text = '';
      const socket = connectTls({ port, host: '127.0.0.1', servername: 'redis.internal', ca: readFileSync(join(made, 'tls/ca.crt')) }, () => void socket.write(lines));
      socket.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
      socket.once('error', reject);
      setTimeout(() => {
        socket.destroy();
        resolve(text);
      }, 200);
    });

  beforeAll(async () => {
    const run = spawnSync('sh', [join(repositoryRoot, 'deploy/fleet/make-secrets.sh'), made], { encoding: 'utf8' });
    expect([run.status, run.stderr]).toEqual([0, '']);
    const ports = await freePorts(5);
    const [primary, replica, ...sentinels] = ports as [number, number, number, number, number];
    const conf = (port: number): string => atHome(readFileSync(join(made, 'redis.conf'), 'utf8')).replace('tls-port 6379', `tls-port ${port}`);
    // Quick to follow, as the machine is busy.
    const quick = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];
    await startServer('primary', conf(primary), quick);
    await startServer('replica', conf(replica), ['--replicaof', '127.0.0.1', String(primary), ...quick]);
    const password = readFileSync(join(made, 'secrets/redis-password'), 'utf8');
    await until('the replica', async () => (await ask(primary, `AUTH curfew ${password}\r\nINFO replication\r\n`)).includes('state=online'), 30_000);
    for (const [index, port] of sentinels.entries()) {
      const text = atHome(readFileSync(join(made, 'sentinel.conf'), 'utf8')).replace('tls-port 26379', `tls-port ${port}`).replace('mymaster primary 6379', `mymaster 127.0.0.1 ${primary}`);
      await startServer(`sentinel-${index}`, text, ['--sentinel']);
    }
    await until('the sentinels', async () => {
      const known = await Promise.all(sentinels.map((port) => ask(port, 'SENTINEL MASTER mymaster\r\n')));
      return known.every((text) => /num-other-sentinels\r\n\$1\r\n2/.test(text) && /num-slaves\r\n\$1\r\n1/.test(text));
    }, 30_000);

    const config = (directory: string): string => {
      // The packaged policy's entitlements are for shop.local.
      let text = deploy('fleet/curfew.yaml').replaceAll('host: 0.0.0.0', 'host: 127.0.0.1').replaceAll('shop.example.org', 'shop.local').replaceAll('/var/lib/curfew', directory)
        .replaceAll('/etc/curfew/identity', join(folder, 'identity')).replaceAll('/etc/curfew/', `${made}/`);
      sentinels.forEach((port, index) => { text = text.replace(`host: sentinel-${index + 1}, port: 26379`, `host: 127.0.0.1, port: ${port}`); });
      return text;
    };
    mkdirSync(join(folder, 'identity'));
    writeFileSync(join(folder, 'identity/example.org.json'), JSON.stringify(bundleOf(mesh)));
    writeFileSync(join(folder, 'identity/login.json'), JSON.stringify(jwksOf(login)));
    nodes = await Promise.all(['node-1', 'node-2'].map((name) => {
      const directory = join(folder, name);
      mkdirSync(directory);
      // Patience: the machine is busy with other tests.
      return startCurfew({ directory, config: config(directory), args: ['--set', 'limits.maxFactsAgeMs=2000', '--set', 'store.redis.leaseMs=4000'] });
    }));
    for (const node of nodes) cleanUps.push(() => node.stop());

    service = await startService();
    cleanUps.push(() => service.close());
    const shipped = parse(readFileSync(join(made, 'envoy.yaml'), 'utf8').replaceAll('/etc/envoy/tls', join(made, 'tls')));
    const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });
    shipped.admin.address = address(0);
    shipped.static_resources.listeners[0].address = address(0);
    extAuthz(shipped).grpc_service.timeout = '10s';
    shipped.static_resources.clusters[0].health_checks[0].timeout = '10s';
    const [curfews, shop] = shipped.static_resources.clusters.map(({ load_assignment: { endpoints } }: any) => endpoints[0].lb_endpoints);
    curfews.forEach(({ endpoint }: any, index: number) => { endpoint.address = address((nodes[index] as Curfew).ports.grpc); });
    shop[0].endpoint.address = address(service.port);
    envoy = await startEnvoy(shipped);
    cleanUps.push(() => envoy.stop());
    await until('both nodes to be healthy for Envoy', async () => (await envoy.stat('cluster.curfew.membership_healthy')) === 2, 30_000).catch(async (error: Error) => {
      const ready = await Promise.all(nodes.map(async (node) => (await fetch(`http://127.0.0.1:${node.ports.admin}/health/ready`)).text()));
      throw new Error(`${error.message}; ${ready.join('; ')}`);
    });
  }, 120_000);
  afterAll(async () => {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
    rmSync(folder, { recursive: true, force: true });
  });

  const admin = async (node: Curfew, group: string, path: string, body: unknown): Promise<{ status: number; body: any }> => {
    const response = await fetch(`http://127.0.0.1:${node.ports.admin}/v1${path}`, { method: 'POST', headers: { authorization: `Bearer ${operator(group)}`, 'content-type': 'application/json' }, body: JSON.stringify(body) });
    return { status: response.status, body: await response.json() };
  };
  const question = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const asked = request({ port: envoy.port(), host: '127.0.0.1', path: '/deploy/1', method: 'POST', agent: false, headers: { host: 'shop.local', authorization: `Bearer ${svid()}` } }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      asked.once('error', reject);
      asked.end();
    });
  const decisions = (node: Curfew): number => node.stdout().split('shop.local/deploy').length;

  test('issued at one node, allowed by both through Envoy; revoked at the other, denied by both when revoke returns', { timeout: 120_000 }, async () => {
    const [first, second] = nodes as [Curfew, Curfew];
    const asked = (count: number) => Promise.all(Array.from({ length: count }, question));
    expect(new Set(await asked(4))).toEqual(new Set([403]));
    const task = await admin(first, 'curfew-issuers', '/tasks', { kind: 'ci-run', owner: 'team:shop', reference: 'RUN-1' });
    const grant = await admin(first, 'curfew-issuers', '/grants', {
      workload: 'spiffe://example.org/ci/deployer', model: 'jit', entitlement: 'shop-deploy', task: task.body.id, ttlMs: 600_000, owner: 'team:shop', justification: 'release',
      scopes: [{ actions: ['POST'], resource: { type: 'http', id: 'shop.local/deploy/**' } }],
    });
    expect([task.status, grant.status, grant.body.detail]).toEqual([201, 201, undefined]);
    const before = [decisions(first), decisions(second)];
    await until('an allow', async () => (await question()) === 200);
    expect(new Set(await asked(8))).toEqual(new Set([200]));
    await until('both to have been asked', async () => {
      await question();
      return decisions(first) > (before[0] ?? 0) && decisions(second) > (before[1] ?? 0);
    });
    expect((await admin(second, 'on-call', '/revocations', { selector: { kind: 'grant', value: grant.body.id }, reason: 'over' })).status).toBe(201);
    const reached = service.hits.length;
    expect(new Set(await asked(8))).toEqual(new Set([403]));
    expect(service.hits.length).toBe(reached);
  });
});
