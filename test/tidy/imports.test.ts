/** DESIGN 5: imports point down, drivers don't import one another, every package has one home. */
import { posix } from 'node:path';
import { describe, expect, test } from 'vitest';
import { importsOf, read, sourceFiles, type SourceFile } from './source-files.ts';

/** Folders of src, the lowest first. What is in one layer may import what is in lower ones, and its own folder. */
const LAYERS: readonly (readonly string[])[] = [
  ['domain'],
  ['decision'],
  // Reads from outside, to a cap, for every driver.
  ['bounded'],
  ['time', 'store', 'lifecycle', 'canary', 'identity', 'policy', 'audit', 'alerts', 'signals', 'telemetry', 'grpc'],
  ['gateways', 'admin', 'cli', 'client'],
  ['config'],
  ['supervisor', 'demo', 'timeline', 'operations', 'compose.ts', 'compose-worker.ts', 'command.ts', 'entry.ts', 'main.ts'],
];
/** Beside the rule: what a module may use of its own layer, and why. */
const BESIDE: Readonly<Record<string, readonly string[]>> = {
  // Executes on the store's port; knows no implementation.
  lifecycle: ['store/port.ts', 'store/leases.ts'],
  alerts: ['store/port.ts'],
  signals: ['store/port.ts'],
  // The transport that HTTP listeners share.
  admin: ['gateways/http/', 'store/port.ts'],
  gateways: ['grpc/'],
  // The Workload API speaks gRPC.
  identity: ['grpc/'],
  // The record is made of what the store logged.
  audit: ['store/port.ts', 'lifecycle/rounds.ts'],
};

/** One home a package. */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  '@hono/node-server': ['gateways/http/', 'gateways/self-service/', 'admin/'],
  hono: ['gateways/http/', 'gateways/self-service/', 'admin/'],
  '@hono/zod-openapi': ['admin/'],
  commander: ['cli/'],
  '@open-policy-agent/opa-wasm': ['policy/engine/'],
  're2js': ['policy/'],
  'ipaddr.js': ['policy/'],
  'tar-stream': ['policy/bundle/'],
  jose: ['identity/', 'policy/signature/', 'audit/record/'],
  lmdb: ['store/embedded/'],
  ioredis: ['store/redis/'],
  nodemailer: ['alerts/'],
  pino: ['telemetry/'],
  'prom-client': ['telemetry/'],
  protobufjs: ['grpc/', 'gateways/envoy/'],
  yaml: ['config/', 'policy/', 'gateways/opa/'],
};
/** Where data from outside enters. */
const ZOD_NOT_IN = ['domain/', 'decision/', 'time/', 'supervisor/'];

const folderOf = (path: string): string => path.split('/')[0] as string;
const layerOf = (path: string): number => LAYERS.findIndex((folders) => folders.includes(folderOf(path)));
const within = (path: string, places: readonly string[]): boolean => places.some((place) => path.startsWith(place));
const packageOf = (specifier: string): string => specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/');

/** Why an import of a file (both below src) is not right; `undefined` when it is. */
const importFault = (path: string, specifier: string): string | undefined => {
  if (specifier.startsWith('.')) {
    // Entries of threads and processes are named as they are built.
    const target = posix.normalize(posix.join(posix.dirname(path), specifier)).replace(/\.js$/, '.ts');
    if (target.startsWith('..')) return undefined;
    if (folderOf(target) === folderOf(path) && path.includes('/')) return undefined;
    const [from, to] = [layerOf(path), layerOf(target)];
    if (from === -1 || to === -1) return `${path} -> ${target}: not in any layer`;
    if (to < from || from === LAYERS.length - 1 || within(target, BESIDE[folderOf(path)] ?? [])) return undefined;
    return `${path} -> ${target}: imports point down`;
  }
  const pure = ['domain', 'decision'].includes(folderOf(path));
  if (pure) return `${path} -> ${specifier}: domain and decision import nothing but themselves`;
  if (specifier.startsWith('node:')) return undefined;
  const name = packageOf(specifier);
  if (name === 'zod') return within(path, ZOD_NOT_IN) ? `${path} -> zod: not where data from outside enters` : undefined;
  const homes = HOMES[name];
  if (homes === undefined) return `${path} -> ${name}: a package without a home`;
  return within(path, homes) ? undefined : `${path} -> ${name}: its home is ${homes.join(', ')}`;
};

const faultsOf = (files: readonly SourceFile[]): readonly string[] =>
  files.flatMap((file) => importsOf(file).flatMap((specifier) => importFault(file.path.slice('src/'.length), specifier) ?? []));

describe('imports', () => {
  test('point down, and packages stay at home', () => {
    expect(faultsOf(sourceFiles())).toEqual([]);
  });
  test.each([
    ['src/domain/x.ts', "import { hash } from 'node:crypto';"],
    ['src/domain/x.ts', "import type { Decider } from '../decision/decide.ts';"],
    ['src/decision/x.ts', "import { z } from 'zod';"],
    ['src/decision/x.ts', "const x = await import('../store/embedded/open.ts');"],
    ['src/identity/x.ts', "import { createClock } from '../time/clock.ts';"],
    ['src/policy/x.ts', "import {\n  a,\n  b,\n} from '../identity/token.ts';"],
    ['src/gateways/x.ts', "export { openCore } from '../compose.ts';"],
    ['src/cli/x.ts', "import 'jose';"],
    ['src/audit/x.ts', "import pad from 'left-pad';"],
  ])('positive control: %s with %j is found', (path, text) => {
    expect(faultsOf([{ path, text }])).toHaveLength(1);
  });
  test('every dependency is used, and every use is a dependency', () => {
    const { dependencies } = JSON.parse(read('package.json').text) as { dependencies: Record<string, string> };
    const used = new Set(sourceFiles().flatMap(importsOf).filter((specifier) => !/^(?:\.|node:)/.test(specifier)).map(packageOf));
    expect(Object.keys(dependencies).toSorted()).toEqual([...used].toSorted());
  });
});
