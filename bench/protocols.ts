/**
 * npm run bench:protocols [-- --rounds 5 --seconds 2 --connections 16]: what each HTTP protocol carries beside forward-auth, in one run of one
 * worker of the real program, rounds interleaved. The same workload asks for the same, and every answer is checked. Exit code 1: one is below 70 %.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readOptions } from './harness/options.ts';
import { repositoryRoot } from './harness/run-bench.ts';
import { startGenerator } from './http/generator.ts';
import { answers, childrenOf, freePort, processorMs, stopProcess } from './http/processes.ts';
import type { Kind } from './http/requests.ts';

const LEAST = 0.7;
const PEP_TOKEN = 'bench-token-0123456789';
const WORKLOAD = 'spiffe://dev.local/bench/app';
const CONFIG = `
workers: 1
# How much is carried is measured, not how long a busy machine lets one wait.
limits: { decisionDeadlineMs: 5000 }
peps: [{ id: bench, token: { env: BENCH_TOKEN }, asserts: ["spiffe://dev.local/bench/**"], hosts: [shop.local] }]
opa: { paths: [{ path: curfew/access/decision, question: envoy }] }
kubernetes: { enabled: true, user: "spiffe://dev.local/bench/{user}", opinions: [{ users: ["*"] }] }
`;

const post = (path: string, body: unknown): string => {
  const text = JSON.stringify(body);
  return [`POST ${path} HTTP/1.1`, 'host: 127.0.0.1', `authorization: Bearer ${PEP_TOKEN}`, 'content-type: application/json', `content-length: ${text.length}`, '', text].join('\r\n');
};

const http = (token: string) => ({ attributes: { request: { http: { method: 'GET', path: '/orders/42', host: 'shop.local', scheme: 'http', headers: { authorization: `Bearer ${token}` } } } } });

const requestsOf = (token: string): readonly (readonly [name: string, kind: Kind, request: string])[] => {
  const gateway = ['host: shop.local', `x-curfew-pep-token: ${PEP_TOKEN}`, `authorization: Bearer ${token}`, 'x-forwarded-proto: http'];
  const asserted = { subject: { type: 'workload', id: WORKLOAD }, action: { name: 'GET' }, resource: { type: 'http', id: 'shop.local/orders/42' } };
  const review = { user: 'app', resourceAttributes: { namespace: 'shop', verb: 'GET', resource: 'orders', name: '42' } };
  return [
    ['forward-auth', 'curfew', ['GET /forward-auth HTTP/1.1', ...gateway, 'x-forwarded-method: GET', 'x-forwarded-host: shop.local', 'x-forwarded-uri: /orders/42', '', ''].join('\r\n')],
    ['ext_authz over HTTP', 'curfew', ['GET /ext-authz/orders/42 HTTP/1.1', ...gateway, '', ''].join('\r\n')],
    ['AuthZEN, asserted', 'authzen', post('/access/v1/evaluation', asserted)],
    ['AuthZEN, credential', 'authzen', post('/access/v1/evaluation', { ...asserted, subject: { ...asserted.subject, properties: { credential: token } } })],
    ['OPA', 'opa', post('/v1/data/curfew/access/decision', { input: http(token) })],
    ['Kubernetes', 'kubernetes', post('/kubernetes/v1/authorize', { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec: review })],
  ];
};

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

const options = readOptions({ rounds: 5, seconds: 2, connections: 16 }, process.argv.slice(2));
const folder = mkdtempSync(join(tmpdir(), 'curfew-protocols-'));
const main = join(repositoryRoot(), 'dist/main.js');
const [port, grpc, admin] = [await freePort(), await freePort(), await freePort()];
writeFileSync(join(folder, 'curfew.yaml'), CONFIG);
const flags = ['--http-port', port, '--grpc-port', grpc, '--admin-port', admin].map(String);
const child = spawn(process.execPath, [main, 'dev', '--config', 'curfew.yaml', ...flags], { cwd: folder, stdio: 'ignore', env: { PATH: process.env['PATH'], BENCH_TOKEN: PEP_TOKEN } });
const generator = startGenerator();
try {
  await answers(child, `http://127.0.0.1:${port}/health/ready`, 30_000);
  const curfew = (...args: string[]): string => execFileSync(process.execPath, [main, ...args], { cwd: folder, encoding: 'utf8' });
  curfew('--server', `http://127.0.0.1:${admin}`, 'grant', 'issue', '--workload', WORKLOAD, '--scope', 'GET http:shop.local/orders/**', '--scope', 'GET kubernetes:ns/shop/core/orders/**',
    '--ttl', '30m', '--owner', 'team:bench', '--justification', 'bench', '--reference', 'B-1');
  const token = curfew('dev-token', '--workload', WORKLOAD).trim();
  const protocols = [];
  for (const [name, kind, request] of requestsOf(token)) {
    protocols.push({ name, job: await generator.addJob({ kind, port, requests: [request], allow: [true] }), rates: [] as number[], shares: [] as number[], costs: [] as number[] });
  }
  const [worker = 0] = childrenOf(child.pid ?? 0);
  const run = { connections: options.connections, from: 0 };
  for (const { job } of protocols) await generator.run({ ...run, job, durationMs: 1_000, atLeast: 2_000 });
  for (let round = 0; round < options.rounds; round += 1) {
    for (const protocol of protocols) {
      const before = processorMs(worker);
      const { answered, durationMs } = await generator.run({ ...run, job: protocol.job, durationMs: options.seconds * 1_000 });
      protocol.costs.push(((processorMs(worker) - before) / answered) * 1_000);
      protocol.rates.push((answered / durationMs) * 1_000);
      protocol.shares.push((protocol.rates.at(-1) ?? 0) / (protocols[0]?.rates.at(-1) ?? 1));
    }
  }
  const own = median(protocols[0]?.costs ?? []);
  for (const { name, rates, shares, costs } of protocols) {
    process.stdout.write(`${name.padEnd(20)} ${median(rates).toFixed(0).padStart(6)}/s  ${median(shares).toFixed(2)} x forward-auth (${Math.min(...shares).toFixed(2)} to ${Math.max(...shares).toFixed(2)}); ${median(costs).toFixed(0)} us of the worker an answer, ${(own / median(costs)).toFixed(2)} x\n`);
  }
  process.exitCode = protocols.every(({ shares }) => median(shares) >= LEAST) ? 0 : 1;
} finally {
  await generator.stop();
  await stopProcess(child);
  rmSync(folder, { recursive: true, force: true });
}
