/** The servers of the peers bench, started once and asked in turns: Curfew with all its workers, a stock OPA server, a stock Cerbos. */
import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { repositoryRoot } from '../harness/run-bench.ts';
import { startCurfew } from '../http/curfew-server.ts';
import type { Generator } from '../http/generator.ts';
import type { Ran } from '../http/load-generator.ts';
import { runOpa, startOpa } from '../http/opa-server.ts';
import { drawRequests, wireOf, type Kind, type Wire } from '../http/requests.ts';
import { startChecker, type Checker } from '../soak/checker.ts';
import type { FilledStore } from '../support/filled-store.ts';
import { createBenchIssuer } from '../support/workload-tokens.ts';
import { BARE_DATA, bareOverCerbos, bareOverGrpc, bareOverOpa, fullOverGrpc } from './bare-questions.ts';
import { CERBOS_VERSION, findCerbos, startCerbos } from './cerbos-server.ts';
import { findOpaGrpc, startOpaGrpc } from './opa-grpc-server.ts';

export type LaneId = 'full' | 'full-grpc' | 'full-opa' | 'full-opa-plain' | 'bare' | 'bare-grpc' | 'bare-opa' | 'bare-opa-grpc' | 'bare-cerbos';

export interface Lane {
  readonly id: LaneId;
  readonly name: string;
  readonly job: number;
  readonly closed: Ran[];
  readonly open: Ran[];
  /** Its log is emptied. */
  readonly between: () => void;
}

const TOKEN = 'bench-token-0123456789';

/** The bare rule lets through what has no grant, and says so; its answer is the rule's. */
const bareConfig = (folder: string, workers: number) => {
  const standing = (id: string, type: string, path: string, actions: readonly string[]) => ({
    id, match: { scopes: [{ actions, resource: { type, id: path } }] }, identity: 'optional', owner: 'team:bench', reason: 'the bare rule is measured', end: '2099-01-01T00:00:00Z',
  });
  return {
    workers, store: { path: join(folder, 'bare-store') },
    policy: { bundle: { directory: join(folder, 'bare-policy') }, entrypoint: 'bench/bare/allow', signing: { required: false } },
    peps: [{ id: 'bench', token: { sha256: createHash('sha256').update(TOKEN).digest('hex') }, hosts: ['*'] }],
    grpc: { pep: 'anonymous' }, standing: [standing('opa', 'opa', 'bench/bare/**', ['query']), standing('http', 'http', '**', ['*'])],
  };
};

export interface LanesOptions {
  readonly store: FilledStore;
  readonly folder: string;
  readonly workers: number;
  readonly requests: number;
  readonly seed: number;
  readonly generator: Generator;
  /** What was started, to be stopped. */
  readonly started: (stop: () => Promise<void>) => void;
}

export interface Lanes {
  readonly lanes: readonly Lane[];
  /** Begins and ends access at the Curfew that decides in full. */
  readonly startChecker: () => Promise<Checker>;
}

export const startLanes = async ({ store: filled, folder, workers, requests, seed, generator, started }: LanesOptions): Promise<Lanes> => {
  // The checker writes, and the filled one stays as it is.
  const store = { ...filled, path: join(folder, 'full-store') };
  cpSync(filled.path, store.path, { recursive: true });
  const root = repositoryRoot();
  const issuer = createBenchIssuer();
  const lanes: Lane[] = [];
  const lane = async (id: LaneId, name: string, kind: Kind, port: number, { requests: texts, allow }: Wire, between: () => void = () => undefined): Promise<void> => {
    lanes.push({ id, name, job: await generator.addJob({ kind, port, requests: texts, allow }), closed: [], open: [], between });
  };

  const asked = drawRequests(store, requests, seed);
  const full = await startCurfew({ store, jwks: issuer.jwks, folder, name: 'full', config: { workers } });
  started(full.stop);
  await lane('full', `Curfew, full decisions over HTTP, ${workers} workers`, 'curfew', full.port, wireOf('curfew', asked, issuer), full.emptyLog);
  const overGrpc: Wire = { requests: asked.map(({ workload, path }) => fullOverGrpc(issuer.tokenOf(workload), path)), allow: asked.map(({ allow }) => allow) };
  await lane('full-grpc', 'Curfew, full decisions over gRPC', 'grpc', full.grpcPort, overGrpc, full.emptyLog);
  for (const [id, name, rememberedTokens] of [['full-opa', 'tokens remembered', requests], ['full-opa-plain', 'as it comes', 0]] as const) {
    const opa = await startOpa({ store, jwks: issuer.jwks, rememberedTokens, decisionLog: false, folder, name: id });
    started(opa.stop);
    await lane(id, `OPA ${opa.version}, the whole check in Rego, ${name}`, 'opa', opa.port, wireOf('opa', asked, issuer));
  }

  const policy = join(folder, 'bare-policy');
  mkdirSync(policy);
  copyFileSync(join(root, 'bench/peers/rules/bare.rego'), join(policy, 'bare.rego'));
  writeFileSync(join(policy, 'data.json'), JSON.stringify({ bench: BARE_DATA }));
  const { buildToolchain } = (await import(pathToFileURL(join(root, 'scripts/toolchain.mjs')).href)) as { buildToolchain: () => unknown };
  buildToolchain();
  const bare = await startCurfew({ store: { path: join(folder, 'bare-store') }, jwks: issuer.jwks, folder, name: 'bare', config: bareConfig(folder, workers) });
  started(bare.stop);
  await lane('bare', `Curfew, the bare rule over /v1/data, ${workers} workers`, 'bare', bare.port, bareOverOpa(requests, TOKEN), bare.emptyLog);
  await lane('bare-grpc', 'Curfew, the bare rule over gRPC', 'grpc', bare.grpcPort, bareOverGrpc(requests), bare.emptyLog);
  const opa = await runOpa({ rememberedTokens: 0, decisionLog: false, folder, name: 'bare-opa' }, { bench: BARE_DATA }, 'bench/peers/rules/bare.rego');
  started(opa.stop);
  await lane('bare-opa', `OPA ${opa.version}, the bare rule`, 'bare', opa.port, bareOverOpa(requests));
  const behindGrpc = findOpaGrpc();
  if (behindGrpc !== undefined) {
    const server = await startOpaGrpc(behindGrpc, { bench: BARE_DATA }, folder);
    started(server.stop);
    await lane('bare-opa-grpc', `OPA ${opa.version}'s evaluator behind grpc-go, the bare rule (for opa-envoy-plugin)`, 'grpc', server.port, bareOverGrpc(requests));
  }
  const program = findCerbos();
  if (program !== undefined) {
    const cerbos = await startCerbos(program, folder);
    started(cerbos.stop);
    await lane('bare-cerbos', `Cerbos ${CERBOS_VERSION}, the bare rule over its own API`, 'cerbos', cerbos.port, bareOverCerbos(requests));
  }
  return { lanes, startChecker: () => startChecker(store, full.port, issuer) };
};
